/* Frames from a direct connection into a mirror.
 *
 * Invariant: a link that dies in the middle of a frame leaves the last one untouched, and no slot has a counter whose frame
 * is not all there. So where there is one slot a frame is written only when all of it is here, in memory or in the socket;
 * what comes from another owner than ours may be torn, which only its last bytes say, and is read whole first. A FIFO's
 * spare slot is written to while a frame comes; if not all of it does, that slot has no frame any more.
 */
#ifndef DAOSUP_DIRECT_TAKING_H
#define DAOSUP_DIRECT_TAKING_H

#include "direct_receiver.h"
#include "semaphores.h"
#include "statistics.h"

struct direct_taking {
    struct frames *frames;
    struct semaphores *semaphores;
    struct statistics *page; /* where each frame is counted, and how late readers here are told of it; NULL: nowhere */
    uint64_t expected;       /* the counter of the next frame; older ones are repeats and are dropped */
    uint64_t taken;          /* how many frames came and were written */
    uint64_t taken_bytes;    /* with their headers, as they came */
    uint64_t passed_over;    /* how many came and were not, for newer ones were here, or as they were torn at the source */
    uint64_t skipped, gaps;  /* of those before a frame that was written how many were not, and how often */
    int64_t until_ns;        /* after the first message from then on: FRAMES_OK */
};

/* As direct_receive, but frames go into the mirror. FRAMES_LOST: the mirror is not there any more; the frame
 * waits, or, if the mirror went just while it was written, the connection is over. Four times a second it ends for signals,
 * and so that it is looked whether the mirror is there: FRAMES_INTERRUPTED. */
int direct_take(struct direct_receiver *self, struct direct_taking *taking, struct direct_message *message);

#endif
