/* Frames that go from the socket to where they are wanted, past the memory in which other messages are put together. */
#define _GNU_SOURCE
#include "direct_receiver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A frame, from where it is missing on, and the counter behind it. */
struct missing {
    unsigned char *frame;
    size_t frame_bytes;
    uint64_t *counter;
    size_t got; /* of both */
};

bool receiver_goes_straight(const struct direct_receiver *self, const struct dnet_header *header,
                            const struct receiver_straight *straight)
{
    size_t left = receiver_left(self, header);
    int waiting = 0;
    if (header->kind != DNET_FRAME || header->flags & (DNET_ECHO | DNET_PACKED) || header->cnt0 < straight->from ||
        left <= DNET_TRAILER_BYTES)
        return false;
    if (straight->is_spare)
        return true;
    /* Only ours are known to be whole before their last bytes are read. */
    return header->flags & DNET_HAS_FRAME_ID && ioctl(self->fd, FIONREAD, &waiting) == 0 && waiting > 0 &&
           (size_t)waiting == left;
}

static size_t wanted(const struct missing *missing)
{
    return missing->frame_bytes + sizeof *missing->counter;
}

static ssize_t receive(const struct direct_receiver *self, struct missing *missing, int how)
{
    size_t of_frame = missing->got < missing->frame_bytes ? missing->got : missing->frame_bytes;
    size_t of_counter = missing->got - of_frame;
    struct iovec parts[2] = {{missing->frame + of_frame, missing->frame_bytes - of_frame},
                             {(unsigned char *)missing->counter + of_counter, sizeof *missing->counter - of_counter}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t more = recvmsg(self->fd, &message, how);
    if (more > 0)
        missing->got += (size_t)more;
    return more;
}

/* All of it waits in the socket: one call, unless some bytes are urgent. */
static ssize_t take_what_waits(const struct direct_receiver *self, struct missing *missing)
{
    ssize_t more = 1;
    while (more > 0 && missing->got < wanted(missing))
        more = receive(self, missing, MSG_DONTWAIT);
    return more;
}

/* One call here, too; or, before it sleeps, as many as find something within spin_ns, and not for ever. */
static ssize_t wait_for_more(const struct direct_receiver *self, struct missing *missing)
{
    int64_t now = self->spin_ns > 0 ? monotonic_ns() : 0, end = now + self->spin_ns, last = now + SIGNALS_NS;
    ssize_t more = 0;
    for (; now < end && now < last && missing->got < wanted(missing); now = monotonic_ns()) {
        more = receive(self, missing, MSG_DONTWAIT);
        if (more == 0 || (more < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
            return more;
        if (more > 0)
            end = monotonic_ns() + self->spin_ns;
    }
    if (missing->got == wanted(missing) || (now >= last && missing->got > 0))
        return more;
    return receive(self, missing, MSG_WAITALL);
}

/* What has come of it goes to where it would have gone otherwise. */
static void put_back(struct direct_receiver *self, const struct missing *missing)
{
    size_t of_frame = missing->got < missing->frame_bytes ? missing->got : missing->frame_bytes;
    memcpy(self->buffer + self->end, missing->frame, of_frame);
    memcpy(self->buffer + self->end + of_frame, missing->counter, missing->got - of_frame);
    self->end += missing->got;
}

int receiver_read_straight(struct direct_receiver *self, const struct dnet_header *header, bool is_spare,
                           unsigned char *into, uint64_t *counter)
{
    if (is_spare && !receiver_has_room(self, DNET_HEADER_BYTES + (size_t)header->payload_bytes))
        return DIRECT_FAILED;
    size_t here = self->end - self->begin - DNET_HEADER_BYTES;
    struct missing missing = {.frame = into + here, .counter = counter,
                              .frame_bytes = receiver_left(self, header) - DNET_TRAILER_BYTES};
    memcpy(into, self->buffer + self->begin + DNET_HEADER_BYTES, here);
    ssize_t more = is_spare ? wait_for_more(self, &missing) : take_what_waits(self, &missing);
    int error = errno;
    if (missing.got > 0)
        receiver_heard(self);
    if (missing.got == wanted(&missing)) {
        self->begin = self->end = 0;
        self->straight++;
        return FRAMES_OK;
    }
    if (is_spare && (more >= 0 || error != EFAULT)) {
        put_back(self, &missing);
        errno = error;
        return missing.got > 0 ? FRAMES_BUSY : receiver_came(self, more);
    }
    self->is_cut = true;
    snprintf(self->wrong, sizeof self->wrong, "a frame could not be read to its end: %s",
             more < 0 ? strerror(error) : "some of it is not there any more");
    return DIRECT_CLOSED;
}
