/* Frame messages of protocol 2, as far as the data path of a flowing stream touches them.
 *
 * Invariant: only a frame of the stream that is known is looked into here; whatever else comes is left untouched for
 * daosup/core/header.py, which has the whole table of the header and judges everything.
 */
#ifndef DAOSUP_MESSAGES_H
#define DAOSUP_MESSAGES_H

#include "frame_pool.h"
#include "frames.h"

#define MESSAGE_HEADER_BYTES POOL_HEAD_BYTES
#define MESSAGE_BEGIN_BYTES 16 /* magic, version, kind, flags, epoch: the same for all frames of a stream */
#define MESSAGE_END_BYTES 8    /* layout id, payload bytes: the same, too */

/* Make a frame the message that its head begins: with that header, but for what differs from frame to frame. */
void message_head(struct pool_frame *frame, const unsigned char *header, uint64_t sequence);
/* Whether this is a frame of the stream with that begin and end; only then may it be asked for more, or written. */
bool message_belongs(const struct frames *self, const unsigned char *message, size_t length, const unsigned char *begin,
                     const unsigned char *end);
uint64_t message_counter(const unsigned char *message);
enum frames_result message_commit(struct frames *self, const unsigned char *message);

#endif
