#define _GNU_SOURCE
#include "huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

/* Set before there is a second thread. */
static size_t huge_bytes;

void huge_pages_take(size_t page_bytes)
{
    huge_bytes = page_bytes;
}

void huge_pages_wish(void *memory, size_t bytes)
{
    if (huge_bytes == 0 || bytes < huge_bytes)
        return;
    uintptr_t before = (uintptr_t)memory % huge_bytes;
    size_t left_out = before > 0 ? huge_bytes - before : 0;
    size_t whole = (bytes - (left_out < bytes ? left_out : bytes)) / huge_bytes * huge_bytes;
    if (whole > 0)
        madvise((unsigned char *)memory + left_out, whole, MADV_HUGEPAGE);
}
