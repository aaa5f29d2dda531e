/* One reader of the direct transport: its connection, the message that is on its way to it, and what it has to get next.
 *
 * Invariants: a message that was begun is finished before the next one begins, and what it consists of is held until then;
 * so whatever becomes of the source, a reader never sees half a frame followed by something else. A frame goes out only
 * behind the description it belongs to. Nothing here waits.
 * Not locked; direct_sender.h says who may touch what.
 */
#ifndef DAOSUP_DIRECT_READER_H
#define DAOSUP_DIRECT_READER_H

#include <stdbool.h>
#include <sys/uio.h>

#include "direct_input.h"
#include "dnet.h"
#include "frame_pool.h"

#define READER_ANSWERS_MAX 8
/* The most that waits for a reader that gets every frame; so many frames in any case. */
#define READER_RING_BYTES (64u << 20)
#define READER_RING_LEAST 4

/* A complete message made elsewhere, header and all, that several readers may get. */
struct direct_blob {
    unsigned references;
    size_t length;
    unsigned char bytes[];
};

struct direct_blob *direct_blob_make(const void *bytes, size_t length);
void direct_blob_release(struct direct_blob *blob);

enum reader_push {
    PUSH_DONE,   /* the message is with the kernel, all of it */
    PUSH_PARTLY, /* there is no more room just now */
    PUSH_GONE,   /* the connection is, and errno says why */
};

struct direct_reader {
    uint64_t id;
    int fd;
    bool is_ours;
    bool may_write;     /* what it says may be more than that it is there, and is waited for */
    bool is_behind;     /* the finisher's; else the pump's */
    bool is_in_hand;    /* the finisher is sending to it right now */
    bool is_registered; /* with the finisher's epoll */
    bool is_gone;
    char reason[96]; /* why */

    /* What is on its way. */
    struct dnet_header header;
    struct iovec parts[2];
    struct iovec *part;
    int parts_left;
    struct pool_frame *frame; /* held while it is */
    struct direct_blob *blob;

    /* How far it is. */
    uint64_t version;     /* of the description it has */
    uint64_t opening;     /* that description's */
    uint64_t serial;      /* of the frame chosen last */
    uint64_t counter;     /* that frame's */
    uint64_t counter_opening;
    int64_t sent_ns;      /* when it was last sent anything, and heard, monotonic */
    int64_t heard_ns;
    uint64_t echo;        /* the counter of the frame that it wrote itself */
    bool has_echo;

    int64_t period_ns; /* at most one frame in so long; 0: as they come */
    int64_t due_ns;    /* the next one not before */

    /* Frames that wait for it, for a reader that is to get every one. */
    struct pool_frame **ring;
    unsigned ring_frames, ring_first, ring_count;
    unsigned ring_most; /* of them are used: as frames of the present opening are large */
    uint64_t ring_counter; /* of the frame put in last */
    uint64_t ring_opening;

    struct direct_blob *answers[READER_ANSWERS_MAX]; /* what it asked for, and nobody else gets */
    unsigned answer_count;

    uint64_t frames, dropped, payload_bytes;
    struct direct_input input;
};

/* Takes the descriptor over. NULL, with errno, if there is no memory; the descriptor is the caller's then. */
struct direct_reader *reader_make(int fd, bool is_ours, int64_t period_ns, unsigned ring_frames, int64_t now);
/* Close the connection; what it holds of the pool is let go. With `is_abrupt` the kernel forgets what was not read yet. */
void reader_free(struct direct_reader *self, struct frame_pool *pool, bool is_abrupt);
/* Frames are so large from now on. */
void reader_begin(struct direct_reader *self, size_t frame_bytes);
/* A slow reader's delay is bounded by so little waiting for it in the kernel. */
void reader_bound(const struct direct_reader *self, size_t frame_bytes);
/* That opening ends with that frame: what it will not get of it counts as dropped. */
void reader_end(struct direct_reader *self, const struct pool_frame *last);
/* Let a frame wait for a reader that gets every one. When its ring is full that frame is dropped, and a gap seen. */
void reader_queue(struct direct_reader *self, struct pool_frame *frame);

/* What it is to be sent; nothing may be on its way. */
void reader_take_blob(struct direct_reader *self, struct direct_blob *blob);
void reader_take_frame(struct direct_reader *self, struct pool_frame *frame, int64_t now);
void reader_take_heartbeat(struct direct_reader *self);
struct pool_frame *reader_next_in_ring(struct direct_reader *self, struct frame_pool *pool);
struct direct_blob *reader_next_answer(struct direct_reader *self);
/* One system call, or one more if a signal came. */
enum reader_push reader_push(struct direct_reader *self);
/* What was on its way is there, or never will be. */
void reader_sent(struct direct_reader *self, struct frame_pool *pool, int64_t now);
void reader_discard(struct direct_reader *self, struct frame_pool *pool);
/* Say why it is gone, as printf does. */
void reader_gone(struct direct_reader *self, const char *reason, ...) __attribute__((format(printf, 2, 3)));

#endif
