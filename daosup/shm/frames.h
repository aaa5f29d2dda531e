/* Whole frames out of and into a mapped segment.
 *
 * Invariant: a snapshot is one frame as its writer wrote it, with that frame's counters, or it is refused;
 * a commit is seen by readers (ours and libdao's) either not at all or whole. Several writers of ours keep out of each
 * other's way; libdao's looks for no other, and two of those at once have always mixed their frames.
 */
#ifndef DAOSUP_FRAMES_H
#define DAOSUP_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "semaphores.h"

/* A healthy semaphore makes looking at the counter unnecessary; four looks a second also find a file that was taken away. */
#define FRAMES_TRUSTING_POLL_NS 250000000LL
/* A signal that comes just before a sleep does not end it: so often callers let signals be handled anyway. */
#define SIGNALS_NS 250000000LL

enum frames_result {
    FRAMES_OK = 0,      /* done; or, of a wait: a frame is there */
    FRAMES_TIMEOUT,     /* waited in vain */
    FRAMES_WOKEN,       /* somebody posted the semaphore without writing a frame */
    FRAMES_INTERRUPTED, /* a signal came or may have come: have it handled and call again */
    FRAMES_BUSY,        /* no whole frame within the time allowed */
    FRAMES_LOST,        /* the file is not the one that was mapped any more */
};

/* Fixed when the segment was mapped; a change of any of them means that it was made anew. */
struct frames_header {
    unsigned char shape[25];   /* naxis, size, nelement, atype as they lie in the file */
    unsigned char creation[8]; /* creation_time */
    unsigned char keywords[2]; /* NBkw */
    unsigned char depth[4];    /* fifo_size */
};

/* A frame that is being written. */
struct frames_write {
    uint32_t slot;
    uint64_t newest; /* the counter of the frame before it */
};

struct frames {
    unsigned char *memory;
    size_t length;
    size_t metadata_bytes;
    size_t frame_bytes;
    uint32_t depth;
    bool has_fifo;
    int fd;
    int guard;
    struct frames_header header;
    int64_t poll_ns; /* how long to trust the semaphore before looking at the counter */

    /* What the last snapshot was of. */
    uint64_t cnt0;
    uint64_t cnt1;
    uint64_t cnt2;
    int64_t atime_ns;
    uint32_t slot;

    uint64_t retries;        /* snapshots begun again because the writer came in between */
    uint64_t missed_wakeups; /* frames found by looking, whose post another waiter took */
};

void frames_init(struct frames *self);
/* Whether the file is not the one that was mapped any more: all that can be known, for one system call. */
bool frames_lost(const struct frames *self);
/* What of that the memory shows by itself: made anew in place, or gone where it was touched. The rest (unlinked, grown,
 * cut where nobody touched it) spoils no frame that is written, so a loop over frames asks for it only now and then. */
bool frames_spoiled(const struct frames *self);
uint32_t frames_newest_slot(const struct frames *self);
uint64_t frames_counter(const struct frames *self, uint32_t slot);
/* A copy is trusted only after frames_lost: a file that is cut within its last page gives zeroes there, and no fault. */
enum frames_result frames_snapshot(struct frames *self, void *into, int64_t slot, int64_t deadline_ns);
#define FRAMES_ANY UINT64_MAX
/* Sees no more than frames_spoiled does. With a counter `after`: FRAMES_BUSY, and nothing written, if that is not the
 * newest frame's, as somebody has written another. */
enum frames_result frames_commit(struct frames *self, const void *from, uint64_t cnt2, int64_t atime_ns, uint64_t after);
/* A commit in two steps, for a frame that lies in no memory: where it is to be written, and that it is. In between nobody can
 * read or write the slot, so only where it is not the only one is there time to wait for something. NULL: FRAMES_LOST. */
unsigned char *frames_begin(struct frames *self, struct frames_write *write);
enum frames_result frames_end(struct frames *self, const struct frames_write *write, uint64_t cnt2, int64_t atime_ns);
/* Instead of the second step. The slot keeps its counter; or, if it `is_spoiled`, it has none any more. */
void frames_abandon(struct frames *self, const struct frames_write *write, bool is_spoiled);
/* A frame is announced after no more than frames_spoiled; only waiting in vain looks for all. */
enum frames_result frames_wait(struct frames *self, struct semaphores *semaphores, int index, uint64_t last,
                               int64_t deadline_ns);
enum frames_result frames_spin(struct frames *self, uint64_t last, int64_t deadline_ns);

#endif
