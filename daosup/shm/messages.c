#define _GNU_SOURCE
#include "messages.h"

#include <string.h>
#include <time.h>

#define SEQUENCE 16
#define CNT0 24
#define CNT2 32
#define WRITE_TIME 40
#define SEND_TIME 48
#define END 56

static int64_t utc_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

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

enum frames_result message_fill(struct frames *self, unsigned char *message, uint64_t sequence, int64_t deadline_ns)
{
    enum frames_result result = frames_snapshot(self, message + MESSAGE_HEADER_BYTES, -1, deadline_ns);
    if (result != FRAMES_OK)
        return result;
    put(message, SEQUENCE, sequence);
    put(message, CNT0, self->cnt0);
    put(message, CNT2, self->cnt2);
    put(message, WRITE_TIME, (uint64_t)self->atime_ns);
    put(message, SEND_TIME, (uint64_t)utc_ns());
    return result;
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
