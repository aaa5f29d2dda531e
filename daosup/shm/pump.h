/* The loops of a flowing stream, in which Python has no part: from a segment to a socket, from a socket to a segment.
 *
 * Invariant: only whole frames are sent, and only the frame that is expected next is written; whatever else comes up ends
 * the loop and is the caller's to judge. A message is closed or handed on, whatever happens.
 */
#ifndef DAOSUP_PUMP_H
#define DAOSUP_PUMP_H

#include "direct_sender.h"
#include "frames.h"
#include "libzmq.h"
#include "messages.h"
#include "pickles.h"
#include "semaphores.h"
#include "statistics.h"

/* Outcomes beside those of enum frames_result. */
enum {
    PUMP_OTHER = FRAMES_LOST + 1, /* the message is not just the next frame */
    PUMP_FAILED,                  /* libzmq says no, and errno why */
};

/* How far a publisher is with one segment. */
struct outgoing {
    uint64_t sequence; /* frames sent, of segments before too */
    uint64_t sent;     /* the counter of the last one */
    uint64_t skipped;  /* frames that were written and never sent */
    uint64_t gaps;     /* how often at least one was */
    bool is_doubtful;  /* the last one may not have found room for some reader of the socket: it holds half a queue */
};

/* Count the frame of the last snapshot as sent; false if its counter went back, so the segment is another one. */
bool outgoing_note(struct outgoing *self, uint64_t counter);

struct sending {
    struct frames *frames;
    struct semaphores *semaphores;
    struct outgoing *outgoing;
    struct statistics *page; /* where each frame is counted, and how late it is sent; NULL: nowhere */
    struct frame_pool *pool;  /* what frames for the socket are kept in, while there are no direct readers */
    struct direct_sender *direct; /* whose readers get each frame first; NULL: there are none */
    bool has_zmq;                 /* somebody reads from the socket; else, while `direct` has readers, nothing goes there */
    void *socket;
    const unsigned char *header; /* of all frames' messages, as far as they have it in common */
    int queue;                   /* how many messages wait for a reader of the socket at most; 0: any number */
    struct pickle_ends ends;     /* each frame goes out a second time between them */
    const unsigned char *keywords; /* of the segment as they were described: all of them, or none */
    size_t keywords_bytes;
    int semaphore;
    int64_t rest_ns;     /* to wait for a frame */
    int64_t read_ns;     /* to find one whole */
    int64_t spin_ns;     /* to look for a frame again and again before the rest; 0: not */
    int64_t deadline_ns; /* of the present rest */
    int64_t listen_ns;   /* when to look next whether a reader has said something */
    int64_t until_ns;    /* a frame that comes later, or when a reader has, is left to the caller: FRAMES_OK */
};

/* Never waits for a reader of the socket: where nobody takes a frame it is dropped, and counts as sent. A frame that is left
 * to the caller was sent to the direct readers nevertheless; one that none of them is to get, for their rates, counts as
 * neither sent nor skipped. While nobody reads from the socket nobody is listened to either: who has something to say then
 * kicks. Four times a second it ends for signals (FRAMES_INTERRUPTED), or as keywords are others (FRAMES_WOKEN). */
int pump_send(struct sending *self);

struct receiving {
    struct frames *frames;
    struct semaphores *semaphores;
    struct statistics *page; /* the same, with how late readers here are told of it */
    void *socket;
    const unsigned char *begin, *end; /* of the header of each frame, see message_belongs */
    uint64_t expected;                /* the counter of the next frame */
    uint64_t taken;                   /* how many came and were written */
    uint64_t passed_over;             /* how many came and were not, for a newer one was there */
    int64_t until_ns;                 /* after the first frame from then on: FRAMES_OK */
    int queue;                        /* how many messages the socket has room for; 0: any number */
    libzmq_message message;           /* with PUMP_OTHER: what came; the caller closes it */
};

/* Of the frames that have arrived all but the newest are passed over. Waits for a message as long as the socket's own
 * timeout says: FRAMES_TIMEOUT, also if a signal came; four times a second it ends for signals: FRAMES_INTERRUPTED. */
int pump_receive(struct receiving *self);

#endif
