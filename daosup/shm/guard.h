/* Faults in mapped files: a file that shrinks under its readers must not kill them.
 *
 * Invariant: while an address range is guarded, touching it never ends the process. The pages that
 * cannot be had are replaced by private zeroes and the guard is marked lost, for good.
 */
#ifndef DAOSUP_GUARD_H
#define DAOSUP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* A slot number for guard_lost and guard_release, or -1 if all slots are taken. */
int guard_acquire(void *start, size_t length);
/* Take SIGBUS again if somebody else took it since (faulthandler, say). Each call from Python does so first; within one,
 * where frames flow without Python, it need not be repeated: nobody but a Python program takes signals here. */
void guard_renew(void);
bool guard_lost(int slot);
void guard_release(int slot);

#endif
