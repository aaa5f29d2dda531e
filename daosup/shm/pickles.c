#define _GNU_SOURCE
#include "pickles.h"

#include <errno.h>
#include <string.h>

static const char topic_bytes[] = {'f', 'r', 'a', 'm', 'e', 'D', 'a', 't', 'a'};

int pickle_send(const struct pickle_ends *ends, const void *frame, size_t frame_bytes, void *socket)
{
    libzmq_message topic, pickle;
    if (libzmq.msg_init_size(&pickle, ends->begin_bytes + frame_bytes + ends->end_bytes) != 0)
        return errno;
    unsigned char *bytes = libzmq.msg_data(&pickle);
    memcpy(bytes, ends->begin, ends->begin_bytes);
    memcpy(bytes + ends->begin_bytes, frame, frame_bytes);
    memcpy(bytes + ends->begin_bytes + frame_bytes, ends->end, ends->end_bytes);
    int error = libzmq.msg_init_size(&topic, sizeof topic_bytes) != 0 ? errno : 0;
    if (error == 0) {
        memcpy(libzmq.msg_data(&topic), topic_bytes, sizeof topic_bytes);
        error = libzmq_hand_over(&topic, socket, LIBZMQ_SNDMORE);
    }
    if (error == 0)
        error = libzmq_hand_over(&pickle, socket, 0); /* whoever took the topic takes this */
    else
        libzmq.msg_close(&pickle);
    return error == EAGAIN ? 0 : error;
}
