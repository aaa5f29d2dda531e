/* What a reader of the direct transport says, message by message.
 *
 * Invariants: at most `most_bytes` are held for one reader, whatever it says of a length; one that says what no reader of
 * ours or of DAO's service says is not listened to any further. A message is whole or not heard.
 */
#ifndef DAOSUP_DIRECT_INPUT_H
#define DAOSUP_DIRECT_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "dnet.h"

enum input_result {
    INPUT_NOTHING, /* more has to come first */
    INPUT_MESSAGE, /* header and payload are one, until the next call */
    INPUT_AGAIN,   /* it lacks the newest frame */
    INPUT_LEFT,    /* it said goodbye, or closed */
    INPUT_FAILED,  /* errno says why */
    INPUT_BAD,     /* what it said makes no sense: `wrong` says what */
};

struct direct_input {
    struct dnet_header header;
    size_t header_have;
    unsigned char *payload; /* of what is coming, once its header is here */
    size_t payload_have;
    uint64_t skip; /* so many bytes are read and forgotten */
    bool is_whole; /* the last message was handed out */
    char wrong[80];
};

/* Take in what is there, up to a message; at most `budget` bytes, which is counted down. A WRITE that is no frame is read
 * and forgotten, and so are heartbeats. Never waits. */
enum input_result input_read(struct direct_input *self, int fd, size_t frame_bytes, size_t most_bytes, size_t *budget);
void input_free(struct direct_input *self);

#endif
