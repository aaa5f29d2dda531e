#define _GNU_SOURCE
#include "messages.h"

#include <string.h>

#define SEQUENCE 16
#define CNT0 24
#define CNT2 32
#define WRITE_TIME 40
#define SEND_TIME 48
#define END 56

static void put(unsigned char *message, size_t offset, uint64_t value)
{
    memcpy(message + offset, &value, sizeof value);
}

static uint64_t get(const unsigned char *message, size_t offset)
{
    uint64_t value;
    memcpy(&value, message + offset, sizeof value);
    return value;
}

void message_head(struct pool_frame *frame, const unsigned char *header, uint64_t sequence)
{
    memcpy(frame->head, header, MESSAGE_HEADER_BYTES);
    put(frame->head, SEQUENCE, sequence);
    put(frame->head, CNT0, frame->cnt0);
    put(frame->head, CNT2, frame->cnt2);
    put(frame->head, WRITE_TIME, (uint64_t)frame->atime_ns);
    put(frame->head, SEND_TIME, (uint64_t)frame->sent_ns);
}

bool message_belongs(const struct frames *self, const unsigned char *message, size_t length, const unsigned char *begin,
                     const unsigned char *end)
{
    return length == MESSAGE_HEADER_BYTES + self->frame_bytes && memcmp(message, begin, MESSAGE_BEGIN_BYTES) == 0 &&
           memcmp(message + END, end, MESSAGE_END_BYTES) == 0;
}

uint64_t message_counter(const unsigned char *message)
{
    return get(message, CNT0);
}

enum frames_result message_commit(struct frames *self, const unsigned char *message)
{
    return frames_commit(self, message + MESSAGE_HEADER_BYTES, get(message, CNT2), (int64_t)get(message, WRITE_TIME),
                         FRAMES_ANY);
}
