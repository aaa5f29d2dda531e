#include "direct_unpacking.h"

#include <stdlib.h>
#include <string.h>

#include "huge_pages.h"
#include "packing.h"

#define ELEMENT_MASK (0xFFFFu << DNET_ELEMENT_SHIFT)

void direct_unpacking_free(struct direct_unpacking *self)
{
    free(self->frame);
    free(self->scratch);
    self->frame = self->scratch = NULL;
    self->bytes = 0;
}

bool direct_unpacking_is_possible(const struct direct_unpacking *self, const struct dnet_header *header, uint64_t frame_bytes)
{
    uint32_t element_bytes = header->flags >> DNET_ELEMENT_SHIFT;
    return self->is_wanted && header->payload_bytes > DNET_TRAILER_BYTES &&
           header->payload_bytes < frame_bytes + DNET_TRAILER_BYTES && element_bytes > 0 &&
           frame_bytes % element_bytes == 0;
}

static bool has_room(struct direct_unpacking *self, size_t frame_bytes)
{
    if (self->bytes >= frame_bytes)
        return true;
    direct_unpacking_free(self);
    self->frame = malloc(frame_bytes + DNET_TRAILER_BYTES);
    self->scratch = malloc(frame_bytes);
    if (self->frame == NULL || self->scratch == NULL)
        return false;
    huge_pages_wish(self->frame, frame_bytes);
    huge_pages_wish(self->scratch, frame_bytes);
    self->bytes = frame_bytes;
    return true;
}

const unsigned char *direct_unpacking_take(struct direct_unpacking *self, const struct dnet_header *header,
                                           const unsigned char *payload, size_t frame_bytes, bool *has_memory)
{
    size_t packed_bytes = (size_t)header->payload_bytes - DNET_TRAILER_BYTES;
    *has_memory = has_room(self, frame_bytes);
    if (!*has_memory ||
        !unpack(payload, packed_bytes, self->frame, frame_bytes, header->flags >> DNET_ELEMENT_SHIFT, self->scratch))
        return NULL;
    memcpy(self->frame + frame_bytes, payload + packed_bytes, DNET_TRAILER_BYTES);
    return self->frame;
}

struct dnet_header direct_unpacking_header(const struct dnet_header *header, size_t frame_bytes)
{
    struct dnet_header whole = *header;
    whole.flags &= ~(DNET_PACKED | ELEMENT_MASK);
    whole.payload_bytes = frame_bytes + DNET_TRAILER_BYTES;
    return whole;
}
