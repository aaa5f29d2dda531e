#define _GNU_SOURCE
#include "latency.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#define FIRST_BIT 10 /* the first bucket ends at 2^10 ns */
#define LAST_BIT 34  /* the last one begins at 2^34 ns */
#define PART_BITS 2  /* parts of a doubling */
#define ANY 1e-9     /* of a frame: less than any share of those that there are */

_Static_assert(2 + ((LAST_BIT - FIRST_BIT) << PART_BITS) == LATENCY_BUCKETS, "each latency has its bucket");

int64_t utc_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* There is no other writer, so this need not be one step; but no reader may see half of it. */
static void add(uint64_t *number, uint64_t amount)
{
    _Atomic uint64_t *place = (_Atomic uint64_t *)number;
    atomic_store_explicit(place, atomic_load_explicit(place, memory_order_relaxed) + amount, memory_order_relaxed);
}

static unsigned bucket_of(uint64_t ns)
{
    if (ns >> FIRST_BIT == 0)
        return 0;
    if (ns >> LAST_BIT != 0)
        return LATENCY_BUCKETS - 1;
    unsigned bit = 63u - (unsigned)__builtin_clzll(ns);
    unsigned part = (unsigned)(ns >> (bit - PART_BITS)) & ((1u << PART_BITS) - 1);
    return 1 + ((bit - FIRST_BIT) << PART_BITS) + part;
}

void latency_note(struct latency *self, int64_t written_ns, int64_t now_ns)
{
    if (self == NULL || written_ns <= 0 || now_ns < 0)
        return;
    uint64_t late_ns = now_ns > written_ns ? (uint64_t)(now_ns - written_ns) : 0;
    uint64_t most_ns = 1ULL << LAST_BIT;

    add(&self->frames[bucket_of(late_ns)], 1);
    add(&self->total_ns, late_ns < most_ns ? late_ns : most_ns);
    if (written_ns > now_ns)
        add(&self->ahead, 1);
}

static uint64_t grown(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

struct latency latency_since(const struct latency *before, const struct latency *now)
{
    struct latency since = {.ahead = grown(before->ahead, now->ahead),
                            .total_ns = grown(before->total_ns, now->total_ns)};
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        since.frames[i] = grown(before->frames[i], now->frames[i]);
    return since;
}

double latency_frames(const struct latency *self)
{
    double frames = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        frames += (double)self->frames[i];
    return frames;
}

/* Where a bucket ends; it is the beginning of the next one. */
static double bound_ns(unsigned bucket)
{
    if (bucket == 0)
        return (double)(1ULL << FIRST_BIT);
    unsigned bit = FIRST_BIT + ((bucket - 1) >> PART_BITS), part = (bucket - 1) & ((1u << PART_BITS) - 1);
    return (double)((1ULL << bit) + ((part + 1ULL) << (bit - PART_BITS)));
}

double latency_quantile_ns(const struct latency *self, double share)
{
    double rank = share * latency_frames(self), before = 0;
    double least = rank > ANY ? rank : ANY; /* so that its bucket is not empty */

    for (unsigned i = 0; i < LATENCY_BUCKETS - 1; i++) {
        double frames = (double)self->frames[i];
        if (before + frames >= least) {
            double low_ns = i == 0 ? 0 : bound_ns(i - 1);
            double below = rank - before < frames ? rank - before : frames; /* huge counts are rounded */
            return low_ns + (bound_ns(i) - low_ns) * ((below > 0 ? below : 0) / frames);
        }
        before += frames;
    }
    return before + (double)self->frames[LATENCY_BUCKETS - 1] > 0 ? bound_ns(LATENCY_BUCKETS - 2) : 0;
}
