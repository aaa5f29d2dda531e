#define _GNU_SOURCE
#include "direct_finisher.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "quiet_thread.h"

#define EVENTS 16
/* Messages to one reader before the next one has its turn. */
#define AT_ONCE 2

/* One reader that has room, or whose connection ended; by its id, as it may be gone since. */
static void finish(struct direct_sender *self, uint64_t id)
{
    pthread_mutex_lock(&self->lock);
    struct direct_reader *reader = direct_sender_find(self, id);
    if (reader == NULL || !reader->is_behind || reader->is_gone) {
        pthread_mutex_unlock(&self->lock);
        return;
    }
    reader->is_in_hand = true;
    bool has_more = true;
    for (int turn = 0; has_more && turn < AT_ONCE; turn++) {
        pthread_mutex_unlock(&self->lock);
        enum reader_push pushed = reader_push(reader);
        int error = errno;
        int64_t now = monotonic_ns();
        pthread_mutex_lock(&self->lock);
        has_more = direct_sender_settle(self, reader, pushed, error, now);
    }
    if (has_more) /* as if it had no room for more: it is told at once that there is some, after the others' turns */
        direct_sender_settle(self, reader, PUSH_PARTLY, 0, 0);
    reader->is_in_hand = false;
    pthread_mutex_unlock(&self->lock);
}

static void *run(void *argument)
{
    struct direct_sender *self = argument;
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(self->finishing, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == 0)
                return NULL;
            finish(self, events[i].data.u64);
        }
    }
}

int finisher_watch(struct direct_sender *self, struct direct_reader *reader)
{
    if (!self->has_finisher) {
        int error = quiet_thread_start(&self->finisher, run, self);
        if (error != 0)
            return error;
        self->has_finisher = true;
    }
    /* Once, and then not again until it is asked for; and at once if there is room already. */
    struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = reader->id};
    if (epoll_ctl(self->finishing, reader->is_registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, reader->fd, &event) != 0)
        return errno;
    reader->is_registered = true;
    return 0;
}

void finisher_stop(struct direct_sender *self)
{
    if (!self->has_finisher)
        return;
    uint64_t one = 1;
    while (write(self->stopping, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(self->finisher, NULL);
    self->has_finisher = false;
}
