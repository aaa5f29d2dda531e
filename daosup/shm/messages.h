/* Frame messages of protocol 2, as far as the data path of a flowing stream touches them.
 *
 * Invariant: only the message of exactly the frame that is expected next is taken here; whatever else comes is
 * left untouched for daosup/core/header.py, which has the whole table of the header and judges everything.
 */
#ifndef DAOSUP_MESSAGES_H
#define DAOSUP_MESSAGES_H

#include "frames.h"

#define MESSAGE_HEADER_BYTES 64
#define MESSAGE_BEGIN_BYTES 16 /* magic, version, kind, flags, epoch: the same for all frames of a stream */
#define MESSAGE_END_BYTES 8    /* layout id, payload bytes: the same, too */

/* Put the newest frame and what its header says of it into a message whose begin and end are there already, and
 * count what was skipped since the frame `last`. A counter that went back makes the segment another one: lost. */
enum frames_result message_fill(struct frames *self, unsigned char *message, uint64_t sequence, uint64_t last,
                                int64_t deadline_ns);
/* Whether this is the frame `counter` of the stream with that begin and end. */
bool message_is(const struct frames *self, const unsigned char *message, size_t length, const unsigned char *begin,
                const unsigned char *end, uint64_t counter);
enum frames_result message_commit(struct frames *self, const unsigned char *message);

#endif
