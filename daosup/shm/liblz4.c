#define _GNU_SOURCE
#include "liblz4.h"

#include <dlfcn.h>
#include <stddef.h>

#include "symbols.h"

struct liblz4 liblz4;

bool liblz4_load(void)
{
    if (liblz4.compress != NULL)
        return true;
    void *library = dlopen(LIBLZ4_NAME, RTLD_NOW | RTLD_LOCAL);
    struct liblz4 found;
    if (library == NULL)
        return false;
    if (!symbol_find(library, "LZ4_compress_default", &found.compress) ||
        !symbol_find(library, "LZ4_decompress_safe", &found.decompress)) {
        dlclose(library);
        return false;
    }
    liblz4 = found;
    return true;
}
