/* The named semaphores of a segment: /BASE_sem00 ... and /BASE_semlog.
 *
 * Invariant: a post never raises a semaphore above 1, and a semaphore that does not exist costs its
 * waiter only latency (it polls), never a frame.
 */
#ifndef DAOSUP_SEMAPHORES_H
#define DAOSUP_SEMAPHORES_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SEMAPHORES_MAX 32
#define SEMAPHORE_NAME_MAX 250

struct semaphores {
    char base[SEMAPHORE_NAME_MAX];
    int count;                               /* numbered ones; the log semaphore comes on top */
    sem_t *handles[SEMAPHORES_MAX + 1];      /* NULL: not open; [count] is the log semaphore */
    bool all_open;
    _Atomic bool is_kicked;
};

int64_t monotonic_ns(void);

void semaphores_init(struct semaphores *self, const char *base, int count);
void semaphores_close(struct semaphores *self);
/* Open a numbered one; NULL (with errno) if it does not exist or may not be used. */
sem_t *semaphores_get(struct semaphores *self, int index);
/* Take a post that is there already, if that one is open. */
void semaphores_take(struct semaphores *self, int index);
void semaphores_forget(struct semaphores *self, int index);
/* Make those that are missing; 0 or an errno. */
int semaphores_create(struct semaphores *self, mode_t mode);
void semaphores_post(struct semaphores *self);
/* Post one from any thread, also while another thread waits on it and may be opening it anew; false if there is none. */
bool semaphores_kick(struct semaphores *self, int index);
/* Whether that was done since this was last asked: a post alone may be taken for a frame's. */
bool semaphores_kicked(struct semaphores *self);
void semaphores_unlink(const char *base, int count);
bool semaphore_post_capped(sem_t *handle);
/* 0, ETIMEDOUT or EINTR; the deadline is on CLOCK_MONOTONIC, so a stepped wall clock changes nothing. */
int semaphore_wait(sem_t *handle, int64_t deadline_ns);

#endif
