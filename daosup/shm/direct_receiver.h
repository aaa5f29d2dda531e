/* The reader's end of a direct connection: messages out of a TCP socket.
 *
 * Invariants: no length is believed that no message of its kind can have, or that is not the described frame's. A byte
 * that should not be there ends the connection: a stream of bytes that lost its frame is never trusted again.
 */
#ifndef DAOSUP_DIRECT_RECEIVER_H
#define DAOSUP_DIRECT_RECEIVER_H

#include <sys/uio.h>

#include "direct_unpacking.h"
#include "dnet.h"
#include "frames.h"

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
    uint64_t straight;    /* frames whose end, or all, went from the socket to where it was wanted */
    uint64_t passed_over; /* frames that direct_receive did not hand over, for newer ones were here */
    unsigned passed_over_in_a_row;
    int64_t heard_ns; /* when something last came, monotonic clock */
    int64_t taken_ns; /* when the frame before came */
    bool is_dense;    /* the last one came soon behind it */
    bool is_cut;      /* what came next went where it cannot be read any more; `wrong` says why */
    char wrong[DIRECT_WRONG_BYTES];
};

struct direct_message {
    struct dnet_header header;
    const unsigned char *payload; /* valid until the next call */
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

/* Of direct_checking.c. FRAMES_OK if a message with that header may come, where frames have so many bytes (0: none is
 * described yet); or DIRECT_BAD. */
int receiver_check(struct direct_receiver *self, const struct dnet_header *header, uint64_t frame_bytes);
/* Say what is wrong, as printf does with one unsigned long long: DIRECT_BAD. */
int receiver_refuse(struct direct_receiver *self, const char *what, uint64_t number);

/* Where a frame may go from the socket, past memory. */
struct receiver_straight {
    uint64_t from; /* frames with that counter or a later one */
    bool is_spare; /* to where nobody looks yet, so it may be torn, and some of it may still be on its way */
};

/* For direct_taking.c. Wait for a message to be here whole, and no longer than until then: as direct_receive, FRAMES_OK. Of a
 * frame that may go `straight` (NULL: none may) the rest is in the socket, or comes. */
int receiver_next(struct direct_receiver *self, uint64_t frame_bytes, const struct receiver_straight *straight,
                  int64_t until_ns, struct dnet_header *header);
/* How many bytes of the message at the beginning are. */
size_t receiver_left(const struct direct_receiver *self, const struct dnet_header *header);

/* Of direct_straight.c. Whether the rest of the message at the beginning may go straight: if it is a plain frame, and, unless
 * to a spare place, one of ours, all there, and nothing behind it. */
bool receiver_goes_straight(const struct direct_receiver *self, const struct dnet_header *header,
                            const struct receiver_straight *straight);
/* Read it, the frame into that place and the counter behind it: FRAMES_OK. To a spare place it is waited for; where that is in
 * vain what has come is kept for the next call: FRAMES_BUSY, or, if nothing has, as direct_receive. Otherwise nobody knows
 * what of it was read: DIRECT_CLOSED, now and whenever more is asked for. */
int receiver_read_straight(struct direct_receiver *self, const struct dnet_header *header, bool is_spare,
                           unsigned char *into, uint64_t *counter);

/* For direct_straight.c. Make room for so many bytes from the first one that is here on. */
bool receiver_has_room(struct direct_receiver *self, size_t bytes);
/* recvmsg; what has come there is no part of `parts` any more. */
ssize_t receiver_take(const struct direct_receiver *self, struct iovec parts[2], int how);
/* The same, but look again and again before sleeping, until nothing has come for spin_ns; if `is_all`, for all of it. How many
 * bytes came, or as recv. */
ssize_t receiver_wait(const struct direct_receiver *self, struct iovec parts[2], bool is_all);
/* At the end of a call that read something. */
void receiver_heard(struct direct_receiver *self);
/* What a call that read nothing says, with errno: FRAMES_INTERRUPTED, FRAMES_TIMEOUT or DIRECT_CLOSED. */
int receiver_came(struct direct_receiver *self, ssize_t got);

/* Give the caller the message at the beginning, which is here whole: DIRECT_OTHER, or DIRECT_FAILED or DIRECT_BAD. */
int receiver_hand_over(struct direct_receiver *self, const struct dnet_header *header, size_t frame_bytes,
                       struct direct_message *message);
/* Of a packed frame what was packed. */
int receiver_unpack(struct direct_receiver *self, const struct dnet_header *header, size_t frame_bytes,
                    const unsigned char **frame);
/* Whether so much waits behind the frame at the beginning, a newer one first, that this one is of no use any more. */
bool receiver_is_behind(struct direct_receiver *self, const struct dnet_header *header);
/* The message at the beginning is done with. */
void receiver_consume(struct direct_receiver *self, const struct dnet_header *header);

#endif
