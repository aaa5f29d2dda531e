/* Which messages an owner may send, by their headers. */
#include "direct_receiver.h"

#include <stdio.h>

/* As daosup/core/dnet.py has them. */
#define META_BYTES 288u
#define DESCRIPTION_BYTES 32u
#define MOST_KEYWORDS_BYTES (65535u * 120u)
#define MOST_ANSWER_BYTES 1024u
#define MOST_REASON_BYTES 255u

int receiver_refuse(struct direct_receiver *self, const char *what, uint64_t number)
{
    snprintf(self->wrong, sizeof self->wrong, what, (unsigned long long)number);
    return DIRECT_BAD;
}

static bool is_between(uint64_t bytes, uint64_t least, uint64_t most)
{
    return least <= bytes && bytes <= most;
}

/* Whether a message of that kind can have a payload of that size. */
static bool is_possible(uint16_t kind, uint64_t bytes)
{
    switch (kind) {
    case DNET_META:
        return is_between(bytes, META_BYTES, META_BYTES + MOST_KEYWORDS_BYTES);
    case DNET_DESCRIBE:
        return is_between(bytes, DESCRIPTION_BYTES, DESCRIPTION_BYTES + MOST_KEYWORDS_BYTES);
    case DNET_ANSWER:
        return is_between(bytes, 1, MOST_ANSWER_BYTES);
    case DNET_BYE:
        return bytes <= MOST_REASON_BYTES;
    default: /* heartbeat */
        return bytes == 0;
    }
}

int receiver_check(struct direct_receiver *self, const struct dnet_header *header, uint64_t frame_bytes)
{
    if (header->magic != DNET_MAGIC)
        return receiver_refuse(self, "no message begins with 0x%08llx", header->magic);
    if (header->version != DNET_VERSION)
        return receiver_refuse(self, "message of version %llu, expected 1", header->version);
    switch (header->kind) {
    case DNET_FRAME:
        if (frame_bytes == 0)
            return receiver_refuse(self, "frame of %llu bytes, and none is described", header->payload_bytes);
        if (header->flags & DNET_PACKED ? !direct_unpacking_is_possible(&self->unpacking, header, frame_bytes)
                                        : header->payload_bytes != frame_bytes + DNET_TRAILER_BYTES)
            return receiver_refuse(self, "frame of %llu bytes, with its counter, is not of the size described",
                                   header->payload_bytes);
        if (header->cnt0 > INT64_MAX)
            return receiver_refuse(self, "frame with counter %llu", header->cnt0);
        return FRAMES_OK;
    case DNET_META:
    case DNET_DESCRIBE:
    case DNET_ANSWER:
    case DNET_HEARTBEAT:
    case DNET_BYE:
        if (!is_possible(header->kind, header->payload_bytes))
            return receiver_refuse(self, "message of %llu bytes, and none of its kind has as many", header->payload_bytes);
        return FRAMES_OK;
    default:
        return receiver_refuse(self, "message of kind %llu from a sender of frames", header->kind);
    }
}
