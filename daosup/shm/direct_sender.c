#define _GNU_SOURCE
#include "direct_sender.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct_finisher.h"
#include "direct_form.h"
#include "semaphores.h"

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool open_descriptors(struct direct_sender *self)
{
    struct epoll_event event = {.events = EPOLLIN};
    self->hearing = epoll_create1(EPOLL_CLOEXEC);
    self->writing = epoll_create1(EPOLL_CLOEXEC);
    self->finishing = epoll_create1(EPOLL_CLOEXEC);
    self->stopping = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->hearing >= 0 && self->writing >= 0 && self->finishing >= 0 && self->stopping >= 0 &&
           epoll_ctl(self->finishing, EPOLL_CTL_ADD, self->stopping, &event) == 0;
}

int direct_sender_init(struct direct_sender *self, size_t most_bytes)
{
    pthread_mutexattr_t polite;
    pthread_condattr_t steady;

    *self = (struct direct_sender){.most_bytes = most_bytes, .owner = getpid()};
    if (!open_descriptors(self)) {
        int error = errno;
        close_if_open(self->hearing);
        close_if_open(self->writing);
        close_if_open(self->finishing);
        close_if_open(self->stopping);
        return error;
    }
    /* A pump with a real-time priority is not to wait for a finisher without one that was put aside. */
    pthread_mutexattr_init(&polite);
    pthread_mutexattr_setprotocol(&polite, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&self->lock, &polite);
    pthread_mutexattr_destroy(&polite);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&self->someone_idle, &steady);
    pthread_condattr_destroy(&steady);
    return 0;
}

static void say_bye(struct direct_reader *reader)
{
    struct dnet_header bye = {.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_BYE};
    if (!reader->is_gone && reader->parts_left == 0)
        send(reader->fd, &bye, sizeof bye, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void direct_sender_close(struct direct_sender *self)
{
    bool is_ours = self->owner == getpid();
    if (is_ours)
        finisher_stop(self);
    direct_forms_close(self, is_ours);
    for (unsigned i = 0; i < self->count; i++) {
        if (is_ours)
            say_bye(self->readers[i]);
        reader_free(self->readers[i], &self->pool, false);
    }
    self->count = 0;
    frame_pool_release(&self->pool, self->newest);
    frame_pool_end(&self->pool);
    direct_blob_release(self->descriptions[false]);
    direct_blob_release(self->descriptions[true]);
    close(self->hearing);
    close(self->writing);
    close(self->finishing);
    close(self->stopping);
    if (is_ours) { /* in a child, the finisher may hold it for ever */
        pthread_cond_destroy(&self->someone_idle);
        pthread_mutex_destroy(&self->lock);
    }
}

/* What an idle reader is to be sent next; false: nothing. With the lock held. */
static bool choose(struct direct_sender *self, struct direct_reader *reader, int64_t now)
{
    struct direct_blob *answer;
    struct pool_frame *frame = reader_next_in_ring(reader, &self->pool);

    if (frame == NULL && self->version != reader->version) {
        struct direct_blob *description = self->descriptions[reader->is_ours];
        description->references++;
        reader->version = self->version;
        if (reader->opening != self->opening)
            reader->due_ns = now; /* whatever its rate, of another segment the first frame comes at once */
        reader->opening = self->opening;
        reader_take_blob(reader, description);
    } else if (frame != NULL) {
        reader_take_frame(reader, frame, now);
    } else if ((answer = reader_next_answer(reader)) != NULL) {
        reader_take_blob(reader, answer);
    } else if (reader->ring_frames == 0 && self->newest != NULL && self->newest->serial > reader->serial &&
               now >= reader->due_ns) {
        pool_frame_hold(self->newest);
        reader_take_frame(reader, self->newest, now);
    } else if (now - reader->sent_ns >= DNET_HEARTBEAT_NS) {
        reader_take_heartbeat(reader);
    } else {
        return false;
    }
    return true;
}

static void be_idle(struct direct_sender *self, struct direct_reader *reader)
{
    if (!reader->is_behind)
        return;
    reader->is_behind = false;
    self->behind_count--;
    if (self->is_pump_waiting)
        pthread_cond_signal(&self->someone_idle);
}

bool direct_sender_settle(struct direct_sender *self, struct direct_reader *reader, enum reader_push pushed, int error,
                          int64_t now)
{
    if (pushed == PUSH_DONE) {
        reader_sent(reader, &self->pool, now);
        if (choose(self, reader, now))
            return true;
        be_idle(self, reader);
        return false;
    }
    if (pushed == PUSH_PARTLY) {
        if (!reader->is_behind) {
            reader->is_behind = true;
            self->behind_count++;
        }
        error = finisher_watch(self, reader);
        if (error == 0)
            return false;
    }
    reader_gone(reader, "cannot be sent to: %s", strerror(error));
    reader_discard(reader, &self->pool);
    be_idle(self, reader);
    return false;
}

/* A reader that is the only one, of the newest frames, takes up this thread while it takes one. */
static enum reader_push push_patiently(struct direct_reader *reader, int64_t patience_ns)
{
    for (;;) {
        enum reader_push pushed = reader_push(reader);
        if (pushed != PUSH_PARTLY)
            return pushed;
        int64_t left_ns = patience_ns - monotonic_ns();
        struct pollfd room = {.fd = reader->fd, .events = POLLOUT};
        if (left_ns <= 0 || poll(&room, 1, (int)(left_ns / 1000000) + 1) <= 0)
            return PUSH_PARTLY;
    }
}

/* Send all idle readers what there is for them. */
void direct_sender_send_all(struct direct_sender *self, int64_t patience_ns)
{
    struct direct_reader *turn[DIRECT_READERS_MAX];
    enum reader_push pushed[DIRECT_READERS_MAX];
    int errors[DIRECT_READERS_MAX];
    unsigned turns = 0;
    /* Nobody else waits meanwhile, and no frame that is written meanwhile is one that somebody is to get. */
    bool is_patient = patience_ns > 0 && self->count == 1 && self->ring_readers == 0 && self->form_count == 0;

    pthread_mutex_lock(&self->lock);
    int64_t now = monotonic_ns();
    for (unsigned i = 0; i < self->count; i++) {
        struct direct_reader *reader = self->readers[i];
        if (!reader->is_behind && !reader->is_gone && choose(self, reader, now))
            turn[turns++] = reader;
    }
    while (turns > 0) {
        pthread_mutex_unlock(&self->lock);
        for (unsigned i = 0; i < turns; i++) {
            pushed[i] = is_patient ? push_patiently(turn[i], patience_ns) : reader_push(turn[i]);
            errors[i] = errno;
        }
        pthread_mutex_lock(&self->lock);
        now = monotonic_ns();
        unsigned left = 0;
        for (unsigned i = 0; i < turns; i++)
            if (direct_sender_settle(self, turn[i], pushed[i], errors[i], now))
                turn[left++] = turn[i];
        turns = left;
    }
    pthread_mutex_unlock(&self->lock);
}
