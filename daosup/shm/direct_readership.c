#define _GNU_SOURCE
#include "direct_sender.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "semaphores.h"

bool direct_sender_answer(struct direct_sender *self, uint64_t id, const void *bytes, size_t length)
{
    struct direct_reader *reader = direct_sender_find(self, id);
    struct direct_blob *answer = reader != NULL ? direct_blob_make(bytes, length) : NULL;
    if (answer == NULL)
        return false;
    pthread_mutex_lock(&self->lock);
    bool is_there = !reader->is_gone && reader->answer_count < READER_ANSWERS_MAX;
    if (is_there)
        reader->answers[reader->answer_count++] = answer;
    else
        direct_blob_release(answer);
    pthread_mutex_unlock(&self->lock);
    direct_sender_send_all(self, 0);
    return is_there;
}

void direct_sender_say(struct direct_sender *self)
{
    direct_sender_send_all(self, 0);
    pthread_mutex_lock(&self->lock);
    frame_pool_trim(&self->pool, monotonic_ns());
    pthread_mutex_unlock(&self->lock);
}

static void begin(struct direct_sender *self, size_t frame_bytes)
{
    for (unsigned i = 0; i < self->count; i++) {
        if (self->newest != NULL)
            reader_end(self->readers[i], self->newest);
        reader_begin(self->readers[i], frame_bytes);
    }
    frame_pool_resize(&self->pool, frame_bytes);
    frame_pool_release(&self->pool, self->newest);
    self->newest = NULL;
    self->opening++;
}

int direct_sender_describe(struct direct_sender *self, size_t frame_bytes, const void *meta, size_t meta_length,
                           const void *description, size_t description_length)
{
    struct direct_blob *foreign = direct_blob_make(meta, meta_length);
    struct direct_blob *ours = direct_blob_make(description, description_length);
    if (foreign == NULL || ours == NULL) {
        direct_blob_release(foreign);
        direct_blob_release(ours);
        return ENOMEM;
    }
    pthread_mutex_lock(&self->lock);
    if (frame_bytes > 0)
        begin(self, frame_bytes);
    self->version++;
    direct_blob_release(self->descriptions[false]);
    direct_blob_release(self->descriptions[true]);
    self->descriptions[false] = foreign;
    self->descriptions[true] = ours;
    pthread_mutex_unlock(&self->lock);
    direct_sender_send_all(self, 0);
    return 0;
}

uint64_t direct_sender_add(struct direct_sender *self, int fd, bool is_ours, bool may_write, int64_t period_ns,
                           unsigned ring_frames)
{
    int kind;
    socklen_t length = sizeof kind;
    if (self->count == DIRECT_READERS_MAX) {
        errno = EUSERS;
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &length) != 0)
        return 0;
    if (kind != SOCK_STREAM) {
        errno = EPROTOTYPE;
        return 0;
    }
    struct direct_reader *reader = reader_make(fd, is_ours, period_ns, ring_frames, monotonic_ns());
    if (reader == NULL) {
        errno = ENOMEM;
        return 0;
    }
    reader->id = self->last_id + 1;
    reader->may_write = may_write;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = reader->id};
    if (epoll_ctl(self->hearing, EPOLL_CTL_ADD, fd, &event) != 0 ||
        (may_write && epoll_ctl(self->writing, EPOLL_CTL_ADD, fd, &event) != 0)) {
        int error = errno;
        epoll_ctl(self->hearing, EPOLL_CTL_DEL, fd, NULL);
        reader->fd = -1;
        reader_free(reader, &self->pool, false);
        errno = error;
        return 0;
    }
    reader_begin(reader, self->pool.frame_bytes);
    pthread_mutex_lock(&self->lock);
    if (self->count == 0) { /* while nobody read, no frames were taken: it may be old */
        frame_pool_release(&self->pool, self->newest);
        self->newest = NULL;
    }
    self->last_id = reader->id;
    self->readers[self->count++] = reader;
    self->ring_readers += ring_frames > 0;
    if (ring_frames > 0 && self->newest != NULL) /* of a source that rests there will be no other for long */
        reader_queue(reader, self->newest);
    pthread_mutex_unlock(&self->lock);
    direct_sender_send_all(self, 0);
    return reader->id;
}

struct direct_reader *direct_sender_find(const struct direct_sender *self, uint64_t id)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->readers[i]->id == id)
            return self->readers[i];
    return NULL;
}

bool direct_sender_reap(struct direct_sender *self, uint64_t *id, char *reason, size_t length)
{
    struct direct_reader *gone = NULL;
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < self->count && gone == NULL; i++) {
        if (!self->readers[i]->is_gone || self->readers[i]->is_in_hand)
            continue;
        gone = self->readers[i];
        self->count--;
        memmove(self->readers + i, self->readers + i + 1, (self->count - i) * sizeof *self->readers);
    }
    if (gone != NULL) {
        *id = gone->id;
        snprintf(reason, length, "%s", gone->reason);
        if (gone->is_registered)
            epoll_ctl(self->finishing, EPOLL_CTL_DEL, gone->fd, NULL);
        if (gone->may_write)
            epoll_ctl(self->writing, EPOLL_CTL_DEL, gone->fd, NULL);
        epoll_ctl(self->hearing, EPOLL_CTL_DEL, gone->fd, NULL);
        self->behind_count -= gone->is_behind;
        self->ring_readers -= gone->ring_frames > 0;
        reader_free(gone, &self->pool, gone->parts_left > 0);
    }
    pthread_mutex_unlock(&self->lock);
    return gone != NULL;
}
