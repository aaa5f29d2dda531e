/* The least of a DAO segment that a program needs to move its frames: one layout (fifo), elements of 8 bytes.
 *
 * Invariant: a frame that segment_snapshot gives is the one of its counter, as long as writers keep the flag up until
 * the counter is stored, as those here and daosup's mirrors do.
 */
#ifndef BARE_SEGMENT_H
#define BARE_SEGMENT_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What daosup's publisher waits on is 9; what it does not use is left to programs. */
#define PUMP_SEMAPHORE 8
#define PROGRAM_SEMAPHORE 0
#define POSTED_SEMAPHORES 11

struct segment {
    char base[256];
    unsigned char *memory;
    uint32_t depth;
    size_t frame_bytes;
    sem_t *posted[POSTED_SEMAPHORES]; /* NULL: there is none */
};

int64_t now_ns(void); /* monotonic */
int64_t utc_ns(void);
void pause_briefly(void);

/* Both end the program, with a word why, if that cannot be done. */
void segment_open(struct segment *self, const char *path);
sem_t *segment_semaphore(const struct segment *self, int index);

uint64_t segment_counter(const struct segment *self);
int64_t segment_atime(const struct segment *self);
/* Copy the first bytes of the newest frame; its counter, or 0 if the writer was there meanwhile. */
uint64_t segment_snapshot(const struct segment *self, void *into, size_t length);
/* Between these two the frame is written where the first one says; the second one tells all who wait. */
void *segment_begin(struct segment *self);
void segment_end(struct segment *self, uint64_t frame_id, int64_t atime_ns);

/* Wait for a post, 100 ms at most. */
bool waited(sem_t *semaphore);

/* SIGTERM and the end of the parent end a program that asks this. */
extern volatile bool is_ended;
void end_with_parent(void);
/* To be scheduled before all that compute; false if that is not allowed. */
bool run_at_once(void);
_Noreturn void fail(const char *what);

#endif
