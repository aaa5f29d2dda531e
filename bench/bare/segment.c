#define _GNU_SOURCE
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NELEMENT 96
#define ATIME_NS 136
#define CNT0 152
#define CNT2 168
#define WRITE 176
#define FIFO_SIZE 4296
#define FIFO_LAST_WRITTEN 4300
#define METADATA_BYTES 4304

volatile bool is_ended;

_Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t utc_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static unsigned char *block(const struct segment *self, uint32_t slot)
{
    return self->memory + (size_t)slot * METADATA_BYTES;
}

static unsigned char *frame(const struct segment *self, uint32_t slot)
{
    return block(self, self->depth) + (size_t)slot * self->frame_bytes;
}

static _Atomic uint64_t *u64(unsigned char *metadata, size_t offset)
{
    return (_Atomic uint64_t *)(void *)(metadata + offset);
}

static _Atomic unsigned char *flag(unsigned char *metadata)
{
    return (_Atomic unsigned char *)(metadata + WRITE);
}

static _Atomic uint32_t *last_written(const struct segment *self)
{
    return (_Atomic uint32_t *)(void *)(self->memory + FIFO_LAST_WRITTEN);
}

static uint32_t newest_slot(const struct segment *self)
{
    return atomic_load_explicit(last_written(self), memory_order_acquire) % self->depth;
}

static uint32_t next_slot(const struct segment *self)
{
    return (newest_slot(self) + 1) % self->depth;
}

static uint64_t counter_of(unsigned char *metadata)
{
    return atomic_load_explicit(u64(metadata, CNT0), memory_order_acquire);
}

static sem_t *semaphore_named(const char *base, const char *end)
{
    char name[sizeof((struct segment *)0)->base + 16];
    snprintf(name, sizeof name, "/%s_sem%s", base, end);
    sem_t *semaphore = sem_open(name, 0);
    return semaphore == SEM_FAILED ? NULL : semaphore;
}

static sem_t *numbered(const struct segment *self, int index)
{
    char end[3] = {'0', (char)('0' + index), 0};
    return semaphore_named(self->base, end);
}

sem_t *segment_semaphore(const struct segment *self, int index)
{
    sem_t *semaphore = numbered(self, index);
    if (semaphore == NULL)
        fail(self->base);
    return semaphore;
}

void segment_open(struct segment *self, const char *path)
{
    struct stat facts;
    uint64_t words;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0)
        fail(path);
    self->memory = mmap(NULL, (size_t)facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (self->memory == MAP_FAILED)
        fail(path);
    close(fd);
    memcpy(&self->depth, self->memory + FIFO_SIZE, sizeof self->depth);
    memcpy(&words, self->memory + NELEMENT, sizeof words);
    self->frame_bytes = words * 8;
    errno = EINVAL;
    if (self->depth == 0 || self->depth * (METADATA_BYTES + self->frame_bytes) > (size_t)facts.st_size)
        fail(path);
    const char *name = strrchr(path, '/');
    snprintf(self->base, sizeof self->base, "%s", name == NULL ? path : name + 1);
    self->base[strcspn(self->base, ".")] = 0;
    for (int index = 0; index < POSTED_SEMAPHORES - 1; index++)
        self->posted[index] = numbered(self, index);
    self->posted[POSTED_SEMAPHORES - 1] = semaphore_named(self->base, "log");
}

uint64_t segment_counter(const struct segment *self)
{
    return counter_of(block(self, newest_slot(self)));
}

int64_t segment_atime(const struct segment *self)
{
    return (int64_t)atomic_load_explicit(u64(block(self, newest_slot(self)), ATIME_NS), memory_order_acquire);
}

uint64_t segment_snapshot(const struct segment *self, void *into, size_t length)
{
    uint32_t slot = newest_slot(self);
    unsigned char *metadata = block(self, slot);
    if (atomic_load_explicit(flag(metadata), memory_order_acquire) != 0)
        return 0;
    uint64_t counter = counter_of(metadata);
    memcpy(into, frame(self, slot), length);
    atomic_thread_fence(memory_order_acquire);
    bool is_whole = atomic_load_explicit(flag(metadata), memory_order_acquire) == 0 && counter_of(metadata) == counter;
    return is_whole ? counter : 0;
}

void *segment_begin(struct segment *self)
{
    uint32_t slot = next_slot(self);
    atomic_store_explicit(flag(block(self, slot)), 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return frame(self, slot);
}

void segment_end(struct segment *self, uint64_t frame_id, int64_t atime_ns)
{
    uint32_t slot = next_slot(self);
    unsigned char *metadata = block(self, slot);
    uint64_t counter = segment_counter(self) + 1;
    atomic_store_explicit(u64(metadata, ATIME_NS), (uint64_t)atime_ns, memory_order_release);
    atomic_store_explicit(u64(metadata, CNT2), frame_id, memory_order_release);
    atomic_store_explicit(u64(metadata, CNT0), counter, memory_order_release);
    atomic_store_explicit(last_written(self), slot, memory_order_release);
    atomic_store_explicit(flag(metadata), 0, memory_order_release);
    for (int index = 0; index < POSTED_SEMAPHORES; index++) {
        int value = 1;
        if (self->posted[index] != NULL && sem_getvalue(self->posted[index], &value) == 0 && value == 0)
            sem_post(self->posted[index]);
    }
}

bool waited(sem_t *semaphore)
{
    if (sem_trywait(semaphore) == 0)
        return true;
    int64_t until_ns = now_ns() + 100000000;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &until) == 0;
}

static void end(int number)
{
    (void)number;
    is_ended = true;
}

void end_with_parent(void)
{
    struct sigaction action = {.sa_handler = end}; /* no SA_RESTART: a call that waits is to return */
    sigaction(SIGTERM, &action, NULL);
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

bool run_at_once(void)
{
    struct sched_param priority = {.sched_priority = 1};
    return sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
}
