/* Frame messages of protocol 2, as far as the data path of a flowing stream touches them.
 *
 * Invariant: only a frame of the stream that is known is looked into here; whatever else comes is left untouched for
 * daosup/core/header.py, which has the whole table of the header and judges everything.
 */
#ifndef DAOSUP_MESSAGES_H
#define DAOSUP_MESSAGES_H

#include "frames.h"

#define MESSAGE_HEADER_BYTES 64
#define MESSAGE_BEGIN_BYTES 16 /* magic, version, kind, flags, epoch: the same for all frames of a stream */
#define MESSAGE_END_BYTES 8    /* layout id, payload bytes: the same, too */

/* Put the newest frame and what its header says of it into a message whose begin and end are there already. */
enum frames_result message_fill(struct frames *self, unsigned char *message, uint64_t sequence, int64_t deadline_ns);
/* Whether this is a frame of the stream with that begin and end; only then may it be asked for more, or written. */
bool message_belongs(const struct frames *self, const unsigned char *message, size_t length, const unsigned char *begin,
                     const unsigned char *end);
uint64_t message_counter(const unsigned char *message);
enum frames_result message_commit(struct frames *self, const unsigned char *message);

#endif
