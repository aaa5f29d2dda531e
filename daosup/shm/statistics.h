/* What the loops that move frames write of each into their worker's statistics page; daosup/workers/statistics.py has the
 * same numbers and writes all of them, now and then.
 *
 * Invariant: one loop writes, and whoever reads meanwhile sees of each number the old value or the new one. What is
 * counted here is what Python counts when the loop ends, so it may write its own numbers over these.
 */
#ifndef DAOSUP_STATISTICS_H
#define DAOSUP_STATISTICS_H

#include <stddef.h>

#include "latency.h"

/* Where in the page; those that only Python writes have no name here. */
enum statistics_number {
    STATISTICS_BEAT_NS = 3,
    STATISTICS_FRAMES = 4,
    STATISTICS_PAYLOAD_BYTES = 5,
    STATISTICS_SKIPPED = 6,
    STATISTICS_GAPS = 8,
    STATISTICS_WRITE_TIME_UTC_NS = 11,
    STATISTICS_SOURCE_COUNTER = 12,
    STATISTICS_NUMBERS = 25,
};

struct statistics {
    int64_t numbers[STATISTICS_NUMBERS];
    struct latency latency;
};

struct statistics_frame {
    uint64_t counter;     /* at its source */
    uint64_t skipped;     /* frames of the source that are missing before it */
    size_t message_bytes; /* on its way */
    int64_t written_ns;   /* by its writer, ns since 1970 UTC */
};

/* The loop goes round; `now` is of the monotonic clock. With NULL for a page none of this does anything. */
void statistics_beat(struct statistics *self, int64_t now);
/* A frame was moved: sent, or written where readers are told of it, at `there_ns` since 1970 UTC. */
void statistics_note(struct statistics *self, const struct statistics_frame *frame, int64_t there_ns);

#endif
