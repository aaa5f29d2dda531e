/* The owner's end of the direct transport: one connection for each reader of a segment, each with its own newest frame.
 *
 * Who may touch what:
 * - One thread, the pump's (also Python's, between two of its loops), calls everything here. It alone adds and removes
 *   readers, takes frames out of the segment and says which is the newest.
 * - A reader that is idle is the pump's: it sends to it itself. One that took only a part of a message is behind, and the
 *   finisher's (direct_finisher.c): a thread that sends the rest, and then the newest frame if that is another, until
 *   nothing is left; then the reader is idle again. It is started for the first reader that is behind, and sleeps while
 *   none is.
 * - All that both need is changed under `lock`: which is the newest frame, who is behind, what is held. Nobody sends or
 *   copies a frame under it.
 *
 * So no wake-up is lost: the finisher lets a reader go only after it saw, under the lock, that the newest frame is the one
 * it has sent; and the pump, which names a newer one under the same lock, then finds that reader idle. A socket is watched
 * from when the reader was made the finisher's, and as long as it has room, not only from when it gets some.
 *
 * So nobody delays anybody: nothing waits for a reader, except for all of them when each of them is behind and the frame
 * would be sent to none; then the newest one is better taken when somebody wants it.
 *
 * After a fork the sender is the parent's alone; the child may only free it.
 */
#ifndef DAOSUP_DIRECT_SENDER_H
#define DAOSUP_DIRECT_SENDER_H

#include <pthread.h>
#include <sys/types.h>

#include "direct_reader.h"
#include "frames.h"

#define DIRECT_SECOND_NS 1000000000LL
#define DIRECT_READERS_MAX 256
#define DIRECT_RING_MAX 65536
#define DIRECT_FORMS_MAX 16

struct direct_form;

struct direct_sender {
    pthread_mutex_t lock;
    pthread_cond_t someone_idle;
    bool is_pump_waiting; /* for that */

    struct frame_pool pool;
    struct pool_frame *newest;      /* of the present opening; NULL: none was taken yet */
    struct direct_blob *descriptions[2]; /* for foreign readers, for ours */
    uint64_t opening;               /* counts those of the source */
    uint64_t version;               /* counts descriptions */
    uint64_t serial;                /* counts frames */

    struct direct_reader *readers[DIRECT_READERS_MAX];
    unsigned count;
    unsigned behind_count;
    unsigned ring_readers; /* who get every one */
    uint64_t last_id;
    struct direct_form *forms[DIRECT_FORMS_MAX]; /* of readers who do not want whole frames, see direct_form.h */
    unsigned form_count;
    uint32_t last_form;
    size_t most_bytes; /* of a message from a reader that may write; of others there is none */

    int hearing;   /* an epoll: readable when a reader has said something */
    int writing;   /* the same, of those alone that may write */
    int finishing; /* an epoll: of those that are behind */
    int stopping;  /* an eventfd in it */
    pthread_t finisher;
    bool has_finisher;
    pid_t owner; /* process */
};

/* 0 or an errno. */
int direct_sender_init(struct direct_sender *self, size_t most_bytes);
/* Say goodbye to whom it can be said, and end the finisher. In another process than the one that made it: only memory and
 * descriptors are given back, and the connections are left alone. */
void direct_sender_close(struct direct_sender *self);

/* The source was opened, or its keywords changed (`frame_bytes` 0): what its readers are told of it. 0 or ENOMEM. */
int direct_sender_describe(struct direct_sender *self, size_t frame_bytes, const void *meta, size_t meta_length,
                           const void *description, size_t description_length);
/* A connected reader, told about the source at once. Its id; or 0, with errno, and the descriptor is still the caller's. */
uint64_t direct_sender_add(struct direct_sender *self, int fd, bool is_ours, bool may_write, int64_t period_ns,
                           unsigned ring_frames);
struct direct_reader *direct_sender_find(const struct direct_sender *self, uint64_t id);
/* Say something to one reader only: a whole message. False: it is gone, or has too much to be told already. */
bool direct_sender_answer(struct direct_sender *self, uint64_t id, const void *bytes, size_t length);
/* The frame with that counter is that reader's own; flagged so if he is sent it. */
void direct_sender_echo(struct direct_sender *self, uint64_t id, uint64_t counter);
struct direct_figures {
    unsigned long long id, frames, dropped, payload_bytes;
    bool is_behind;
};
struct direct_figures direct_sender_figures(struct direct_sender *self, unsigned index);
/* All that is due with no new frame: heartbeats, and frames that a rate held back. Never waits. */
void direct_sender_say(struct direct_sender *self);
/* Whether a reader has said something that is to be acted on; that one is there is only noted. */
bool direct_sender_is_spoken_to(struct direct_sender *self);
/* Take in what readers said, each message to `heard`; who left, went silent or says nonsense is gone. Never waits. */
void direct_sender_hear(struct direct_sender *self,
                        void (*heard)(void *context, const struct direct_reader *reader), void *context);
/* Forget one of those that are gone; false if there is none (any more, or it is just being sent to). */
bool direct_sender_reap(struct direct_sender *self, uint64_t *id, char *reason, size_t length);

enum direct_wish {
    DIRECT_WANTED,   /* somebody would be sent the newest frame now */
    DIRECT_LATER,    /* all are behind: somebody will want it when he no longer is */
    DIRECT_UNWANTED, /* nobody is to get one yet, for his rate */
};
enum direct_wish direct_sender_wish(struct direct_sender *self, int64_t now);
/* Wait until somebody is no longer behind; at most until then. */
void direct_sender_wait(struct direct_sender *self, int64_t deadline_ns);
/* Send everybody idle the newest frame of the segment, if it is not the one already sent; the result of its snapshot.
 * `patience_ns`: until then a reader that is the only one, and wants the newest, is waited for, as somebody else's thread is not
 * quicker. */
enum frames_result direct_sender_send(struct direct_sender *self, struct frames *frames, int64_t read_deadline_ns,
                                      int64_t patience_ns);

/* For the other parts of the sender. That frame of the pool, with its counters and times, is the newest. */
void direct_sender_publish(struct direct_sender *self, struct pool_frame *frame);
/* Send all idle readers what there is for them. */
void direct_sender_send_all(struct direct_sender *self, int64_t patience_ns);
/* For direct_finisher.c: what becomes of a reader after a push, with the lock held; true: it has more to be pushed. */
bool direct_sender_settle(struct direct_sender *self, struct direct_reader *reader, enum reader_push pushed, int error,
                          int64_t now);

#endif
