/* A part of a frame: of each axis, from where to where and every how manyth element.
 *
 * Invariant: a cut that is possible of a frame lies wholly within it; what is cut out is C-contiguous.
 */
#ifndef DAOSUP_CUT_H
#define DAOSUP_CUT_H

#include <stdbool.h>
#include <stddef.h>

#define CUT_AXES 3

/* In C order. A frame with fewer axes has leading ones of length 1. */
struct cut {
    size_t element_bytes;
    size_t length[CUT_AXES]; /* of the frame */
    size_t first[CUT_AXES], count[CUT_AXES], step[CUT_AXES];
};

/* Whether it is one of frames of that size. Elements have 1, 2, 4, 8 or 16 bytes. */
bool cut_is_possible(const struct cut *self, size_t frame_bytes);
/* Of one that is possible. */
size_t cut_bytes(const struct cut *self);
void cut_out(const struct cut *self, const unsigned char *frame, unsigned char *part);

#endif
