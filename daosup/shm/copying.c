#define _GNU_SOURCE
#include "copying.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pause.h"
#include "quiet_thread.h"

/* To wake a thread takes some 50 us, in which a core copies half a megabyte. */
#ifndef COPYING_LEAST_BYTES
#define COPYING_LEAST_BYTES (4u << 20)
#endif
#define PAUSES 256
#define NAP_NS 20000

/* The process's second thread, which sleeps until there is something to copy; one copy at a time. It looks at the job only
 * while it says that it `is_inside`, and the job `is_open`: whoever closes a job then waits only for a piece to be done. */
static struct {
    pthread_mutex_t mutex;
    _Atomic int least_cpus; /* 0: there is none */
    pid_t owner;
    sem_t wake;
    atomic_bool is_open, is_inside;
    unsigned char *into;
    const unsigned char *from;
    size_t length, piece;
    atomic_size_t next;
} second = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The next piece, by whoever comes; false: all are taken. */
static bool copy_piece(void)
{
    size_t at = atomic_fetch_add_explicit(&second.next, second.piece, memory_order_relaxed);
    if (at >= second.length)
        return false;
    memcpy(second.into + at, second.from + at, second.piece < second.length - at ? second.piece : second.length - at);
    return true;
}

static void *copy_along(void *unused)
{
    for (;;) {
        while (sem_wait(&second.wake) != 0)
            ;
        atomic_store(&second.is_inside, true);
        while (atomic_load(&second.is_open) && copy_piece())
            ;
        atomic_store(&second.is_inside, false);
    }
    return unused;
}

void copying_share(int least_cpus)
{
    atomic_store(&second.least_cpus, least_cpus);
}

/* With the mutex held. A thread is its process's alone, so a child has none yet. */
static bool is_there(void)
{
    cpu_set_t allowed;
    pthread_t thread;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < atomic_load(&second.least_cpus))
        return false;
    if (second.owner == getpid())
        return true;
    atomic_store(&second.is_open, false);
    atomic_store(&second.is_inside, false);
    sem_init(&second.wake, 0, 0);
    if (quiet_thread_start(&thread, copy_along, NULL) != 0)
        return false;
    pthread_detach(thread);
    second.owner = getpid();
    return true;
}

static size_t handed_out(void)
{
    size_t next = atomic_load_explicit(&second.next, memory_order_relaxed);
    return next < second.length ? next : second.length;
}

static bool share(const struct copy_look *looking)
{
    bool is_wanted = true;
    atomic_store(&second.is_open, true);
    sem_post(&second.wake);
    while (is_wanted && copy_piece())
        is_wanted = looking == NULL || looking->look(looking->context, handed_out());
    atomic_store(&second.is_open, false);
    for (unsigned turn = 1; atomic_load(&second.is_inside); turn++) {
        struct timespec nap = {.tv_nsec = NAP_NS};
        if (turn % PAUSES == 0)
            nanosleep(&nap, NULL); /* it was put aside, perhaps for us */
        else
            pause_briefly();
    }
    return is_wanted && (looking == NULL || looking->look(looking->context, handed_out()));
}

static bool copy_alone(unsigned char *into, const unsigned char *from, size_t length, size_t piece,
                       const struct copy_look *looking)
{
    for (size_t at = 0; at < length; at += piece) {
        if (piece > length - at)
            piece = length - at;
        memcpy(into + at, from + at, piece);
        if (looking != NULL && !looking->look(looking->context, at + piece))
            return false;
    }
    return true;
}

bool copy_shared(void *into, const void *from, size_t length, size_t piece, const struct copy_look *looking)
{
    if (length < COPYING_LEAST_BYTES || atomic_load(&second.least_cpus) == 0 || pthread_mutex_trylock(&second.mutex) != 0)
        return copy_alone(into, from, length, piece, looking);
    bool is_shared = is_there(), is_wanted;
    if (is_shared) {
        second.into = into;
        second.from = from;
        second.length = length;
        second.piece = piece;
        atomic_store_explicit(&second.next, 0, memory_order_relaxed);
        is_wanted = share(looking);
    }
    pthread_mutex_unlock(&second.mutex);
    return is_shared ? is_wanted : copy_alone(into, from, length, piece, looking);
}
