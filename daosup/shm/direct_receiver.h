/* The reader's end of a direct connection: from a TCP socket into a mirror.
 *
 * Invariants: no length is believed that no message of its kind can have, or that is not the described frame's; a frame
 * is written only when it is here whole, so a link that dies in the middle of one leaves the last frame untouched. A byte
 * that should not be there ends the connection: a stream of bytes that lost its frame is never trusted again.
 */
#ifndef DAOSUP_DIRECT_RECEIVER_H
#define DAOSUP_DIRECT_RECEIVER_H

#include "direct_unpacking.h"
#include "dnet.h"
#include "frames.h"
#include "semaphores.h"
#include "statistics.h"

/* Outcomes beside those of enum frames_result. */
enum direct_result {
    DIRECT_OTHER = FRAMES_LOST + 1, /* a message that is the caller's to judge */
    DIRECT_FAILED,                  /* no memory */
    DIRECT_CLOSED,                  /* the connection is over; `wrong` says how */
    DIRECT_BAD,                     /* what came is no message that may come here; `wrong` says why */
};

#define DIRECT_WRONG_BYTES 160

struct direct_receiver {
    int fd;                /* of a connected socket; -1: closed */
    bool is_every;         /* no frame is passed over */
    bool is_quick;         /* what came is acknowledged at once */
    long long spin_ns;     /* for so long it is looked again and again, before sleeping, whether something came; 0: not */
    unsigned char *buffer; /* what has come lies from begin to end; messages begin at its begin */
    size_t capacity, begin, end;
    struct direct_unpacking unpacking;
    uint64_t passed_over; /* frames that direct_receive did not hand over, for newer ones were here */
    unsigned passed_over_in_a_row;
    int64_t heard_ns; /* when something last came, monotonic clock */
    char wrong[DIRECT_WRONG_BYTES];
};

struct direct_message {
    struct dnet_header header;
    const unsigned char *payload; /* valid until the next call */
};

struct direct_taking {
    struct frames *frames;
    struct semaphores *semaphores;
    struct statistics *page; /* where each frame is counted, and how late readers here are told of it; NULL: nowhere */
    uint64_t expected;       /* the counter of the next frame; older ones are repeats and are dropped */
    uint64_t taken;          /* how many frames came and were written */
    uint64_t passed_over;    /* how many came and were not, for newer ones were here, or as they were torn at the source */
    uint64_t skipped, gaps;  /* of those before a frame that was written how many were not, and how often */
    int64_t until_ns;        /* after the first message from then on: FRAMES_OK */
};

/* The descriptor is the receiver's from now on. Packed frames may come if `is_packed`; packing_load has to have been called.
 * Waiting ends after less than 300 ms. 0 or an errno. */
int direct_receiver_init(struct direct_receiver *self, int fd, bool is_every, bool is_packed);
/* With `is_abrupt` the kernel forgets what it has not sent yet: it is not to arrive any later. */
void direct_receiver_close(struct direct_receiver *self, bool is_abrupt);
/* The next message, frames included if frame_bytes is not 0; heartbeats are eaten, and so are frames that too much waits
 * behind. DIRECT_OTHER, FRAMES_TIMEOUT,
 * FRAMES_INTERRUPTED or one of the bad ends. What has come of a message by then is kept for the next call. */
int direct_receive(struct direct_receiver *self, uint64_t frame_bytes, int64_t until_ns, struct direct_message *message);
/* The same, but frames go into the mirror. FRAMES_LOST: the mirror is not there any more; the frame waits. Four times a
 * second it ends for signals, and so that it is looked whether the mirror is there: FRAMES_INTERRUPTED. */
int direct_take(struct direct_receiver *self, struct direct_taking *taking, struct direct_message *message);

#endif
