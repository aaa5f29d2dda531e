#define _GNU_SOURCE
#include "statistics.h"

#include <stdatomic.h>

static void put(struct statistics *self, enum statistics_number which, int64_t number)
{
    atomic_store_explicit((_Atomic int64_t *)&self->numbers[which], number, memory_order_relaxed);
}

/* There is no other writer, so this need not be one step. */
static void add(struct statistics *self, enum statistics_number which, uint64_t amount)
{
    put(self, which, (int64_t)((uint64_t)self->numbers[which] + amount));
}

void statistics_beat(struct statistics *self, int64_t now)
{
    if (self != NULL)
        put(self, STATISTICS_BEAT_NS, now);
}

void statistics_note(struct statistics *self, const struct statistics_frame *frame, int64_t there_ns)
{
    if (self == NULL)
        return;
    add(self, STATISTICS_FRAMES, 1);
    add(self, STATISTICS_PAYLOAD_BYTES, frame->message_bytes);
    if (frame->skipped > 0) {
        add(self, STATISTICS_SKIPPED, frame->skipped);
        add(self, STATISTICS_GAPS, 1);
    }
    put(self, STATISTICS_WRITE_TIME_UTC_NS, frame->written_ns);
    put(self, STATISTICS_SOURCE_COUNTER, (int64_t)frame->counter);
    latency_note(&self->latency, frame->written_ns, there_ns);
}
