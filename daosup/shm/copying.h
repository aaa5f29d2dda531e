/* Copies that are large enough for two threads: a core copies more slowly than the memory could.
 *
 * Invariants: after copy_shared returns nobody touches either place any more. Nothing waits for the second thread to be given
 * a processor: what it does not take, the first one does; so a busy machine, or one core alone, loses nothing by it.
 * Pieces are handed out from the first one on.
 */
#ifndef DAOSUP_COPYING_H
#define DAOSUP_COPYING_H

#include <stdbool.h>
#include <stddef.h>

/* From now on copies of this process are shared where it may run on so many CPUs; 0, as in the beginning: nowhere, for a
 * program that only uses segments is given no thread that it did not ask for. */
void copying_share(int least_cpus);

/* Called by the first thread after each of its pieces, and when all is done: what may have been copied by then lies in the
 * first `bytes`. False: the rest is of no use, and the copy ends. */
struct copy_look {
    bool (*look)(void *context, size_t bytes);
    void *context;
};

/* Copy in pieces of at most so many bytes. `looking` may be NULL. False: it was ended. */
bool copy_shared(void *into, const void *from, size_t length, size_t piece, const struct copy_look *looking);

#endif
