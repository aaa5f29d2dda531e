#define _GNU_SOURCE
#include "guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 4096

/* start is 0 in a free slot; it is stored last and cleared first, so that the handler, which may run in
 * any thread at any time, sees a whole slot or none. */
static struct {
    _Atomic uintptr_t start;
    _Atomic size_t length;
    atomic_bool lost;
} slots[SLOTS];

static _Atomic int slots_used; /* no slot at or above this was ever taken */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous;
static uintptr_t page_bytes;
static _Thread_local int nesting;

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    if (nesting > 1 || previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        /* Not ours, and nobody else takes it: returning faults again and ends the process as it should. */
        signal(signal_number, SIG_DFL);
        if (info->si_code <= 0)
            raise(signal_number); /* sent by kill(): it would not come again by itself */
    } else if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal_number, info, context);
    } else {
        previous.sa_handler(signal_number);
    }
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    nesting++;
    if (info->si_code > 0) {
        int used = atomic_load(&slots_used);
        for (int i = 0; i < used; i++) {
            uintptr_t start = atomic_load(&slots[i].start);
            size_t length = atomic_load(&slots[i].length);
            if (start == 0 || address < start || address >= start + length)
                continue;
            /* Everything behind the missing page is missing too. mmap is a plain system call here. */
            uintptr_t page = address & ~(page_bytes - 1);
            void *zeroes = mmap((void *)page, start + length - page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            if (zeroes == MAP_FAILED)
                break;
            atomic_store(&slots[i].lost, true);
            nesting--;
            return;
        }
    }
    pass_on(signal_number, info, context);
    nesting--;
}

void guard_renew(void)
{
    struct sigaction now;
    if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error)
        return;
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    ours.sa_sigaction = on_bus_error;
    sigemptyset(&ours.sa_mask);
    pthread_mutex_lock(&mutex);
    sigaction(SIGBUS, &ours, &now);
    if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_bus_error)
        previous = now;
    pthread_mutex_unlock(&mutex);
}

int guard_acquire(void *start, size_t length)
{
    int found = -1;
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    guard_renew();
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < SLOTS; i++) {
        if (atomic_load(&slots[i].start) != 0)
            continue;
        atomic_store(&slots[i].length, length);
        atomic_store(&slots[i].lost, false);
        atomic_store(&slots[i].start, (uintptr_t)start);
        if (i >= atomic_load(&slots_used))
            atomic_store(&slots_used, i + 1);
        found = i;
        break;
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

bool guard_lost(int slot)
{
    return atomic_load_explicit(&slots[slot].lost, memory_order_acquire);
}

void guard_release(int slot)
{
    if (slot < 0 || slot >= SLOTS)
        return;
    pthread_mutex_lock(&mutex);
    atomic_store(&slots[slot].start, 0);
    pthread_mutex_unlock(&mutex);
}
