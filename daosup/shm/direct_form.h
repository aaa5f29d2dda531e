/* One form in which readers want the frames of a segment: a part of each of them, packed or not. However many want it, each frame of it is
 * made once, by a thread of the form's own (the former), from the frame that the segment's sender has in its pool.
 *
 * A form is a sender of its own, with readers, newest frame, ring, rates and finisher as any other; only its frames come not
 * out of a segment but from its source, the segment's sender. So readers of whole frames know nothing of it, and neither
 * does the pump's thread, but for saying that there is a new frame.
 *
 * Who may touch what:
 * - The form's sender is used by its former and by the thread that uses the source, in turns: with `turn`. No frame is made
 *   with it, so that thread waits for as long at most as it takes to send what all idle readers have room for.
 * - What the source and the former tell each other is changed under the source's lock.
 * - Locks are taken in this order: the turn, the source's, the form's sender's.
 *
 * Invariant: a frame is made only by what was said of the opening it belongs to, and goes out behind that description. A form
 * that is not begun anew when its source is gets no more frames.
 */
#ifndef DAOSUP_DIRECT_FORM_H
#define DAOSUP_DIRECT_FORM_H

#include "cut.h"
#include "direct_sender.h"

#define FORM_QUEUE_MOST 64

struct direct_form {
    uint32_t id;
    struct direct_sender *source;
    struct direct_sender sender;
    pthread_mutex_t turn;
    pthread_t former;
    pthread_cond_t news; /* with the source's lock */

    /* Under the source's lock. */
    bool is_stopping, is_over;
    int64_t wanted_ns; /* from when on a new frame is wanted */
    struct pool_frame *queue[FORM_QUEUE_MOST]; /* that wait to be made, where somebody gets every one */
    unsigned queue_first, queue_count, queue_most;

    /* With the turn; the opening under the source's lock too, so that either is enough to read it. */
    struct cut cut;
    uint64_t opening; /* of the source */
    size_t bound_bytes; /* of frames, by which the delay of readers is bounded; 0: of whole ones */

    /* The former's. */
    uint64_t serial; /* of the frame it made last */
    unsigned char *scratch[2];
    size_t scratch_bytes; /* of each */
    bool is_packed; /* never changes */
};

/* One that nobody reads yet; NULL, with errno. It is the source's, and ends with it or when its readers are gone. */
struct direct_form *direct_form_make(struct direct_sender *source, bool is_packed);
/* Not of one that is ending. */
struct direct_form *direct_form_find(const struct direct_sender *source, uint32_t id);
/* The present opening of the source is cut so, which has to be possible: what its readers are told of it. 0 or ENOMEM. */
int direct_form_begin(struct direct_form *self, const struct cut *cut, const void *description, size_t length);
/* As direct_sender_add. The upper half of a reader's id is its form's. */
uint64_t direct_form_add(struct direct_form *self, int fd, int64_t period_ns, unsigned ring_frames);
/* The sender of its readers, to be used until it is left. */
struct direct_sender *direct_form_enter(struct direct_form *self);
void direct_form_leave(struct direct_form *self);

/* End those that nobody reads any more. Never waits for one that is just making a frame; that one ends another time. */
void direct_forms_sweep(struct direct_sender *source);
/* End all of them; in a child, without its threads. */
void direct_forms_close(struct direct_sender *source, bool is_ours);

/* For the source, in the pump's thread. With its lock held: let a frame wait where every one is wanted. */
void direct_forms_queue(struct direct_sender *source, struct pool_frame *frame);
/* With its lock held: whether a new frame would be made now. */
bool direct_forms_want(const struct direct_sender *source, int64_t now);
bool direct_forms_want_every(const struct direct_sender *source);
/* There is a new frame. */
void direct_forms_tell(struct direct_sender *source);

#endif
