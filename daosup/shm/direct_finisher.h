/* The thread that finishes what slow readers did not take at once; direct_sender.h says what it may touch. */
#ifndef DAOSUP_DIRECT_FINISHER_H
#define DAOSUP_DIRECT_FINISHER_H

#include "direct_sender.h"

/* Watch a reader that was made the finisher's, starting the thread if there is none; with the lock held. 0 or an errno. */
int finisher_watch(struct direct_sender *self, struct direct_reader *reader);
/* End the thread; without the lock. */
void finisher_stop(struct direct_sender *self);

#endif
