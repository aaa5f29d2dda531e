/* What goes before each frame: 64 bytes, as many as both of daosup's protocols have. */
#ifndef BARE_WIRE_H
#define BARE_WIRE_H

#include <stdint.h>

#define WIRE_MAGIC 0x45524142u

struct wire {
    uint32_t magic;
    uint32_t reserved;
    uint64_t counter;
    uint64_t frame_bytes;
    int64_t atime_ns;
    uint64_t padding[4];
};
_Static_assert(sizeof(struct wire) == 64, "no compiler's padding");

#endif
