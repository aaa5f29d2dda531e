#define _GNU_SOURCE
#include "direct_sender.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "semaphores.h"

/* Of one reader at a time, however much it says. */
#define MESSAGES_AT_ONCE 16
#define BYTES_AT_ONCE (1u << 20)
#define EVENTS 64

/* The finisher looks whether it is gone. */
#define GONE(self, reader, ...)                 \
    do {                                        \
        pthread_mutex_lock(&(self)->lock);      \
        reader_gone((reader), __VA_ARGS__);     \
        pthread_mutex_unlock(&(self)->lock);    \
    } while (0)

/* It lacks the newest frame, though it was sent it; one that gets every frame has it behind those that wait for it. */
static void send_again(struct direct_sender *self, struct direct_reader *reader)
{
    pthread_mutex_lock(&self->lock);
    reader->serial = 0;
    if (reader->ring_frames > 0 && reader->ring_count == 0 && self->newest != NULL)
        reader_queue(reader, self->newest);
    pthread_mutex_unlock(&self->lock);
}

static void hear_one(struct direct_sender *self, struct direct_reader *reader,
                     void (*heard)(void *context, const struct direct_reader *reader), void *context)
{
    size_t most = self->pool.frame_bytes > BYTES_AT_ONCE ? self->pool.frame_bytes : BYTES_AT_ONCE, budget = most;

    size_t most_bytes = reader->may_write ? self->most_bytes : 0;
    for (int messages = 0; messages < MESSAGES_AT_ONCE; messages++) {
        enum input_result result = input_read(&reader->input, reader->fd, self->pool.frame_bytes, most_bytes, &budget);
        int error = errno;
        if (result == INPUT_MESSAGE)
            heard(context, reader);
        else if (result == INPUT_AGAIN)
            send_again(self, reader);
        else if (result == INPUT_LEFT)
            GONE(self, reader, "left");
        else if (result == INPUT_FAILED)
            GONE(self, reader, "cannot be heard: %s", strerror(error));
        else if (result == INPUT_BAD)
            GONE(self, reader, "%s", reader->input.wrong);
        if (result != INPUT_MESSAGE && result != INPUT_AGAIN)
            break;
    }
    if (budget < most)
        reader->heard_ns = monotonic_ns();
}

void direct_sender_hear(struct direct_sender *self,
                        void (*heard)(void *context, const struct direct_reader *reader), void *context)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(self->hearing, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct direct_reader *reader = direct_sender_find(self, events[i].data.u64);
        if (reader != NULL)
            hear_one(self, reader, heard, context);
    }
    if (count == EVENTS) /* some may have spoken that were not looked at, and look silent */
        return;
    int64_t now = monotonic_ns();
    for (unsigned i = 0; i < self->count; i++)
        if (now - self->readers[i]->heard_ns >= DNET_SILENCE_NS)
            GONE(self, self->readers[i], "was silent for %lld s", DNET_SILENCE_NS / DIRECT_SECOND_NS);
}

/* Of a reader that may not write there is none. */
static void no_message(void *context, const struct direct_reader *reader)
{
    (void)context;
    (void)reader;
}

bool direct_sender_is_spoken_to(struct direct_sender *self)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(self->hearing, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct direct_reader *reader = direct_sender_find(self, events[i].data.u64);
        if (reader == NULL || reader->may_write)
            return true;
        hear_one(self, reader, no_message, NULL);
        pthread_mutex_lock(&self->lock);
        bool is_for_caller = reader->is_gone || reader->serial == 0;
        pthread_mutex_unlock(&self->lock);
        if (is_for_caller)
            return true;
    }
    return false;
}

void direct_sender_echo(struct direct_sender *self, uint64_t id, uint64_t counter)
{
    pthread_mutex_lock(&self->lock);
    struct direct_reader *reader = direct_sender_find(self, id);
    if (reader != NULL) {
        reader->echo = counter;
        reader->has_echo = true;
    }
    pthread_mutex_unlock(&self->lock);
}

struct direct_figures direct_sender_figures(struct direct_sender *self, unsigned index)
{
    pthread_mutex_lock(&self->lock);
    const struct direct_reader *reader = self->readers[index];
    struct direct_figures figures = {reader->id, reader->frames, reader->dropped, reader->payload_bytes,
                                     reader->is_behind};
    pthread_mutex_unlock(&self->lock);
    return figures;
}
