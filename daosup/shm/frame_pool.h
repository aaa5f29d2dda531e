/* Whole frames in memory, each of which several readers may be taking at once.
 *
 * Invariants: a frame that somebody holds is never written to. Once as many frames are here as were ever needed at the
 * same time, none is allocated any more. Frames of another size than the present one end when they are let go.
 * Not locked: whoever has the pool has a lock around every call.
 */
#ifndef DAOSUP_FRAME_POOL_H
#define DAOSUP_FRAME_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "frame_lending.h"

#define POOL_HEAD_BYTES 64

struct pool_frame {
    struct pool_frame *next; /* of those that are free, or were given back */
    unsigned references;
    size_t frame_bytes; /* there is room for */
    size_t length;      /* so many are used */
    uint32_t flags;     /* of enum dnet_flag: how it is made */
    uint64_t opening; /* of which opening of the source it is */
    uint64_t serial;  /* counts the frames of all openings: newer ones have larger numbers */
    uint64_t cnt0, cnt2;
    int64_t atime_ns;
    int64_t sent_ns; /* when it was first sent, ns since 1970 UTC */
    _Alignas(64) unsigned char head[POOL_HEAD_BYTES]; /* who lends the frame puts a message's header here */
    unsigned char bytes[]; /* the frame; then, behind its length, its counter once more */
};

struct frame_pool {
    size_t frame_bytes;
    struct pool_frame *free;
    unsigned free_count;
    unsigned least_free; /* since the last trim */
    int64_t trimmed_ns;
    struct frame_lending *lending; /* NULL: none ever was lent */
};

/* A frame for one holder; NULL if there is no memory. */
struct pool_frame *frame_pool_take(struct frame_pool *self);
void pool_frame_hold(struct pool_frame *frame);
void frame_pool_release(struct frame_pool *self, struct pool_frame *frame); /* NULL is no frame */
/* Hold a frame for somebody who gives it back by lending_give_back(frame->head, what this returns), in whatever thread and
 * whenever it is; once at a time. NULL if there is no memory. */
struct frame_lending *frame_pool_lend(struct frame_pool *self, struct pool_frame *frame);
struct pool_frame *pool_frame_of(void *head);
/* From now on frames have this size. */
void frame_pool_resize(struct frame_pool *self, size_t frame_bytes);
/* Now and then: give back what was not needed for some seconds. */
void frame_pool_trim(struct frame_pool *self, int64_t now);
/* All are let go but those that are lent. */
void frame_pool_end(struct frame_pool *self);

#endif
