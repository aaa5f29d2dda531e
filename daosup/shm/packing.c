#include "packing.h"

#include "liblz4.h"
#include "shuffle.h"

_Static_assert(PACKING_ELEMENT_MOST == SHUFFLE_ELEMENT_MOST, "elements that can be shuffled");

bool packing_load(void)
{
    return liblz4_load();
}

size_t pack(const unsigned char *from, unsigned char *into, size_t bytes, size_t element_bytes, unsigned char *scratch)
{
    if (bytes < 2 || bytes > LIBLZ4_MOST_BYTES)
        return 0;
    shuffle(from, scratch, bytes, element_bytes);
    int length = liblz4.compress((const char *)scratch, (char *)into, (int)bytes, (int)bytes - 1);
    return length > 0 ? (size_t)length : 0;
}

bool unpack(const unsigned char *from, size_t packed_bytes, unsigned char *into, size_t bytes, size_t element_bytes,
            unsigned char *scratch)
{
    if (element_bytes < 1 || element_bytes > PACKING_ELEMENT_MOST || bytes > LIBLZ4_MOST_BYTES || packed_bytes >= bytes)
        return false;
    if (liblz4.decompress((const char *)from, (char *)scratch, (int)packed_bytes, (int)bytes) != (int)bytes)
        return false;
    unshuffle(scratch, into, bytes, element_bytes);
    return true;
}
