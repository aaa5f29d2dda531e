#define _GNU_SOURCE
#include "direct_sender.h"

#include <string.h>

#include "direct_form.h"
#include "latency.h"

enum direct_wish direct_sender_wish(struct direct_sender *self, int64_t now)
{
    enum direct_wish wish = DIRECT_UNWANTED;
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < self->count && wish != DIRECT_WANTED; i++) {
        const struct direct_reader *reader = self->readers[i];
        if (reader->is_gone)
            continue;
        if (reader->ring_frames > 0 || (!reader->is_behind && now >= reader->due_ns))
            wish = DIRECT_WANTED;
        else if (reader->is_behind)
            wish = DIRECT_LATER;
    }
    if (self->form_count > 0 && wish != DIRECT_WANTED && direct_forms_want(self, now))
        wish = DIRECT_WANTED;
    pthread_mutex_unlock(&self->lock);
    return wish;
}

void direct_sender_wait(struct direct_sender *self, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / DIRECT_SECOND_NS, .tv_nsec = deadline_ns % DIRECT_SECOND_NS};
    pthread_mutex_lock(&self->lock);
    unsigned before = self->behind_count;
    self->is_pump_waiting = true;
    while (self->behind_count > 0 && self->behind_count >= before &&
           pthread_cond_timedwait(&self->someone_idle, &self->lock, &until) == 0)
        ;
    self->is_pump_waiting = false;
    pthread_mutex_unlock(&self->lock);
}

/* A frame to copy into: the newest one itself, if nobody holds it. */
static struct pool_frame *spare(struct direct_sender *self)
{
    struct pool_frame *frame = self->newest;
    pthread_mutex_lock(&self->lock);
    if (frame != NULL && frame->references == 1)
        self->newest = NULL;
    else
        frame = frame_pool_take(&self->pool);
    pthread_mutex_unlock(&self->lock);
    return frame;
}

void direct_sender_publish(struct direct_sender *self, struct pool_frame *frame)
{
    memcpy(frame->bytes + frame->length, &frame->cnt0, sizeof frame->cnt0);
    pthread_mutex_lock(&self->lock);
    frame->opening = self->opening;
    frame->serial = ++self->serial;
    frame_pool_release(&self->pool, self->newest);
    self->newest = frame;
    for (unsigned i = 0; i < self->count && self->ring_readers > 0; i++)
        if (self->readers[i]->ring_frames > 0 && !self->readers[i]->is_gone)
            reader_queue(self->readers[i], frame);
    if (self->form_count > 0)
        direct_forms_queue(self, frame);
    pthread_mutex_unlock(&self->lock);
}

static enum frames_result take(struct direct_sender *self, struct frames *frames, int64_t slot, uint64_t counter,
                               int64_t deadline_ns)
{
    struct pool_frame *frame = spare(self);
    if (frame == NULL)
        return FRAMES_BUSY;
    enum frames_result result = frames_snapshot(frames, frame->bytes, slot, deadline_ns);
    if (result == FRAMES_OK && slot >= 0 && frames->cnt0 != counter)
        result = FRAMES_BUSY; /* the writer went through it meanwhile */
    if (result == FRAMES_OK) {
        frame->cnt0 = frames->cnt0;
        frame->cnt2 = frames->cnt2;
        frame->atime_ns = frames->atime_ns;
        frame->sent_ns = utc_ns();
        direct_sender_publish(self, frame);
        return result;
    }
    pthread_mutex_lock(&self->lock);
    frame_pool_release(&self->pool, frame);
    pthread_mutex_unlock(&self->lock);
    return result;
}

/* Of a segment with a FIFO: the frames between the last one taken and the newest, as far as they are still there. */
static void take_missed(struct direct_sender *self, struct frames *frames, uint64_t newest, uint32_t newest_slot)
{
    uint64_t counter = self->newest->cnt0 + 1;
    if (newest - counter > frames->depth - 2) /* the slot behind the newest is the one written next */
        counter = newest - (frames->depth - 2);
    for (; counter < newest; counter++) {
        uint32_t back = (uint32_t)(newest - counter);
        if (take(self, frames, (newest_slot + frames->depth - back) % frames->depth, counter, 0) == FRAMES_OK)
            direct_sender_send_all(self, 0);
        if (self->newest == NULL)
            return;
    }
}

static bool is_every_wanted(const struct direct_sender *self)
{
    return self->ring_readers > 0 || direct_forms_want_every(self);
}

enum frames_result direct_sender_send(struct direct_sender *self, struct frames *frames, int64_t read_deadline_ns,
                                      int64_t patience_ns)
{
    uint32_t slot = frames_newest_slot(frames);
    uint64_t counter = frames_counter(frames, slot);
    if (self->newest == NULL || self->newest->cnt0 != counter) {
        enum frames_result result = FRAMES_BUSY;
        if (self->newest != NULL && frames->depth > 1 && counter > self->newest->cnt0 && is_every_wanted(self)) {
            take_missed(self, frames, counter, slot);
            /* That very one: one that became the newest meanwhile may be several further. */
            result = take(self, frames, slot, counter, 0);
        }
        if (result == FRAMES_BUSY)
            result = take(self, frames, -1, 0, read_deadline_ns);
        if (result != FRAMES_OK)
            return result;
    }
    direct_sender_send_all(self, patience_ns);
    if (self->form_count > 0)
        direct_forms_tell(self);
    return FRAMES_OK;
}
