/* The bits of a frame in another order, in which what changes little from element to element packs better: of each block
 * of elements first bit 0 of all of them, then bit 1, and so on.
 *
 * A block has SHUFFLE_ELEMENTS elements, the last one what is left; elements beyond a multiple of 8, and bytes beyond whole
 * elements, stay as they are.
 */
#ifndef DAOSUP_SHUFFLE_H
#define DAOSUP_SHUFFLE_H

#include <stddef.h>

#define SHUFFLE_ELEMENTS 4096
#define SHUFFLE_ELEMENT_MOST 16

/* From one place to another of as many bytes; elements have 1 to SHUFFLE_ELEMENT_MOST bytes. */
void shuffle(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes);
void unshuffle(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes);

#endif
