#define _GNU_SOURCE
#include "direct_taking.h"

#include <stdio.h>
#include <string.h>

#include "latency.h"

/* Frames that come one behind the other are read at once, with what is behind them: each call counts then. */
#define DENSE_NS 200000

static uint64_t frame_id(const struct dnet_header *header)
{
    return header->flags & DNET_HAS_FRAME_ID ? header->reserved[0] : header->cnt0;
}

/* Whether frames go to a slot of a FIFO at which nobody looks until they are there. */
static bool has_spare(const struct direct_taking *taking)
{
    return taking->frames->depth > 1;
}

/* Ours send frames only whole. */
static int torn(struct direct_receiver *self, const struct dnet_header *header)
{
    return receiver_refuse(self, "frame %llu has another counter behind it", header->cnt0);
}

/* What was read of it went there; and what was kept of it may be none of it. */
static int lost(struct direct_receiver *self, const struct dnet_header *header)
{
    if (!self->is_cut)
        snprintf(self->wrong, sizeof self->wrong, "the mirror was lost while frame %llu was written",
                 (unsigned long long)header->cnt0);
    self->is_cut = true;
    return FRAMES_LOST;
}

/* What is not here of the frame at the beginning goes from the socket into the mirror; or it `is_passed` over. FRAMES_BUSY:
 * some of it is still to come. */
static int write_straight(struct direct_receiver *self, struct direct_taking *taking, const struct dnet_header *header,
                          bool *is_passed)
{
    struct frames *frames = taking->frames;
    struct frames_write write;
    uint64_t after = 0;
    bool is_spare = has_spare(taking);
    unsigned char *into = frames_begin(frames, &write);
    if (into == NULL)
        return FRAMES_LOST;
    int result = receiver_read_straight(self, header, is_spare, into, &after);
    if (result == FRAMES_OK) {
        bool is_torn = after != header->cnt0;
        *is_passed = is_spare && (is_torn || receiver_is_behind(self, header));
        if (!is_torn && !*is_passed)
            return frames_end(frames, &write, frame_id(header), header->atime_ns) == FRAMES_OK ? FRAMES_OK : lost(self, header);
        if (is_torn && header->flags & DNET_HAS_FRAME_ID) {
            self->is_cut = true;
            result = torn(self, header);
        }
    }
    frames_abandon(frames, &write, is_spare);
    if (result == FRAMES_OK || result == DIRECT_BAD || !(self->is_cut ? frames_lost(frames) : frames_spoiled(frames)))
        return result;
    return lost(self, header);
}

/* The frame at the beginning, which is here whole; or it `is_passed` over. */
static int write_whole(struct direct_receiver *self, struct direct_taking *taking, const struct dnet_header *header,
                       bool *is_passed)
{
    const unsigned char *frame = self->buffer + self->begin + DNET_HEADER_BYTES;
    uint64_t after;
    memcpy(&after, frame + header->payload_bytes - DNET_TRAILER_BYTES, sizeof after);
    bool is_torn = after != header->cnt0;
    if (is_torn && header->flags & DNET_HAS_FRAME_ID)
        return torn(self, header);
    *is_passed = is_torn || receiver_is_behind(self, header);
    if (*is_passed)
        return FRAMES_OK;
    if (header->flags & DNET_PACKED) {
        int result = receiver_unpack(self, header, taking->frames->frame_bytes, &frame);
        if (result != FRAMES_OK)
            return result;
    }
    return (int)frames_commit(taking->frames, frame, frame_id(header), header->atime_ns, FRAMES_ANY);
}

/* The frame at the beginning. */
static int take(struct direct_receiver *self, struct direct_taking *taking, const struct dnet_header *header)
{
    bool is_passed = false;
    if (header->cnt0 < taking->expected)
        return FRAMES_OK;
    int result = receiver_left(self, header) > 0 ? write_straight(self, taking, header, &is_passed)
                                                 : write_whole(self, taking, header, &is_passed);
    if (result != FRAMES_OK)
        return result;
    if (is_passed) {
        taking->passed_over++;
        self->passed_over_in_a_row++;
        return FRAMES_OK;
    }
    semaphores_post(taking->semaphores);
    struct statistics_frame noted = {.counter = header->cnt0,
                                     .skipped = header->cnt0 - taking->expected,
                                     .message_bytes = DNET_HEADER_BYTES + (size_t)header->payload_bytes,
                                     .written_ns = header->atime_ns};
    if (taking->page != NULL)
        statistics_note(taking->page, &noted, utc_ns());
    self->passed_over_in_a_row = 0;
    self->is_dense = self->heard_ns - self->taken_ns < DENSE_NS;
    self->taken_ns = self->heard_ns;
    taking->skipped += noted.skipped;
    taking->gaps += noted.skipped > 0;
    taking->expected = header->cnt0 + 1;
    taking->taken++;
    taking->taken_bytes += noted.message_bytes;
    return FRAMES_OK;
}

int direct_take(struct direct_receiver *self, struct direct_taking *taking, struct direct_message *message)
{
    int64_t look_ns = monotonic_ns() + SIGNALS_NS;
    for (;;) {
        struct dnet_header header;
        struct receiver_straight straight = {.from = taking->expected, .is_spare = has_spare(taking)};
        int64_t until_ns = look_ns < taking->until_ns ? look_ns : taking->until_ns;
        int result = receiver_next(self, taking->frames->frame_bytes, &straight, until_ns, &header);
        if (result == FRAMES_TIMEOUT && self->heard_ns >= until_ns && until_ns < taking->until_ns) {
            statistics_beat(taking->page, self->heard_ns); /* a frame comes, but slowly */
            return FRAMES_INTERRUPTED;
        }
        if (result != FRAMES_OK)
            return result;
        bool is_frame = header.kind == DNET_FRAME && (header.flags & DNET_ECHO) == 0;
        if (!is_frame && header.kind != DNET_HEARTBEAT)
            return receiver_hand_over(self, &header, taking->frames->frame_bytes, message);
        if (is_frame) {
            result = take(self, taking, &header);
            if (result != FRAMES_OK && result != FRAMES_BUSY)
                return result;
        }
        if (result != FRAMES_BUSY)
            receiver_consume(self, &header);
        statistics_beat(taking->page, self->heard_ns);
        if (self->heard_ns >= taking->until_ns)
            return result == FRAMES_BUSY ? FRAMES_TIMEOUT : FRAMES_OK;
        if (self->heard_ns >= look_ns)
            return FRAMES_INTERRUPTED;
    }
}
