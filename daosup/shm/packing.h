/* A frame packed for a slow line: its bits in another order (shuffle.h), as one block of LZ4.
 *
 * Invariant: what comes out of a packed frame is exactly as long as was said, whatever was in it; else nothing does.
 */
#ifndef DAOSUP_PACKING_H
#define DAOSUP_PACKING_H

#include <stdbool.h>
#include <stddef.h>

#define PACKING_ELEMENT_MOST 16

/* Whether both can be done here. */
bool packing_load(void);
/* How many bytes it has then; 0: it does not get smaller than `bytes`. `into` and `scratch` have room for as many. */
size_t pack(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes, unsigned char *scratch);
/* False: it is no such frame. `into` and `scratch` have room for `bytes`. */
bool unpack(const unsigned char *from, size_t packed_bytes, unsigned char *into, size_t bytes, size_t element_bytes,
            unsigned char *scratch);

#endif
