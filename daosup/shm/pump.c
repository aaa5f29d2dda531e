#define _GNU_SOURCE
#include "pump.h"

#include <errno.h>
#include <string.h>

/* While frames flow, readers are heard so often. */
#define LISTEN_NS 10000000LL
/* A message that took longer to come was waited for, so it came just now: not worth looking for a newer one. */
#define WAITED_NS 50000LL
/* While frames pour in faster than they are taken out, one is taken after so many at the latest. */
#define MOST_PASSED_OVER 4

bool outgoing_note(struct outgoing *self, uint64_t counter)
{
    if (counter < self->sent)
        return false;
    if (counter > self->sent + 1) {
        self->skipped += counter - self->sent - 1;
        self->gaps++;
    }
    self->sent = counter;
    self->sequence++;
    return true;
}

/* A frame that libzmq has no room for is dropped; that is what its readers asked for by being slow. */
static int outcome_of(int error)
{
    errno = error;
    return error == 0 || error == EAGAIN ? FRAMES_OK : PUMP_FAILED;
}

/* Our readers get their frame first, and readers of the old protocol a copy of the very same. */
static int hand_over(struct sending *self, libzmq_message *message)
{
    if (self->ends.begin_bytes == 0)
        return outcome_of(libzmq_hand_over(message, self->socket, 0));
    libzmq_message kept;
    libzmq.msg_init(&kept);
    int error = libzmq.msg_copy(&kept, message) != 0 ? errno : 0;
    if (error == 0)
        error = libzmq_hand_over(message, self->socket, 0);
    else
        libzmq.msg_close(message);
    if (error == 0 || error == EAGAIN) {
        const unsigned char *bytes = libzmq.msg_data(&kept);
        error = pickle_send(&self->ends, bytes + MESSAGE_HEADER_BYTES, self->frames->frame_bytes, self->socket);
    }
    libzmq.msg_close(&kept);
    return outcome_of(error);
}

/* The newest frame goes from the segment straight into memory that libzmq sends from. */
static int send_newest(struct sending *self)
{
    libzmq_message message;
    if (libzmq.msg_init_size(&message, MESSAGE_HEADER_BYTES + self->frames->frame_bytes) != 0)
        return PUMP_FAILED;
    unsigned char *bytes = libzmq.msg_data(&message);
    memcpy(bytes, self->header, MESSAGE_HEADER_BYTES);
    enum frames_result result =
        message_fill(self->frames, bytes, self->outgoing->sequence + 1, monotonic_ns() + self->read_ns);
    if (result == FRAMES_OK && !outgoing_note(self->outgoing, self->frames->cnt0))
        result = FRAMES_LOST;
    if (result != FRAMES_OK) {
        libzmq.msg_close(&message);
        return (int)result;
    }
    return hand_over(self, &message);
}

static bool has_arrived(void *socket)
{
    int events = 0;
    size_t length = sizeof events;
    return libzmq.getsockopt(socket, LIBZMQ_EVENTS, &events, &length) == 0 && (events & LIBZMQ_POLLIN);
}

static bool has_reader_spoken(struct sending *self, int64_t now)
{
    if (now < self->listen_ns)
        return false;
    self->listen_ns = now + LISTEN_NS;
    return has_arrived(self->socket);
}

int pump_send(struct sending *self)
{
    /* They have just been heard: however much they say, a frame goes out in between. */
    self->listen_ns = monotonic_ns() + LISTEN_NS;
    for (;;) {
        int result = (int)frames_wait(self->frames, self->semaphores, self->semaphore, self->outgoing->sent,
                                      self->deadline_ns);
        int64_t now = monotonic_ns();
        if (result == FRAMES_WOKEN)
            semaphores_kicked(self->semaphores); /* this is the answer */
        if (result != FRAMES_OK || now >= self->until_ns || has_reader_spoken(self, now))
            return result;
        /* The post of a frame that was there before we slept would end the next sleep for nothing. */
        semaphores_take(self->semaphores, self->semaphore);
        result = send_newest(self);
        if (result != FRAMES_OK)
            return result;
        if (semaphores_kicked(self->semaphores))
            return FRAMES_WOKEN;
        self->deadline_ns = now + self->rest_ns;
    }
}

/* The next message, or the newest one if frames are waiting. */
static int receive_newest(struct receiving *self)
{
    uint64_t newest = self->expected - 1;
    for (int tries = 0;; tries++) {
        int64_t began = monotonic_ns();
        if (libzmq.msg_recv(&self->message, self->socket, 0) < 0) /* also lets go of the message before */
            return errno == EAGAIN || errno == EINTR ? FRAMES_TIMEOUT : PUMP_FAILED;
        if (!message_belongs(self->frames, libzmq.msg_data(&self->message), libzmq.msg_size(&self->message), self->begin,
                             self->end))
            return PUMP_OTHER;
        if (monotonic_ns() - began > WAITED_NS || tries == MOST_PASSED_OVER || !has_arrived(self->socket))
            return FRAMES_OK;
        uint64_t counter = message_counter(libzmq.msg_data(&self->message));
        if (counter > newest) { /* a repeated one is no loss */
            newest = counter;
            self->passed_over++;
        }
    }
}

static int take_next(struct receiving *self)
{
    int result = receive_newest(self);
    if (result != FRAMES_OK)
        return result;
    const unsigned char *bytes = libzmq.msg_data(&self->message);
    if (message_counter(bytes) != self->expected)
        return PUMP_OTHER;
    result = (int)message_commit(self->frames, bytes);
    if (result == FRAMES_OK) {
        semaphores_post(self->semaphores);
        self->expected++;
        self->taken++;
    }
    return result;
}

int pump_receive(struct receiving *self)
{
    for (;;) {
        libzmq.msg_init(&self->message);
        int result = take_next(self);
        if (result == PUMP_OTHER)
            return result;
        /* At once, and not when the next one comes: its memory is still in the cache and is taken for that one. */
        int error = errno;
        libzmq.msg_close(&self->message);
        errno = error;
        if (result != FRAMES_OK || monotonic_ns() >= self->until_ns)
            return result;
    }
}
