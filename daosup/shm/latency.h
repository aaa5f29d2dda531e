/* How late frames are, counted in fixed buckets; daosup/core/latency.py has the same buckets and reads them.
 *
 * Invariant: one loop counts, and whoever reads meanwhile sees of each number the old value or the new one. No time that
 * a frame states can do more than count in the wrong bucket.
 */
#ifndef DAOSUP_LATENCY_H
#define DAOSUP_LATENCY_H

#include <stdint.h>

/* Below 1.024 us; then four for each doubling up to 17.2 s; and all that is later. */
#define LATENCY_BUCKETS 98

struct latency {
    uint64_t ahead;    /* frames whose write time was still to come: the clocks of two hosts differ */
    uint64_t total_ns; /* of all frames, of one at most 17.2 s */
    uint64_t frames[LATENCY_BUCKETS];
};

int64_t utc_ns(void);
/* Count a frame that was written then and is there now, both ns since 1970 UTC. One without a write time is not counted;
 * without a place to count in (NULL), none is. */
void latency_note(struct latency *self, int64_t written_ns, int64_t now_ns);
/* What was counted in `now` and was not yet in `before`. */
struct latency latency_since(const struct latency *before, const struct latency *now);
double latency_frames(const struct latency *self);
/* The latency in ns that this share of the frames (0 to 1) does not exceed; within a bucket frames are taken to be
 * spread evenly, and what is beyond the last bound is just that. Whatever the counts are, it lies in the bucket that it
 * belongs to. Without frames it is 0. */
double latency_quantile_ns(const struct latency *self, double share);

#endif
