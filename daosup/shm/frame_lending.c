#define _GNU_SOURCE
#include "frame_lending.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "frame_pool.h"

struct frame_lending {
    _Atomic(struct pool_frame *) back; /* given back and not collected: the last one first */
    atomic_size_t holders;             /* frames that are lent, and the pool */
};

struct frame_lending *lending_make(void)
{
    struct frame_lending *self = malloc(sizeof *self);
    if (self == NULL)
        return NULL;
    atomic_init(&self->back, NULL);
    atomic_init(&self->holders, 1);
    return self;
}

void lending_note(struct frame_lending *self)
{
    atomic_fetch_add_explicit(&self->holders, 1, memory_order_relaxed);
}

unsigned lending_count(struct frame_lending *self)
{
    return (unsigned)atomic_load_explicit(&self->holders, memory_order_relaxed) - 1;
}

struct pool_frame *lending_collect(struct frame_lending *self)
{
    if (atomic_load_explicit(&self->back, memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&self->back, NULL, memory_order_acquire);
}

void lending_end(struct frame_lending *self)
{
    if (atomic_fetch_sub_explicit(&self->holders, 1, memory_order_acq_rel) > 1)
        return;
    for (struct pool_frame *frame = lending_collect(self), *next; frame != NULL; frame = next) {
        next = frame->next;
        free(frame);
    }
    free(self);
}

/* All are taken at once by the only one who takes any, so a frame that comes back twice in between confuses nobody. */
void lending_give_back(void *message, void *lending)
{
    struct frame_lending *self = lending;
    struct pool_frame *frame = pool_frame_of(message);
    frame->next = atomic_load_explicit(&self->back, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&self->back, &frame->next, frame, memory_order_release,
                                                  memory_order_relaxed))
        ;
    lending_end(self);
}
