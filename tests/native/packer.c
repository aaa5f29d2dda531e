/* Packs frames, to be built with sanitizers.
 *
 *     packer < FRAMES
 *
 * Each frame is two 32-bit numbers, how many bytes it has and of how many its elements are, and the bytes. For each there is
 * a 32-bit number, how many bytes it has packed, and those; 0 if it does not get smaller. Each is also unpacked, and has to
 * be as it was.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packing.h"

int main(void)
{
    uint32_t numbers[2];
    if (!packing_load())
        return 2;
    while (fread(numbers, sizeof numbers, 1, stdin) == 1) {
        size_t bytes = numbers[0];
        /* Each of its own length, so that a byte too far is seen. */
        unsigned char *frame = malloc(bytes), *packed = malloc(bytes), *again = malloc(bytes), *scratch = malloc(bytes);
        if (frame == NULL || packed == NULL || again == NULL || scratch == NULL || fread(frame, 1, bytes, stdin) != bytes)
            return 2;
        uint32_t length = (uint32_t)pack(frame, packed, bytes, numbers[1], scratch);
        if (length > 0 && (!unpack(packed, length, again, bytes, numbers[1], scratch) || memcmp(frame, again, bytes) != 0))
            return 3;
        fwrite(&length, sizeof length, 1, stdout);
        fwrite(packed, 1, length, stdout);
        free(frame);
        free(packed);
        free(again);
        free(scratch);
    }
    return 0;
}
