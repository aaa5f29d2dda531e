#define _GNU_SOURCE
#include "direct_receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "huge_pages.h"

/* With a heartbeat each second that makes four wake-ups a second of an idle reader. */
#define WAIT_US 300000
/* Of messages up to this size whatever has come is read at once; larger ones are read one by one. */
#define SMALL_BYTES (128u << 10)
#define ROOM_BYTES (512u << 10)
/* Of a larger frame the header is read by itself, and the rest, where that may be, into the mirror: that spares a copy, which
 * costs more than the two system calls that it takes. */
#ifndef DIRECT_STRAIGHT_BYTES
#define DIRECT_STRAIGHT_BYTES (16u << 10)
#endif
/* Frames that came in a burst are all written as long as that takes next to no time: up to so many bytes of them. If more
 * wait behind a frame, it is passed over. */
#define BURST_BYTES (256u << 10)
/* While large frames pour in faster than they are taken out, one is taken after so many at the latest. */
#define MOST_PASSED_OVER 4

int direct_receiver_init(struct direct_receiver *self, int fd, bool is_every, bool is_packed)
{
    struct timeval wait = {.tv_usec = WAIT_US};
    int on = 1, flags = fcntl(fd, F_GETFL);

    memset(self, 0, sizeof *self);
    self->fd = fd;
    self->is_every = is_every;
    self->unpacking.is_wanted = is_packed;
    self->heard_ns = monotonic_ns();
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
        return errno;
    /* A socket of another kind needs none of these. Urgent bytes lie among the others. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
    return 0;
}

void direct_receiver_close(struct direct_receiver *self, bool is_abrupt)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (self->fd >= 0 && is_abrupt)
        (void)setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    free(self->buffer);
    self->buffer = NULL;
    self->capacity = self->begin = self->end = 0;
    direct_unpacking_free(&self->unpacking);
}

/* -- bytes */

bool receiver_has_room(struct direct_receiver *self, size_t bytes)
{
    if (self->begin > 0) {
        self->end -= self->begin;
        memmove(self->buffer, self->buffer + self->begin, self->end);
        self->begin = 0;
    }
    if (bytes <= self->capacity)
        return true;
    size_t capacity = bytes > ROOM_BYTES ? bytes : ROOM_BYTES;
    unsigned char *buffer = realloc(self->buffer, capacity);
    if (buffer == NULL)
        return false;
    huge_pages_wish(buffer, capacity);
    self->buffer = buffer;
    self->capacity = capacity;
    return true;
}

ssize_t receiver_take(const struct direct_receiver *self, struct iovec parts[2], int how)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = recvmsg(self->fd, &message, how);
    size_t left = got > 0 ? (size_t)got : 0;
    for (int part = 0; part < 2; part++) {
        size_t gone = left < parts[part].iov_len ? left : parts[part].iov_len;
        parts[part].iov_base = (unsigned char *)parts[part].iov_base + gone;
        parts[part].iov_len -= gone;
        left -= gone;
    }
    return got;
}

/* Who sends a little now and then keeps nobody here for longer than signals may wait. */
ssize_t receiver_wait(const struct direct_receiver *self, struct iovec parts[2], bool is_all)
{
    size_t wanted = parts[0].iov_len + parts[1].iov_len, here = 0;
    int64_t now = self->spin_ns > 0 ? monotonic_ns() : 0, end = now + self->spin_ns, last = now + SIGNALS_NS;
    for (; now < end && now < last; now = monotonic_ns()) {
        ssize_t got = receiver_take(self, parts, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
            return here > 0 ? (ssize_t)here : got;
        if (got > 0) {
            here += (size_t)got;
            if (!is_all || here == wanted)
                return (ssize_t)here;
            end = monotonic_ns() + self->spin_ns;
        }
    }
    return here > 0 ? (ssize_t)here : receiver_take(self, parts, is_all ? MSG_WAITALL : 0);
}

void receiver_heard(struct direct_receiver *self)
{
    int on = 1;
    if (self->is_quick) /* the kernel forgets it now and then */
        (void)setsockopt(self->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    self->heard_ns = monotonic_ns();
}

int receiver_came(struct direct_receiver *self, ssize_t got)
{
    if (got < 0 && errno == EINTR)
        return FRAMES_INTERRUPTED;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return FRAMES_TIMEOUT;
    snprintf(self->wrong, sizeof self->wrong, "%s", got == 0 ? "the owner closed the connection" : strerror(errno));
    return DIRECT_CLOSED;
}

/* Have at most so many bytes more; if `is_all`, as many. */
static int fill(struct direct_receiver *self, size_t wanted, bool is_all)
{
    struct iovec parts[2] = {{self->buffer + self->end, wanted}, {NULL, 0}};
    ssize_t got = self->spin_ns > 0 ? receiver_wait(self, parts, is_all)
                                    : recv(self->fd, self->buffer + self->end, wanted, is_all ? MSG_WAITALL : 0);
    if (got > 0) {
        self->end += (size_t)got;
        receiver_heard(self);
        return FRAMES_OK;
    }
    return receiver_came(self, got);
}

/* Have more of a message that has so many bytes; whether that is certain, as its header is here, or what usually comes. */
static int fill_for(struct direct_receiver *self, size_t message_bytes, bool is_certain, bool may_be_straight)
{
    size_t here = self->end - self->begin;
    bool is_small = message_bytes <= SMALL_BYTES;
    if (!receiver_has_room(self, message_bytes))
        return DIRECT_FAILED;
    if (may_be_straight && !is_certain)
        return fill(self, DNET_HEADER_BYTES - here, false);
    return fill(self, is_small ? self->capacity - here : message_bytes - here, is_certain && !is_small);
}

size_t receiver_left(const struct direct_receiver *self, const struct dnet_header *header)
{
    size_t message_bytes = DNET_HEADER_BYTES + (size_t)header->payload_bytes, here = self->end - self->begin;
    return here < message_bytes ? message_bytes - here : 0;
}

/* Frames that come one behind the other are read with as few calls as can be, unless they are large. */
static bool may_go_straight(const struct direct_receiver *self, uint64_t frame_bytes, const struct receiver_straight *straight)
{
    if (straight == NULL || self->unpacking.is_wanted || frame_bytes <= DIRECT_STRAIGHT_BYTES)
        return false;
    return !self->is_dense || (straight->is_spare && frame_bytes > SMALL_BYTES);
}

int receiver_next(struct direct_receiver *self, uint64_t frame_bytes, const struct receiver_straight *straight,
                  int64_t until_ns, struct dnet_header *header)
{
    bool may_be_straight = may_go_straight(self, frame_bytes, straight);
    if (self->is_cut)
        return DIRECT_CLOSED;
    /* A header that is here alone is no wait yet: what belongs to it comes along. */
    for (bool has_waited = false;; has_waited = self->end - self->begin != DNET_HEADER_BYTES) {
        size_t here = self->end - self->begin;
        bool is_certain = here >= DNET_HEADER_BYTES;
        size_t message_bytes = DNET_HEADER_BYTES + (frame_bytes == 0 ? 0 : (size_t)frame_bytes + DNET_TRAILER_BYTES);
        if (is_certain) {
            memcpy(header, self->buffer + self->begin, sizeof *header);
            int wrong = receiver_check(self, header, frame_bytes);
            if (wrong != FRAMES_OK)
                return wrong;
            message_bytes = DNET_HEADER_BYTES + (size_t)header->payload_bytes;
            if (here >= message_bytes || (may_be_straight && receiver_goes_straight(self, header, straight)))
                return FRAMES_OK;
        }
        if (has_waited && self->heard_ns >= until_ns)
            return FRAMES_TIMEOUT; /* it comes, but slowly */
        int result = fill_for(self, message_bytes, is_certain, may_be_straight);
        if (result != FRAMES_OK)
            return result;
    }
}

void receiver_consume(struct direct_receiver *self, const struct dnet_header *header)
{
    self->begin += DNET_HEADER_BYTES + (size_t)header->payload_bytes - receiver_left(self, header);
    if (self->begin == self->end)
        self->begin = self->end = 0;
}

/* -- messages */

int receiver_unpack(struct direct_receiver *self, const struct dnet_header *header, size_t frame_bytes,
                    const unsigned char **frame)
{
    bool has_memory;
    *frame = direct_unpacking_take(&self->unpacking, header, *frame, frame_bytes, &has_memory);
    if (!has_memory)
        return DIRECT_FAILED;
    return *frame != NULL ? FRAMES_OK : receiver_refuse(self, "what is packed in frame %llu is no frame", header->cnt0);
}

int receiver_hand_over(struct direct_receiver *self, const struct dnet_header *header, size_t frame_bytes,
                       struct direct_message *message)
{
    message->header = *header;
    message->payload = self->buffer + self->begin + DNET_HEADER_BYTES;
    if (header->kind == DNET_FRAME && header->flags & DNET_PACKED) {
        int result = receiver_unpack(self, header, frame_bytes, &message->payload);
        if (result != FRAMES_OK)
            return result;
        message->header = direct_unpacking_header(header, frame_bytes);
    }
    receiver_consume(self, header);
    return DIRECT_OTHER;
}

static bool is_newer(const unsigned char *raw, const struct dnet_header *than, bool is_packed)
{
    struct dnet_header header;
    memcpy(&header, raw, sizeof header);
    return header.magic == DNET_MAGIC && header.version == DNET_VERSION && header.kind == DNET_FRAME &&
           (header.flags & DNET_ECHO) == 0 && (is_packed || header.payload_bytes == than->payload_bytes) &&
           header.cnt0 > than->cnt0;
}

/* The same where frames are packed, each of another size: whether the next one is here whole. */
static bool is_packed_behind(struct direct_receiver *self, const struct dnet_header *header, size_t behind)
{
    unsigned char raw[DNET_HEADER_BYTES];
    struct dnet_header next;
    int waiting = 0;
    if (self->passed_over_in_a_row >= MOST_PASSED_OVER || ioctl(self->fd, FIONREAD, &waiting) != 0 || waiting < 0)
        return false;
    if (behind >= sizeof raw)
        memcpy(raw, self->buffer + self->end - behind, sizeof raw);
    else if (behind > 0 || recv(self->fd, raw, sizeof raw, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)sizeof raw)
        return false;
    memcpy(&next, raw, sizeof next);
    /* The header may have come only after it was asked how much is here. */
    size_t here = behind + (size_t)waiting;
    return is_newer(raw, header, true) && here >= sizeof raw && here - sizeof raw >= next.payload_bytes;
}

bool receiver_is_behind(struct direct_receiver *self, const struct dnet_header *header)
{
    size_t message_bytes = DNET_HEADER_BYTES + (size_t)header->payload_bytes;
    size_t here = self->end - self->begin, behind = here > message_bytes ? here - message_bytes : 0;
    if (self->is_every)
        return false;
    if (self->unpacking.is_wanted)
        return is_packed_behind(self, header, behind);
    if (message_bytes <= SMALL_BYTES)
        return behind > BURST_BYTES && is_newer(self->buffer + self->begin + message_bytes, header, false);
    unsigned char raw[DNET_HEADER_BYTES];
    int waiting = 0;
    return behind == 0 && self->passed_over_in_a_row < MOST_PASSED_OVER && ioctl(self->fd, FIONREAD, &waiting) == 0 &&
           waiting > 0 && (size_t)waiting >= message_bytes &&
           recv(self->fd, raw, sizeof raw, MSG_PEEK | MSG_DONTWAIT) == (ssize_t)sizeof raw &&
           is_newer(raw, header, false);
}

int direct_receive(struct direct_receiver *self, uint64_t frame_bytes, int64_t until_ns, struct direct_message *message)
{
    for (;;) {
        struct dnet_header header;
        int result = receiver_next(self, frame_bytes, NULL, until_ns, &header);
        if (result != FRAMES_OK)
            return result;
        bool is_passed = header.kind == DNET_FRAME && (header.flags & DNET_ECHO) == 0 && receiver_is_behind(self, &header);
        if (header.kind != DNET_HEARTBEAT && !is_passed) {
            self->passed_over_in_a_row = 0;
            return receiver_hand_over(self, &header, (size_t)frame_bytes, message);
        }
        self->passed_over += is_passed;
        self->passed_over_in_a_row += is_passed;
        receiver_consume(self, &header);
        if (self->heard_ns >= until_ns)
            return FRAMES_TIMEOUT;
    }
}
