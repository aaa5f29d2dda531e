/* Frames that come packed over a direct connection, made whole again.
 *
 * Invariant: what is not exactly a frame of the size described is none; no more memory is used than two such frames have.
 */
#ifndef DAOSUP_DIRECT_UNPACKING_H
#define DAOSUP_DIRECT_UNPACKING_H

#include <stdbool.h>
#include <stddef.h>

#include "dnet.h"

struct direct_unpacking {
    bool is_wanted; /* else none may come */
    unsigned char *frame, *scratch;
    size_t bytes; /* that there is room for in each */
};

void direct_unpacking_free(struct direct_unpacking *self);
/* Whether the header of a packed frame is one, where frames have so many bytes. */
bool direct_unpacking_is_possible(const struct direct_unpacking *self, const struct dnet_header *header, uint64_t frame_bytes);
/* The frame of a message that is here whole, with its counter behind it, until the next call. NULL: it is none; or, with
 * *has_memory false, there is no memory. */
const unsigned char *direct_unpacking_take(struct direct_unpacking *self, const struct dnet_header *header,
                                           const unsigned char *payload, size_t frame_bytes, bool *has_memory);
/* The same header, of a frame that is not packed. */
struct dnet_header direct_unpacking_header(const struct dnet_header *header, size_t frame_bytes);

#endif
