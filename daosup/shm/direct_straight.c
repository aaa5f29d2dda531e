/* Frames that go from the socket to where they are wanted, past the memory in which other messages are put together. */
#define _GNU_SOURCE
#include "direct_receiver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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

/* All of it waits in the socket: one call, unless some bytes are urgent. */
static ssize_t take_what_waits(const struct direct_receiver *self, struct iovec parts[2])
{
    ssize_t got = 1;
    while (got > 0 && parts[1].iov_len > 0)
        got = receiver_take(self, parts, MSG_DONTWAIT);
    return got;
}

/* What has come of it goes to where it would have gone otherwise. */
static void put_back(struct direct_receiver *self, const unsigned char *frame, size_t frame_bytes, const uint64_t *counter,
                     size_t got)
{
    size_t of_frame = got < frame_bytes ? got : frame_bytes;
    memcpy(self->buffer + self->end, frame, of_frame);
    memcpy(self->buffer + self->end + of_frame, counter, got - of_frame);
    self->end += got;
}

int receiver_read_straight(struct direct_receiver *self, const struct dnet_header *header, bool is_spare,
                           unsigned char *into, uint64_t *counter)
{
    if (is_spare && !receiver_has_room(self, DNET_HEADER_BYTES + (size_t)header->payload_bytes))
        return DIRECT_FAILED;
    size_t here = self->end - self->begin - DNET_HEADER_BYTES;
    size_t missing = receiver_left(self, header) - DNET_TRAILER_BYTES;
    struct iovec parts[2] = {{into + here, missing}, {counter, sizeof *counter}};
    memcpy(into, self->buffer + self->begin + DNET_HEADER_BYTES, here);
    ssize_t got = is_spare ? receiver_wait(self, parts, true) : take_what_waits(self, parts);
    if (got > 0)
        receiver_heard(self);
    if (parts[1].iov_len == 0) {
        self->begin = self->end = 0;
        self->straight++;
        return FRAMES_OK;
    }
    if (is_spare && got > 0) {
        put_back(self, into + here, missing, counter, (size_t)got);
        return FRAMES_BUSY;
    }
    if (is_spare && (got == 0 || errno != EFAULT))
        return receiver_came(self, got);
    self->is_cut = true;
    snprintf(self->wrong, sizeof self->wrong, "a frame could not be read to its end: %s",
             got < 0 ? strerror(errno) : "some of it is not there any more");
    return DIRECT_CLOSED;
}
