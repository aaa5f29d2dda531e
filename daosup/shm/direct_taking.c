#define _GNU_SOURCE
#include "direct_taking.h"

#include <string.h>

#include "latency.h"

/* The frame at the beginning, which is here whole. */
static int take(struct direct_receiver *self, struct direct_taking *taking, const struct dnet_header *header)
{
    const unsigned char *frame = self->buffer + self->begin + DNET_HEADER_BYTES;
    uint64_t after;
    memcpy(&after, frame + header->payload_bytes - DNET_TRAILER_BYTES, sizeof after);
    if (header->cnt0 < taking->expected)
        return FRAMES_OK;
    if (after != header->cnt0 || receiver_is_behind(self, header)) {
        taking->passed_over++;
        self->passed_over_in_a_row++;
        return FRAMES_OK;
    }
    if (header->flags & DNET_PACKED) {
        int result = receiver_unpack(self, header, taking->frames->frame_bytes, &frame);
        if (result != FRAMES_OK)
            return result;
    }
    uint64_t cnt2 = header->flags & DNET_HAS_FRAME_ID ? header->reserved[0] : header->cnt0;
    int result = (int)frames_commit(taking->frames, frame, cnt2, header->atime_ns, FRAMES_ANY);
    if (result != FRAMES_OK)
        return result;
    semaphores_post(taking->semaphores);
    struct statistics_frame noted = {.counter = header->cnt0,
                                     .skipped = header->cnt0 - taking->expected,
                                     .message_bytes = DNET_HEADER_BYTES + taking->frames->frame_bytes + DNET_TRAILER_BYTES,
                                     .written_ns = header->atime_ns};
    if (taking->page != NULL)
        statistics_note(taking->page, &noted, utc_ns());
    self->passed_over_in_a_row = 0;
    taking->skipped += noted.skipped;
    taking->gaps += noted.skipped > 0;
    taking->expected = header->cnt0 + 1;
    taking->taken++;
    return FRAMES_OK;
}

int direct_take(struct direct_receiver *self, struct direct_taking *taking, struct direct_message *message)
{
    int64_t look_ns = monotonic_ns() + SIGNALS_NS;
    for (;;) {
        struct dnet_header header;
        int result = receiver_next(self, taking->frames->frame_bytes, taking->until_ns, &header);
        if (result != FRAMES_OK)
            return result;
        bool is_frame = header.kind == DNET_FRAME && (header.flags & DNET_ECHO) == 0;
        if (!is_frame && header.kind != DNET_HEARTBEAT)
            return receiver_hand_over(self, &header, taking->frames->frame_bytes, message);
        if (is_frame) {
            result = take(self, taking, &header);
            if (result != FRAMES_OK)
                return result;
        }
        receiver_consume(self, &header);
        statistics_beat(taking->page, self->heard_ns);
        if (self->heard_ns >= taking->until_ns)
            return FRAMES_OK;
        if (self->heard_ns >= look_ns)
            return FRAMES_INTERRUPTED;
    }
}
