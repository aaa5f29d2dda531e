#define _GNU_SOURCE
#include "direct_form.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "direct_former.h"
#include "quiet_thread.h"
#include "semaphores.h"

#define QUEUE_BYTES (64u << 20)
#define QUEUE_LEAST 4

struct direct_form *direct_form_make(struct direct_sender *source, bool is_packed)
{
    pthread_mutexattr_t polite;
    pthread_condattr_t steady;
    struct direct_form *self = source->form_count < DIRECT_FORMS_MAX ? calloc(1, sizeof *self) : NULL;
    if (self == NULL) {
        errno = source->form_count < DIRECT_FORMS_MAX ? ENOMEM : EUSERS;
        return NULL;
    }
    self->source = source;
    self->is_packed = is_packed;
    self->wanted_ns = FORMER_NEVER;
    int error = direct_sender_init(&self->sender, source->most_bytes);
    if (error != 0)
        goto no_sender;
    self->id = ++source->last_form;
    self->sender.last_id = (uint64_t)self->id << 32;
    pthread_mutexattr_init(&polite); /* as the sender's lock */
    pthread_mutexattr_setprotocol(&polite, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&self->turn, &polite);
    pthread_mutexattr_destroy(&polite);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&self->news, &steady);
    pthread_condattr_destroy(&steady);
    error = quiet_thread_start(&self->former, former_run, self);
    if (error != 0)
        goto no_thread;
    pthread_mutex_lock(&source->lock);
    source->forms[source->form_count++] = self;
    pthread_mutex_unlock(&source->lock);
    return self;

no_thread:
    direct_sender_close(&self->sender);
    pthread_cond_destroy(&self->news);
    pthread_mutex_destroy(&self->turn);
no_sender:
    free(self);
    errno = error;
    return NULL;
}

struct direct_form *direct_form_find(const struct direct_sender *source, uint32_t id)
{
    for (unsigned i = 0; i < source->form_count; i++)
        if (source->forms[i]->id == id && !source->forms[i]->is_stopping)
            return source->forms[i];
    return NULL;
}

/* Somebody waits for the newest frame, and the pump is to know that before the former has seen him. */
static void want(struct direct_form *self)
{
    pthread_mutex_lock(&self->source->lock);
    if (self->opening == self->source->opening)
        self->wanted_ns = 0;
    pthread_cond_signal(&self->news);
    pthread_mutex_unlock(&self->source->lock);
}

int direct_form_begin(struct direct_form *self, const struct cut *cut, const void *description, size_t length)
{
    struct direct_sender *source = self->source;
    size_t most = QUEUE_BYTES / (source->pool.frame_bytes > 0 ? source->pool.frame_bytes : 1);

    pthread_mutex_lock(&self->turn);
    int error = direct_sender_describe(&self->sender, cut_bytes(cut), description, length, description, length);
    if (error == 0) {
        self->cut = *cut;
        self->bound_bytes = 0;
        pthread_mutex_lock(&source->lock);
        self->opening = source->opening;
        self->queue_most = most < QUEUE_LEAST ? QUEUE_LEAST : most > FORM_QUEUE_MOST ? FORM_QUEUE_MOST : (unsigned)most;
        pthread_cond_signal(&self->news);
        pthread_mutex_unlock(&source->lock);
    }
    pthread_mutex_unlock(&self->turn);
    return error;
}

static bool has_readers(const struct direct_sender *source)
{
    bool is_read = source->count > 0;
    for (unsigned i = 0; i < source->form_count; i++)
        is_read = is_read || source->forms[i]->sender.count > 0;
    return is_read;
}

uint64_t direct_form_add(struct direct_form *self, int fd, int64_t period_ns, unsigned ring_frames)
{
    struct direct_sender *source = self->source;
    if (!has_readers(source)) { /* no frames were taken meanwhile: it may be old */
        pthread_mutex_lock(&source->lock);
        frame_pool_release(&source->pool, source->newest);
        source->newest = NULL;
        pthread_mutex_unlock(&source->lock);
    }
    struct direct_sender *sender = direct_form_enter(self);
    uint64_t id = direct_sender_add(sender, fd, true, false, period_ns, ring_frames);
    int error = errno;
    self->bound_bytes = 0;
    direct_form_leave(self);
    want(self);
    errno = error;
    return id;
}

struct direct_sender *direct_form_enter(struct direct_form *self)
{
    pthread_mutex_lock(&self->turn);
    return &self->sender;
}

void direct_form_leave(struct direct_form *self)
{
    pthread_mutex_unlock(&self->turn);
}

/* With the source's lock, if there are other threads. */
static void forget(struct direct_sender *source, struct direct_form *form)
{
    for (; form->queue_count > 0; form->queue_count--) {
        frame_pool_release(&source->pool, form->queue[form->queue_first]);
        form->queue_first = (form->queue_first + 1) % FORM_QUEUE_MOST;
    }
}

/* Its former is stopping, or another process's. */
static void end(struct direct_form *self, bool is_ours)
{
    if (is_ours) {
        pthread_join(self->former, NULL);
        pthread_mutex_lock(&self->source->lock); /* other formers may still give frames back */
    }
    forget(self->source, self);
    if (is_ours)
        pthread_mutex_unlock(&self->source->lock);
    direct_sender_close(&self->sender);
    if (is_ours) {
        pthread_cond_destroy(&self->news);
        pthread_mutex_destroy(&self->turn);
    }
    free(self->scratch[0]);
    free(self->scratch[1]);
    free(self);
}

/* Whether its former has stopped by now. */
static bool stop(struct direct_form *self)
{
    pthread_mutex_lock(&self->source->lock);
    self->is_stopping = true;
    pthread_cond_signal(&self->news);
    bool is_over = self->is_over;
    pthread_mutex_unlock(&self->source->lock);
    return is_over;
}

void direct_forms_sweep(struct direct_sender *source)
{
    unsigned left = 0;
    for (unsigned i = 0; i < source->form_count; i++) {
        struct direct_form *form = source->forms[i];
        if (form->sender.count == 0 && stop(form))
            end(form, true);
        else
            source->forms[left++] = form;
    }
    source->form_count = left;
}

void direct_forms_close(struct direct_sender *source, bool is_ours)
{
    for (unsigned i = 0; i < source->form_count && is_ours; i++)
        stop(source->forms[i]);
    for (unsigned i = 0; i < source->form_count; i++)
        end(source->forms[i], is_ours);
    source->form_count = 0;
}

/* -- what the pump's thread says and asks */

void direct_forms_queue(struct direct_sender *source, struct pool_frame *frame)
{
    for (unsigned i = 0; i < source->form_count; i++) {
        struct direct_form *form = source->forms[i];
        if (form->sender.ring_readers == 0 || form->opening != source->opening || form->queue_count >= form->queue_most)
            continue;
        pool_frame_hold(frame);
        form->queue[(form->queue_first + form->queue_count) % FORM_QUEUE_MOST] = frame;
        form->queue_count++;
    }
}

bool direct_forms_want(const struct direct_sender *source, int64_t now)
{
    for (unsigned i = 0; i < source->form_count; i++)
        if (source->forms[i]->sender.ring_readers > 0 || source->forms[i]->wanted_ns <= now)
            return true;
    return false;
}

bool direct_forms_want_every(const struct direct_sender *source)
{
    for (unsigned i = 0; i < source->form_count; i++)
        if (source->forms[i]->sender.ring_readers > 0)
            return true;
    return false;
}

void direct_forms_tell(struct direct_sender *source)
{
    int64_t now = monotonic_ns();
    pthread_mutex_lock(&source->lock);
    for (unsigned i = 0; i < source->form_count; i++)
        if (source->forms[i]->wanted_ns <= now)
            pthread_cond_signal(&source->forms[i]->news);
    pthread_mutex_unlock(&source->lock);
}
