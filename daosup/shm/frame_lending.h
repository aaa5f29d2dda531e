/* Frames of a pool that somebody else sends from, and gives back from a thread of its own: libzmq.
 *
 * Invariants: giving back neither waits nor allocates, in whatever thread; it only leaves the frame where the pool finds it.
 * Frames may be given back after their pool has ended: the last one takes along what is left.
 * After a fork, what is lent stays lent in the child: its memory is the child's for good, and nobody touches it.
 */
#ifndef DAOSUP_FRAME_LENDING_H
#define DAOSUP_FRAME_LENDING_H

struct frame_lending;
struct pool_frame;

/* For one pool. NULL if there is no memory. */
struct frame_lending *lending_make(void);
/* One frame is lent from now on, once; only the pool's owner says so. */
void lending_note(struct frame_lending *self);
/* How many are. */
unsigned lending_count(struct frame_lending *self);
/* What libzmq calls when it needs a message no more: `message` is what the frame is preceded by, `lending` whose it is. */
void lending_give_back(void *message, void *lending);
/* All frames given back since the last call, each with one reference to be released, linked by `next`; NULL: none. */
struct pool_frame *lending_collect(struct frame_lending *self);
/* The pool ends, and nobody but who was lent them holds frames of it. */
void lending_end(struct frame_lending *self);

#endif
