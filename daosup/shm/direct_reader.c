#define _GNU_SOURCE
#include "direct_reader.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "latency.h"

/* So many frame messages may be with the kernel that the network has not taken yet. */
#define UNSENT_FRAMES 2

struct direct_blob *direct_blob_make(const void *bytes, size_t length)
{
    struct direct_blob *blob = malloc(sizeof *blob + length);
    if (blob == NULL)
        return NULL;
    blob->references = 1;
    blob->length = length;
    memcpy(blob->bytes, bytes, length);
    return blob;
}

void direct_blob_release(struct direct_blob *blob)
{
    if (blob != NULL && --blob->references == 0)
        free(blob);
}

struct direct_reader *reader_make(int fd, bool is_ours, int64_t period_ns, unsigned ring_frames, int64_t now)
{
    struct direct_reader *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    if (ring_frames > 0 && (self->ring = calloc(ring_frames, sizeof *self->ring)) == NULL) {
        free(self);
        return NULL;
    }
    self->fd = fd;
    self->is_ours = is_ours;
    self->period_ns = period_ns;
    self->ring_frames = ring_frames;
    self->heard_ns = self->sent_ns = self->due_ns = now;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a frame is not to wait for the one after it */
    return self;
}

void reader_begin(struct direct_reader *self, size_t frame_bytes)
{
    size_t most = READER_RING_BYTES / (frame_bytes > 0 ? frame_bytes : 1);
    most = most > READER_RING_LEAST ? most : READER_RING_LEAST;
    self->ring_most = most < self->ring_frames ? (unsigned)most : self->ring_frames;
    reader_bound(self, frame_bytes);
}

void reader_bound(const struct direct_reader *self, size_t frame_bytes)
{
    size_t most = UNSENT_FRAMES * (DNET_HEADER_BYTES + frame_bytes + DNET_TRAILER_BYTES);
    unsigned unsent = most < INT32_MAX ? (unsigned)most : INT32_MAX;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

void reader_free(struct direct_reader *self, struct frame_pool *pool, bool is_abrupt)
{
    if (is_abrupt) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    close(self->fd);
    reader_discard(self, pool);
    for (; self->ring_count > 0; self->ring_count--) {
        frame_pool_release(pool, self->ring[self->ring_first]);
        self->ring_first = (self->ring_first + 1) % self->ring_frames;
    }
    while (self->answer_count > 0)
        direct_blob_release(self->answers[--self->answer_count]);
    input_free(&self->input);
    free(self->ring);
    free(self);
}

void reader_end(struct direct_reader *self, const struct pool_frame *last)
{
    bool has_ring = self->ring_frames > 0;
    uint64_t had = has_ring ? self->ring_counter : self->counter;
    if ((has_ring ? self->ring_opening : self->counter_opening) == last->opening && last->cnt0 > had)
        self->dropped += last->cnt0 - had;
}

void reader_queue(struct direct_reader *self, struct pool_frame *frame)
{
    if (self->ring_count >= self->ring_most)
        return;
    pool_frame_hold(frame);
    self->ring[(self->ring_first + self->ring_count) % self->ring_frames] = frame;
    self->ring_count++;
    self->ring_counter = frame->cnt0;
    self->ring_opening = frame->opening;
}

/* The frame that waits longest, if the reader knows what it is a frame of; one that it never will know is dropped. */
struct pool_frame *reader_next_in_ring(struct direct_reader *self, struct frame_pool *pool)
{
    while (self->ring_count > 0) {
        struct pool_frame *frame = self->ring[self->ring_first];
        if (frame->opening > self->opening)
            return NULL;
        self->ring_first = (self->ring_first + 1) % self->ring_frames;
        self->ring_count--;
        if (frame->opening == self->opening)
            return frame;
        self->dropped++;
        frame_pool_release(pool, frame);
    }
    return NULL;
}

struct direct_blob *reader_next_answer(struct direct_reader *self)
{
    if (self->answer_count == 0)
        return NULL;
    struct direct_blob *answer = self->answers[0];
    self->answer_count--;
    memmove(self->answers, self->answers + 1, self->answer_count * sizeof *self->answers);
    return answer;
}

static void set_parts(struct direct_reader *self, struct iovec first, struct iovec second, int count)
{
    self->parts[0] = first;
    self->parts[1] = second;
    self->part = self->parts;
    self->parts_left = count;
}

void reader_take_blob(struct direct_reader *self, struct direct_blob *blob)
{
    struct iovec none = {0};
    self->blob = blob;
    set_parts(self, (struct iovec){.iov_base = blob->bytes, .iov_len = blob->length}, none, 1);
}

void reader_take_heartbeat(struct direct_reader *self)
{
    struct iovec none = {0};
    self->header = (struct dnet_header){.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_HEARTBEAT};
    set_parts(self, (struct iovec){.iov_base = &self->header, .iov_len = sizeof self->header}, none, 1);
}

/* Once late, a reader with a rate is due a whole period later; else as if the last frame had come when it was due, or the
 * frames' own rhythm would eat into its rate. */
static void set_due(struct direct_reader *self, int64_t now)
{
    self->due_ns += self->period_ns;
    if (self->due_ns <= now)
        self->due_ns = now + self->period_ns;
}

void reader_take_frame(struct direct_reader *self, struct pool_frame *frame, int64_t now)
{
    if (self->counter_opening == frame->opening && frame->cnt0 > self->counter + 1)
        self->dropped += frame->cnt0 - self->counter - 1;
    self->counter = frame->cnt0;
    self->counter_opening = frame->opening;
    self->serial = frame->serial;
    if (self->period_ns > 0)
        set_due(self, now);
    self->frame = frame;
    self->header = (struct dnet_header){
        .magic = DNET_MAGIC,
        .version = DNET_VERSION,
        .kind = DNET_FRAME,
        .dropped = (uint32_t)self->dropped,
        .cnt0 = frame->cnt0,
        .sequence = self->frames + 1,
        .atime_ns = frame->atime_ns,
        .payload_bytes = frame->length + DNET_TRAILER_BYTES,
    };
    if (self->is_ours) {
        self->header.flags = DNET_HAS_FRAME_ID | frame->flags;
        self->header.reserved[0] = frame->cnt2;
        self->header.reserved[1] = (uint64_t)utc_ns();
    }
    if (self->has_echo && self->echo == frame->cnt0) {
        self->header.flags |= DNET_ECHO;
        self->has_echo = false;
    }
    set_parts(self, (struct iovec){.iov_base = &self->header, .iov_len = sizeof self->header},
              (struct iovec){.iov_base = frame->bytes, .iov_len = frame->length + DNET_TRAILER_BYTES}, 2);
}

enum reader_push reader_push(struct direct_reader *self)
{
    struct msghdr message = {.msg_iov = self->part, .msg_iovlen = (size_t)self->parts_left};
    ssize_t sent;

    do
        sent = sendmsg(self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? PUSH_PARTLY : PUSH_GONE;
    size_t left = (size_t)sent;
    while (self->parts_left > 0 && left >= self->part->iov_len) {
        left -= self->part->iov_len;
        self->part++;
        self->parts_left--;
    }
    if (self->parts_left == 0)
        return PUSH_DONE;
    self->part->iov_base = (unsigned char *)self->part->iov_base + left;
    self->part->iov_len -= left;
    return PUSH_PARTLY;
}

void reader_discard(struct direct_reader *self, struct frame_pool *pool)
{
    frame_pool_release(pool, self->frame);
    direct_blob_release(self->blob);
    self->frame = NULL;
    self->blob = NULL;
    self->parts_left = 0;
}

void reader_sent(struct direct_reader *self, struct frame_pool *pool, int64_t now)
{
    if (self->frame != NULL) {
        self->frames++;
        self->payload_bytes += self->frame->length;
    }
    self->sent_ns = now;
    reader_discard(self, pool);
}

void reader_gone(struct direct_reader *self, const char *reason, ...)
{
    va_list arguments;
    if (self->is_gone)
        return; /* the first reason is the cause of the others */
    va_start(arguments, reason);
    vsnprintf(self->reason, sizeof self->reason, reason, arguments);
    va_end(arguments);
    self->is_gone = true;
}
