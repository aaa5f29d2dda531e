/* The functions of liblz4, the system's: nothing of it is needed to build, nor to run where nobody wants packed frames.
 *
 * Invariant: either both are there, or none.
 */
#ifndef DAOSUP_LIBLZ4_H
#define DAOSUP_LIBLZ4_H

#include <stdbool.h>

#define LIBLZ4_NAME "liblz4.so.1"
#define LIBLZ4_MOST_BYTES 0x7E000000 /* to be packed at once */

/* As lz4.h has them since 1.7. */
struct liblz4 {
    int (*compress)(const char *from, char *into, int bytes, int room);   /* 0: it does not fit */
    int (*decompress)(const char *from, char *into, int bytes, int room); /* negative: it is no such thing, or does not fit */
};

/* NULL pointers until liblz4_load. */
extern struct liblz4 liblz4;

/* Whether it is there. */
bool liblz4_load(void);

#endif
