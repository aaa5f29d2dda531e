/* Waiting for the next frame: frames.h. */
#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <time.h>

#include "pause.h"

#define US 1000LL
#define MS 1000000LL

/* Once a wake-up was missed the counter is looked at often, less so with each good one. */
#define DOUBTING_POLL_NS (1 * MS)
#define SHORTEST_POLL_NS (200 * US)
#define LONGEST_POLL_NS (10 * MS)
/* Who spins looks at the clock after so many looks at the counter: some microseconds. */
#define SPINS_PER_LOOK 64

/* Another counter may also be that of a segment made anew or of a file cut short, and those are not frames. */
static enum frames_result look(const struct frames *self, uint64_t last)
{
    uint64_t now = frames_counter(self, frames_newest_slot(self));
    if (now == last)
        return FRAMES_TIMEOUT;
    return frames_spoiled(self) ? FRAMES_LOST : FRAMES_OK;
}

/* Nobody posts for us: look at the counter, the less often the longer nothing came. */
static enum frames_result poll_counter(struct frames *self, uint64_t last, int64_t deadline_ns)
{
    int64_t began = monotonic_ns();
    for (;;) {
        enum frames_result seen = look(self, last);
        if (seen != FRAMES_TIMEOUT)
            return seen;
        int64_t now = monotonic_ns();
        if (now >= deadline_ns || now - began > SIGNALS_NS) {
            if (frames_lost(self))
                return FRAMES_LOST;
            return now >= deadline_ns ? FRAMES_TIMEOUT : FRAMES_INTERRUPTED;
        }
        int64_t pause = SHORTEST_POLL_NS + (now - began) / 20;
        if (pause > LONGEST_POLL_NS)
            pause = LONGEST_POLL_NS;
        if (pause > deadline_ns - now)
            pause = deadline_ns - now;
        struct timespec interval = {.tv_sec = pause / (1000 * MS), .tv_nsec = pause % (1000 * MS)};
        if (nanosleep(&interval, NULL) != 0)
            return FRAMES_INTERRUPTED;
    }
}

enum frames_result frames_wait(struct frames *self, struct semaphores *semaphores, int index, uint64_t last,
                               int64_t deadline_ns)
{
    /* Opened even if a frame is there: who comes too late each time never sleeps, and is known by what he has open. */
    sem_t *semaphore = semaphores_get(semaphores, index);
    enum frames_result seen = look(self, last);
    if (seen != FRAMES_TIMEOUT)
        return seen;
    if (semaphore == NULL)
        return poll_counter(self, last, deadline_ns);
    int64_t until = monotonic_ns() + self->poll_ns;
    int error = semaphore_wait(semaphore, until < deadline_ns ? until : deadline_ns);
    seen = look(self, last);
    if (seen == FRAMES_LOST)
        return FRAMES_LOST;
    bool is_new = seen == FRAMES_OK;
    if (error == EINTR)
        return is_new ? FRAMES_OK : FRAMES_INTERRUPTED;
    if (error == 0) {
        if (!is_new)
            return frames_lost(self) ? FRAMES_LOST : FRAMES_WOKEN;
        if (self->poll_ns < FRAMES_TRUSTING_POLL_NS)
            self->poll_ns *= 2;
        return FRAMES_OK;
    }
    if (error != ETIMEDOUT) {
        semaphores_forget(semaphores, index);
        return poll_counter(self, last, deadline_ns);
    }
    if (is_new) {
        /* Written but not posted to us: another process waits on this semaphore, or it was made anew
         * under its name. Open it again, and look more often from now on. */
        self->missed_wakeups++;
        self->poll_ns = DOUBTING_POLL_NS;
        semaphores_forget(semaphores, index);
        return FRAMES_OK;
    }
    if (frames_lost(self))
        return FRAMES_LOST;
    if (monotonic_ns() >= deadline_ns)
        return FRAMES_TIMEOUT;
    if (self->poll_ns < FRAMES_TRUSTING_POLL_NS)
        self->poll_ns += self->poll_ns / 8; /* nothing comes: doubt must not cost an idle reader its sleep */
    return FRAMES_INTERRUPTED; /* the caller lets signals be handled and comes back */
}

enum frames_result frames_spin(struct frames *self, uint64_t last, int64_t deadline_ns)
{
    for (unsigned turn = 1;; turn++) {
        enum frames_result seen = look(self, last);
        if (seen != FRAMES_TIMEOUT)
            return seen;
        pause_briefly();
        if (turn % SPINS_PER_LOOK != 0)
            continue;
        bool is_over = monotonic_ns() >= deadline_ns;
        if (is_over || turn % 65536 == 0) {
            if (frames_lost(self))
                return FRAMES_LOST;
            return is_over ? FRAMES_TIMEOUT : FRAMES_INTERRUPTED;
        }
    }
}
