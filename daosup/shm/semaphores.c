#define _GNU_SOURCE
#include "semaphores.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NS 1000000000LL

int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static void name_of(char *name, size_t length, const char *base, int index, int count)
{
    if (index == count)
        snprintf(name, length, "/%s_semlog", base);
    else
        snprintf(name, length, "/%s_sem%02d", base, index);
}

void semaphores_init(struct semaphores *self, const char *base, int count)
{
    memset(self, 0, sizeof *self);
    snprintf(self->base, sizeof self->base, "%s", base);
    self->count = count > SEMAPHORES_MAX ? SEMAPHORES_MAX : count;
}

static sem_t *open_existing(const struct semaphores *self, int index)
{
    char name[SEMAPHORE_NAME_MAX + 16];
    name_of(name, sizeof name, self->base, index, self->count);
    sem_t *handle = sem_open(name, 0);
    return handle == SEM_FAILED ? NULL : handle;
}

sem_t *semaphores_get(struct semaphores *self, int index)
{
    if (index < 0 || index >= self->count) {
        errno = ENOENT;
        return NULL;
    }
    if (self->handles[index] == NULL)
        self->handles[index] = open_existing(self, index);
    return self->handles[index];
}

void semaphores_take(struct semaphores *self, int index)
{
    if (index >= 0 && index < self->count && self->handles[index] != NULL)
        sem_trywait(self->handles[index]);
}

void semaphores_forget(struct semaphores *self, int index)
{
    if (index >= 0 && index <= self->count && self->handles[index] != NULL) {
        sem_close(self->handles[index]);
        self->handles[index] = NULL;
        self->all_open = false;
    }
}

int semaphores_create(struct semaphores *self, mode_t mode)
{
    char name[SEMAPHORE_NAME_MAX + 16];
    for (int index = 0; index <= self->count; index++) {
        if (self->handles[index] != NULL || (self->handles[index] = open_existing(self, index)) != NULL)
            continue;
        name_of(name, sizeof name, self->base, index, self->count);
        sem_t *handle = sem_open(name, O_CREAT, mode, 0);
        if (handle == SEM_FAILED)
            return errno;
        self->handles[index] = handle;
        /* The umask took bits off, and to change it would touch the files that other threads make now.
         * Where glibc and musl keep semaphores is fixed; one that is not ours keeps its mode. */
        char path[sizeof name + 16];
        snprintf(path, sizeof path, "/dev/shm/sem.%s", name + 1);
        if (chmod(path, mode) != 0 && errno != EPERM)
            return errno;
    }
    self->all_open = true;
    return 0;
}

bool semaphore_post_capped(sem_t *handle)
{
    int value = 0;
    if (sem_getvalue(handle, &value) != 0 || value > 0)
        return false;
    return sem_post(handle) == 0;
}

void semaphores_post(struct semaphores *self)
{
    for (int index = 0; index <= self->count; index++)
        if (self->handles[index] != NULL)
            semaphore_post_capped(self->handles[index]);
}

bool semaphores_kick(struct semaphores *self, int index)
{
    atomic_store(&self->is_kicked, true); /* before the post: who takes that for a frame's finds this */
    sem_t *handle = index < 0 || index >= self->count ? NULL : open_existing(self, index);
    if (handle == NULL)
        return false;
    semaphore_post_capped(handle);
    sem_close(handle); /* counted by the C library, like the opening: the waiter's own handle stays */
    return true;
}

bool semaphores_kicked(struct semaphores *self)
{
    return atomic_load_explicit(&self->is_kicked, memory_order_relaxed) && atomic_exchange(&self->is_kicked, false);
}

void semaphores_close(struct semaphores *self)
{
    for (int index = 0; index <= self->count; index++)
        semaphores_forget(self, index);
}

void semaphores_unlink(const char *base, int count)
{
    char name[SEMAPHORE_NAME_MAX + 16];
    for (int index = 0; index <= count; index++) {
        name_of(name, sizeof name, base, index, count);
        sem_unlink(name);
    }
}

/* sem_clockwait came with glibc 2.30; found at run time so that one build serves older systems too. */
typedef int (*clockwait_function)(sem_t *, clockid_t, const struct timespec *);

static clockwait_function find_clockwait(void)
{
    static clockwait_function found;
    static bool is_searched;
    if (!is_searched) {
        void *symbol = dlsym(RTLD_DEFAULT, "sem_clockwait");
        memcpy(&found, &symbol, sizeof found);
        is_searched = true;
    }
    return found;
}

int semaphore_wait(sem_t *handle, int64_t deadline_ns)
{
    if (sem_trywait(handle) == 0)
        return 0;
    clockwait_function clockwait = find_clockwait();
    if (clockwait != NULL) {
        struct timespec deadline = {.tv_sec = deadline_ns / NS, .tv_nsec = deadline_ns % NS};
        return clockwait(handle, CLOCK_MONOTONIC, &deadline) == 0 ? 0 : errno;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall_ns = (int64_t)now.tv_sec * NS + now.tv_nsec + deadline_ns - monotonic_ns();
    struct timespec deadline = {.tv_sec = wall_ns / NS, .tv_nsec = wall_ns % NS};
    return sem_timedwait(handle, &deadline) == 0 ? 0 : errno;
}
