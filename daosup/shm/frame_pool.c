#define _GNU_SOURCE
#include "frame_pool.h"

#include <stdlib.h>

#include "dnet.h"
#include "huge_pages.h"

/* Frames that were not needed for so long are given back. */
#define TRIM_NS 10000000000LL

static void collect(struct frame_pool *self)
{
    if (self->lending == NULL)
        return;
    for (struct pool_frame *frame = lending_collect(self->lending), *next; frame != NULL; frame = next) {
        next = frame->next;
        frame_pool_release(self, frame);
    }
}

struct pool_frame *frame_pool_take(struct frame_pool *self)
{
    collect(self);
    struct pool_frame *frame = self->free;
    if (frame != NULL) {
        self->free = frame->next;
        self->free_count--;
        if (self->free_count < self->least_free)
            self->least_free = self->free_count;
    } else {
        const size_t alignment = _Alignof(struct pool_frame);
        size_t length = sizeof *frame + self->frame_bytes + DNET_TRAILER_BYTES;
        if (length < self->frame_bytes)
            return NULL;
        self->least_free = 0;
        frame = aligned_alloc(alignment, (length + alignment - 1) / alignment * alignment);
        if (frame == NULL)
            return NULL;
        huge_pages_wish(frame, length);
    }
    *frame = (struct pool_frame){.references = 1, .frame_bytes = self->frame_bytes, .length = self->frame_bytes};
    return frame;
}

void pool_frame_hold(struct pool_frame *frame)
{
    frame->references++;
}

void frame_pool_release(struct frame_pool *self, struct pool_frame *frame)
{
    if (frame == NULL || --frame->references > 0)
        return;
    if (frame->frame_bytes != self->frame_bytes) {
        free(frame);
        return;
    }
    frame->next = self->free;
    self->free = frame;
    self->free_count++;
}

static void drop(struct frame_pool *self, unsigned count)
{
    for (; count > 0 && self->free != NULL; count--) {
        struct pool_frame *frame = self->free;
        self->free = frame->next;
        self->free_count--;
        free(frame);
    }
}

void frame_pool_resize(struct frame_pool *self, size_t frame_bytes)
{
    if (frame_bytes != self->frame_bytes)
        drop(self, self->free_count);
    self->frame_bytes = frame_bytes;
    self->least_free = self->free_count;
}

void frame_pool_trim(struct frame_pool *self, int64_t now)
{
    if (now - self->trimmed_ns < TRIM_NS)
        return;
    self->trimmed_ns = now;
    collect(self);
    drop(self, self->least_free);
    self->least_free = self->free_count;
}

struct pool_frame *pool_frame_of(void *head)
{
    return (struct pool_frame *)(void *)((unsigned char *)head - offsetof(struct pool_frame, head));
}

struct frame_lending *frame_pool_lend(struct frame_pool *self, struct pool_frame *frame)
{
    if (self->lending == NULL && (self->lending = lending_make()) == NULL)
        return NULL;
    pool_frame_hold(frame);
    lending_note(self->lending);
    return self->lending;
}

void frame_pool_end(struct frame_pool *self)
{
    collect(self);
    frame_pool_resize(self, 0);
    if (self->lending != NULL)
        lending_end(self->lending);
    self->lending = NULL;
}
