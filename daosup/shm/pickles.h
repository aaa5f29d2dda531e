/* Frames as readers of the old protocol want them: a topic, and the frame pickled.
 *
 * Invariant: nothing is pickled here. What stands before and behind a frame's bytes is the same for all frames of a
 * segment, and each is copied in between.
 */
#ifndef DAOSUP_PICKLES_H
#define DAOSUP_PICKLES_H

#include "libzmq.h"

struct pickle_ends {
    const char *begin, *end;
    size_t begin_bytes, end_bytes; /* no begin: there are no such readers */
};

/* Send a frame. 0, also if libzmq had no room for it; else errno. */
int pickle_send(const struct pickle_ends *ends, const void *frame, size_t frame_bytes, void *socket);

#endif
