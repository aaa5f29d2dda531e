/* A function of a library that is found at run time. */
#ifndef DAOSUP_SYMBOLS_H
#define DAOSUP_SYMBOLS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

/* Put its address where the pointer to it is; whether there is one. */
static inline bool symbol_find(void *library, const char *name, void *place)
{
    void *symbol = dlsym(library, name);
    memcpy(place, &symbol, sizeof symbol); /* the way from an object's pointer to a function's that C allows */
    return symbol != NULL;
}

#endif
