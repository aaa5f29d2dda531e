#define _GNU_SOURCE
#include "direct_former.h"

#include <sched.h>
#include <stdlib.h>

#include "direct_form.h"
#include "packing.h"
#include "semaphores.h"

/* While a reader is behind, it is looked so often whether it still is. */
#define LOOK_NS 10000000LL

/* From when on somebody is to get a new frame; and whether somebody is behind. */
static int64_t wanted_from(struct direct_form *self, bool *is_someone_behind)
{
    struct direct_sender *sender = &self->sender;
    pthread_mutex_lock(&sender->lock);
    int64_t from = sender->ring_readers > 0 ? 0 : FORMER_NEVER;
    for (unsigned i = 0; i < sender->count; i++) {
        const struct direct_reader *reader = sender->readers[i];
        int64_t due = reader->is_behind ? FORMER_WHEN_IDLE : reader->due_ns;
        if (!reader->is_gone && due < from)
            from = due;
    }
    *is_someone_behind = sender->behind_count > 0;
    pthread_mutex_unlock(&sender->lock);
    return from;
}

/* The frame to be made now, for this holder; NULL: none. With the source's lock held. */
static struct pool_frame *choose(struct direct_form *self, int64_t now)
{
    struct pool_frame *frame = self->source->newest;
    if (self->queue_count > 0) {
        frame = self->queue[self->queue_first];
        self->queue_first = (self->queue_first + 1) % FORM_QUEUE_MOST;
        self->queue_count--;
        return frame;
    }
    if (frame == NULL || frame->serial <= self->serial || self->wanted_ns > now)
        return NULL;
    pool_frame_hold(frame);
    return frame;
}

static void wait_for_news(struct direct_form *self, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / DIRECT_SECOND_NS, .tv_nsec = until_ns % DIRECT_SECOND_NS};
    if (until_ns >= FORMER_WHEN_IDLE)
        pthread_cond_wait(&self->news, &self->source->lock);
    else
        pthread_cond_timedwait(&self->news, &self->source->lock, &until);
}

/* Wait for a frame to be made; NULL: the form is stopping. */
static struct pool_frame *next(struct direct_form *self)
{
    struct direct_sender *source = self->source;
    struct pool_frame *frame = NULL;

    pthread_mutex_lock(&source->lock);
    while (!self->is_stopping) {
        int64_t now = monotonic_ns();
        bool is_someone_behind = false, is_begun = self->opening == source->opening;
        self->wanted_ns = is_begun ? wanted_from(self, &is_someone_behind) : FORMER_NEVER;
        if ((frame = choose(self, now)) != NULL)
            break;
        if (self->wanted_ns == FORMER_WHEN_IDLE) {
            pthread_mutex_unlock(&source->lock);
            direct_sender_wait(&self->sender, now + LOOK_NS);
            pthread_mutex_lock(&source->lock);
            continue;
        }
        int64_t until_ns = self->wanted_ns > now ? self->wanted_ns : FORMER_NEVER;
        wait_for_news(self, is_someone_behind && until_ns > now + LOOK_NS ? now + LOOK_NS : until_ns);
    }
    self->wanted_ns = FORMER_NEVER; /* until this one is made */
    if (frame != NULL)
        self->serial = frame->serial;
    else
        self->is_over = true;
    pthread_mutex_unlock(&source->lock);
    return frame;
}

static bool has_scratch(struct direct_form *self, size_t bytes)
{
    if (self->scratch_bytes >= bytes)
        return true;
    self->scratch_bytes = 0;
    for (int i = 0; i < 2; i++) {
        free(self->scratch[i]);
        self->scratch[i] = malloc(bytes);
    }
    if (self->scratch[0] == NULL || self->scratch[1] == NULL)
        return false;
    self->scratch_bytes = bytes;
    return true;
}

/* Room for a frame, and how it is to be made; NULL: not at all any more, or there is no memory. */
static struct pool_frame *begin(struct direct_form *self, const struct pool_frame *whole, struct cut *cut)
{
    struct pool_frame *frame = NULL;
    struct direct_sender *sender = direct_form_enter(self);
    if (self->opening == whole->opening) {
        *cut = self->cut;
        pthread_mutex_lock(&sender->lock);
        frame = frame_pool_take(&sender->pool);
        pthread_mutex_unlock(&sender->lock);
    }
    direct_form_leave(self);
    return frame;
}

/* Packed frames are small: more of them than of whole ones would wait in the kernel for a slow reader. */
static void bound(struct direct_form *self, size_t bytes)
{
    if (bytes <= self->bound_bytes && bytes > self->bound_bytes / 2)
        return;
    self->bound_bytes = bytes;
    for (unsigned i = 0; i < self->sender.count; i++)
        reader_bound(self->sender.readers[i], bytes);
}

static void publish(struct direct_form *self, const struct pool_frame *whole, struct pool_frame *frame)
{
    struct direct_sender *sender = direct_form_enter(self);
    if (self->opening == whole->opening) {
        if (self->is_packed)
            bound(self, frame->length);
        direct_sender_publish(sender, frame);
        direct_sender_send_all(sender, 0);
    } else { /* the source was made anew meanwhile */
        pthread_mutex_lock(&sender->lock);
        frame_pool_release(&sender->pool, frame);
        pthread_mutex_unlock(&sender->lock);
    }
    direct_form_leave(self);
}

/* Whether it is smaller so, and there was memory to try. */
static bool cut_and_pack(struct direct_form *self, const struct cut *cut, const struct pool_frame *whole,
                         struct pool_frame *frame)
{
    const unsigned char *part = whole->bytes;
    if (!has_scratch(self, frame->frame_bytes))
        return false;
    if (frame->frame_bytes < whole->length) {
        cut_out(cut, whole->bytes, self->scratch[0]);
        part = self->scratch[0];
    }
    size_t length = pack(part, frame->bytes, frame->frame_bytes, cut->element_bytes, self->scratch[1]);
    if (length == 0)
        return false;
    frame->length = length;
    frame->flags = DNET_PACKED | (uint32_t)cut->element_bytes << DNET_ELEMENT_SHIFT;
    return true;
}

static void make(struct direct_form *self, const struct pool_frame *whole)
{
    struct cut cut;
    struct pool_frame *frame = begin(self, whole, &cut);
    if (frame == NULL)
        return;
    if (!self->is_packed || !cut_and_pack(self, &cut, whole, frame))
        cut_out(&cut, whole->bytes, frame->bytes);
    frame->cnt0 = whole->cnt0;
    frame->cnt2 = whole->cnt2;
    frame->atime_ns = whole->atime_ns;
    frame->sent_ns = whole->sent_ns;
    publish(self, whole, frame);
}

void *former_run(void *form)
{
    struct direct_form *self = form;
    struct direct_sender *source = self->source;
    struct pool_frame *frame;
    struct sched_param none = {0};

    /* However the pump was made to run: it goes before this. */
    sched_setscheduler(0, SCHED_BATCH, &none);
    while ((frame = next(self)) != NULL) {
        make(self, frame);
        pthread_mutex_lock(&source->lock);
        frame_pool_release(&source->pool, frame);
        pthread_mutex_unlock(&source->lock);
    }
    return NULL;
}
