#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "copying.h"
#include "guard.h"
#include "pause.h"

/* Offsets within a metadata block; daosup/core/layout.py has the whole table. */
#define NAXIS 80
#define CREATION_TIME 112
#define ATIME_NS 136
#define CNT0 152
#define CNT1 160
#define CNT2 168
#define WRITE 176
#define KEYWORD_COUNT 178
#define FIFO_SIZE 4296
#define FIFO_LAST_WRITTEN 4300

#define US 1000LL
#define MS 1000000LL

/* A writer that lives can lose the processor for longer than any copy takes, on a machine that has too much to do. */
#define WRITER_PATIENCE_NS (200 * MS)

/* No writer writes faster: 64 bytes in each cycle of 3 GHz are all that a core stores beyond its first cache, and PCIe
 * brings less. While a frame is copied its writer's flag is looked at so many times, or more if the pieces in between were
 * larger than the most; frames that are smaller than that is worth are compared instead. */
#define QUICKEST_BYTES_PER_NS 200
#define LOOKS 64
#define MOST_PIECE_BYTES (64u << 10)
#define WATCHED_BYTES (256u << 10)
#define COMMITTED_PIECE_BYTES (256u << 10)

static unsigned char *block(const struct frames *self, uint32_t slot)
{
    return self->memory + (size_t)slot * self->metadata_bytes;
}

static _Atomic uint64_t *u64(unsigned char *at, size_t offset)
{
    return (_Atomic uint64_t *)(void *)(at + offset);
}

static _Atomic uint32_t *u32(unsigned char *at, size_t offset)
{
    return (_Atomic uint32_t *)(void *)(at + offset);
}

static _Atomic unsigned char *u8(unsigned char *at, size_t offset)
{
    return (_Atomic unsigned char *)(at + offset);
}

static unsigned char *frame(const struct frames *self, uint32_t slot)
{
    return self->memory + self->depth * self->metadata_bytes + (size_t)slot * self->frame_bytes;
}

static void sleep_ns(int64_t ns)
{
    struct timespec pause = {.tv_sec = ns / (1000 * MS), .tv_nsec = ns % (1000 * MS)};
    nanosleep(&pause, NULL);
}

static void read_header(const struct frames *self, struct frames_header *header)
{
    memset(header, 0, sizeof *header);
    memcpy(header->shape, self->memory + NAXIS, sizeof header->shape);
    memcpy(header->creation, self->memory + CREATION_TIME, sizeof header->creation);
    memcpy(header->keywords, self->memory + KEYWORD_COUNT, sizeof header->keywords);
    if (self->has_fifo)
        memcpy(header->depth, self->memory + FIFO_SIZE, sizeof header->depth);
}

void frames_init(struct frames *self)
{
    self->poll_ns = FRAMES_TRUSTING_POLL_NS;
    read_header(self, &self->header);
}

bool frames_spoiled(const struct frames *self)
{
    struct frames_header now;
    read_header(self, &now);
    return guard_lost(self->guard) || memcmp(&now, &self->header, sizeof now) != 0;
}

bool frames_lost(const struct frames *self)
{
    struct stat facts;
    return frames_spoiled(self) || fstat(self->fd, &facts) != 0 || (size_t)facts.st_size != self->length ||
           facts.st_nlink == 0;
}

uint64_t frames_counter(const struct frames *self, uint32_t slot)
{
    return atomic_load_explicit(u64(block(self, slot), CNT0), memory_order_acquire);
}

uint32_t frames_newest_slot(const struct frames *self)
{
    if (self->depth == 1)
        return 0;
    uint32_t last = atomic_load_explicit(u32(self->memory, FIFO_LAST_WRITTEN), memory_order_acquire);
    if (last >= self->depth)
        return 0; /* no writer stores this; whoever did has made the file anew or spoiled it */
    /* libdao moves the index before it stores the slot's new counter: until then the one before is newest. */
    uint32_t before = (last + self->depth - 1) % self->depth;
    return frames_counter(self, last) < frames_counter(self, before) ? before : last;
}

/* Whether a slot's flag is down and its counter and time are those given, after all loads before this. */
static bool is_still(unsigned char *metadata, uint64_t cnt0, uint64_t atime)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(u8(metadata, WRITE), memory_order_acquire) == 0 &&
           atomic_load_explicit(u64(metadata, CNT0), memory_order_acquire) == cnt0 &&
           atomic_load_explicit(u64(metadata, ATIME_NS), memory_order_acquire) == atime;
}

/* What was seen of the writer while a large frame is copied. */
struct watch {
    unsigned char *metadata;
    int64_t quickest_ns, seen_ns;
    size_t doubtful;
};

static bool is_undisturbed(void *context, size_t bytes)
{
    struct watch *self = context;
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(u8(self->metadata, WRITE), memory_order_acquire) != 0)
        return false;
    int64_t now_ns = monotonic_ns();
    if (now_ns - self->seen_ns >= self->quickest_ns)
        self->doubtful = bytes;
    self->seen_ns = now_ns;
    return true;
}

/* Copy a slot, and look at its flag so often that no writer can have gone through all of it between two looks. Where this
 * thread was put aside for longer, one may have: what was copied before is doubtful then. How many bytes that are; of a
 * small frame all, as to compare it is quicker. SIZE_MAX: the writer is there. */
static size_t copy_watching(const struct frames *self, unsigned char *into, uint32_t slot)
{
    size_t length = self->frame_bytes, piece = length / LOOKS < MOST_PIECE_BYTES ? length / LOOKS : MOST_PIECE_BYTES;
    if (length < WATCHED_BYTES) {
        memcpy(into, frame(self, slot), length);
        return length;
    }
    struct watch watch = {.metadata = block(self, slot), .quickest_ns = (int64_t)(length / QUICKEST_BYTES_PER_NS),
                          .seen_ns = monotonic_ns()};
    struct copy_look looking = {.look = is_undisturbed, .context = &watch};
    return copy_shared(into, frame(self, slot), length, piece, &looking) ? watch.doubtful : SIZE_MAX;
}

/* One attempt. All looks at the flag and the counters must agree, or the writer was there in between.
 *
 * libdao lowers the flag a moment before it stores the new time and counter. At that moment all looks agree, but
 * the data are new throughout: a copy that began on the old ones differs from them. So it is compared; unless the
 * writer must have gone through the slot before first, which shows in that slot's counter, or would have been seen. */
static enum frames_result try_snapshot(struct frames *self, void *into, uint32_t slot)
{
    unsigned char *metadata = block(self, slot);
    if (atomic_load_explicit(u8(metadata, WRITE), memory_order_acquire) != 0)
        return FRAMES_BUSY;
    uint64_t cnt0 = atomic_load_explicit(u64(metadata, CNT0), memory_order_acquire);
    uint64_t atime = atomic_load_explicit(u64(metadata, ATIME_NS), memory_order_acquire);
    uint64_t cnt1 = atomic_load_explicit(u64(metadata, CNT1), memory_order_relaxed);
    uint64_t cnt2 = atomic_load_explicit(u64(metadata, CNT2), memory_order_relaxed);
    uint32_t previous = (slot + self->depth - 1) % self->depth;
    uint64_t before = frames_counter(self, previous);
    size_t doubtful = copy_watching(self, into, slot);
    if (doubtful == SIZE_MAX || !is_still(metadata, cnt0, atime))
        return FRAMES_BUSY;
    bool is_safe = doubtful == 0 || (before < cnt0 && frames_counter(self, previous) == before);
    if (!is_safe && (memcmp(into, frame(self, slot), doubtful) != 0 || !is_still(metadata, cnt0, atime)))
        return FRAMES_BUSY;
    self->cnt0 = cnt0;
    self->cnt1 = cnt1;
    self->cnt2 = cnt2;
    self->atime_ns = (int64_t)atime;
    self->slot = slot;
    return FRAMES_OK;
}

enum frames_result frames_snapshot(struct frames *self, void *into, int64_t slot, int64_t deadline_ns)
{
    for (unsigned attempt = 0;; attempt++) {
        uint32_t chosen = slot < 0 ? frames_newest_slot(self) : (uint32_t)slot;
        enum frames_result result = try_snapshot(self, into, chosen);
        if (result == FRAMES_OK)
            return frames_lost(self) ? FRAMES_LOST : FRAMES_OK;
        self->retries++;
        /* A writer needs about as long as we do; one that takes much longer was preempted or is dead. */
        if (attempt % 64 < 63) {
            for (int i = 0; i < 64; i++)
                pause_briefly();
            continue;
        }
        if (frames_lost(self))
            return FRAMES_LOST;
        if (monotonic_ns() >= deadline_ns)
            return FRAMES_BUSY;
        sleep_ns(50 * US);
    }
}

static void end_write(unsigned char *metadata)
{
    atomic_store_explicit(u8(metadata, WRITE), 0, memory_order_release);
}

/* Raise the flag of the slot behind the newest; whoever raised it before us is let finish. A flag that stays up for much
 * longer than any copy takes was left by a writer that died. */
static uint32_t begin_write(const struct frames *self)
{
    int64_t patience_ns = WRITER_PATIENCE_NS + 2 * (int64_t)self->frame_bytes;
    int64_t began = 0;
    for (unsigned attempt = 0;; attempt++) {
        uint32_t before = frames_newest_slot(self);
        uint32_t slot = (before + 1) % self->depth;
        unsigned char *metadata = block(self, slot);
        unsigned char is_up = 0;
        if (atomic_compare_exchange_strong_explicit(u8(metadata, WRITE), &is_up, 1, memory_order_seq_cst,
                                                    memory_order_relaxed)) {
            if (frames_newest_slot(self) == before)
                return slot;
            end_write(metadata);
            continue;
        }
        if (attempt < 64) {
            pause_briefly();
            continue;
        }
        int64_t now = monotonic_ns();
        if (began == 0)
            began = now;
        if (now - began > patience_ns) {
            atomic_store_explicit(u8(metadata, WRITE), 1, memory_order_seq_cst);
            return slot;
        }
        sleep_ns(20 * US);
    }
}

unsigned char *frames_begin(struct frames *self, struct frames_write *write)
{
    if (frames_spoiled(self))
        return NULL;
    write->slot = begin_write(self);
    if (guard_lost(self->guard)) {
        end_write(block(self, write->slot));
        return NULL;
    }
    write->newest = frames_counter(self, (write->slot + self->depth - 1) % self->depth);
    atomic_thread_fence(memory_order_seq_cst);
    return frame(self, write->slot);
}

void frames_abandon(struct frames *self, const struct frames_write *write, bool is_spoiled)
{
    unsigned char *metadata = block(self, write->slot);
    if (is_spoiled) /* who reads slot by slot would take it for the frame that was there */
        atomic_store_explicit(u64(metadata, CNT0), 0, memory_order_release);
    end_write(metadata);
}

/* The flag stays up until the counter is stored, so no reader can take the new data for the old frame's. */
enum frames_result frames_end(struct frames *self, const struct frames_write *write, uint64_t cnt2, int64_t atime_ns)
{
    unsigned char *metadata = block(self, write->slot);
    atomic_store_explicit(u64(metadata, ATIME_NS), (uint64_t)atime_ns, memory_order_release);
    atomic_store_explicit(u64(metadata, CNT2), cnt2, memory_order_release);
    atomic_store_explicit(u64(metadata, CNT0), write->newest + 1, memory_order_release);
    if (self->has_fifo) /* before the flag is down, or the next writer would take the same slot */
        atomic_store_explicit(u32(self->memory, FIFO_LAST_WRITTEN), write->slot, memory_order_release);
    end_write(metadata);
    self->cnt0 = write->newest + 1;
    self->cnt2 = cnt2;
    self->atime_ns = atime_ns;
    self->slot = write->slot;
    return guard_lost(self->guard) ? FRAMES_LOST : FRAMES_OK;
}

enum frames_result frames_commit(struct frames *self, const void *from, uint64_t cnt2, int64_t atime_ns, uint64_t after)
{
    struct frames_write write;
    unsigned char *into = frames_begin(self, &write);
    if (into == NULL)
        return FRAMES_LOST;
    if (after != FRAMES_ANY && after != write.newest) {
        frames_abandon(self, &write, false);
        return FRAMES_BUSY;
    }
    copy_shared(into, from, self->frame_bytes, COMMITTED_PIECE_BYTES, NULL);
    return frames_end(self, &write, cnt2, atime_ns);
}
