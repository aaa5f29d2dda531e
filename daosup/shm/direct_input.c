#define _GNU_SOURCE
#include "direct_input.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* No frame is larger, so no WRITE. */
#define LONGEST_SKIP (1ULL << 31)

void input_free(struct direct_input *self)
{
    free(self->payload);
    self->payload = NULL;
}

static void forget(struct direct_input *self)
{
    input_free(self);
    self->header_have = self->payload_have = 0;
    self->is_whole = false;
}

__attribute__((format(printf, 2, 3))) static enum input_result bad(struct direct_input *self, const char *wrong, ...)
{
    va_list arguments;
    va_start(arguments, wrong);
    vsnprintf(self->wrong, sizeof self->wrong, wrong, arguments);
    va_end(arguments);
    return INPUT_BAD;
}

/* Up to `wanted` bytes of what is there. 0: nothing, or nothing more within the budget; `ended` says why for good. */
static size_t take(int fd, void *into, size_t wanted, size_t *budget, enum input_result *ended)
{
    if (wanted > *budget)
        wanted = *budget;
    if (wanted == 0)
        return 0;
    for (;;) {
        ssize_t came = recv(fd, into, wanted, MSG_DONTWAIT);
        if (came > 0) {
            *budget -= (size_t)came;
            return (size_t)came;
        }
        if (came < 0 && errno == EINTR)
            continue;
        if (came == 0)
            *ended = INPUT_LEFT;
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            *ended = INPUT_FAILED;
        return 0;
    }
}

/* A header is here: what is to become of its payload. INPUT_MESSAGE: it is wanted. */
static enum input_result judge(struct direct_input *self, size_t frame_bytes, size_t most_bytes)
{
    const struct dnet_header *header = &self->header;

    if (header->magic != DNET_MAGIC || header->version != DNET_VERSION)
        return bad(self, "its message begins with %#x version %u", header->magic, header->version);
    switch (header->kind) {
    case DNET_HEARTBEAT:
    case DNET_BYE:
    case DNET_AGAIN:
        if (header->payload_bytes != 0)
            return bad(self, "its message of type %u has %llu bytes", header->kind, (unsigned long long)header->payload_bytes);
        return header->kind == DNET_BYE ? INPUT_LEFT : header->kind == DNET_AGAIN ? INPUT_AGAIN : INPUT_NOTHING;
    case DNET_WRITE:
        if (header->payload_bytes == frame_bytes && header->payload_bytes <= most_bytes)
            return INPUT_MESSAGE;
        if (header->payload_bytes > LONGEST_SKIP)
            return bad(self, "it writes a frame of %llu bytes", (unsigned long long)header->payload_bytes);
        self->skip = header->payload_bytes;
        return INPUT_NOTHING;
    case DNET_ASK:
        if (header->payload_bytes > most_bytes)
            return bad(self, "it asks with %llu bytes, allowed are %zu", (unsigned long long)header->payload_bytes, most_bytes);
        return INPUT_MESSAGE;
    default:
        return bad(self, "it sends a message of type %u", header->kind);
    }
}

static enum input_result begin_payload(struct direct_input *self)
{
    self->payload = malloc(self->header.payload_bytes > 0 ? (size_t)self->header.payload_bytes : 1);
    if (self->payload != NULL)
        return INPUT_NOTHING;
    errno = ENOMEM;
    return INPUT_FAILED;
}

enum input_result input_read(struct direct_input *self, int fd, size_t frame_bytes, size_t most_bytes, size_t *budget)
{
    enum input_result result = INPUT_NOTHING;

    if (self->is_whole)
        forget(self);
    for (;;) {
        size_t came;
        if (self->skip > 0) {
            unsigned char nowhere[16384];
            came = take(fd, nowhere, self->skip < sizeof nowhere ? (size_t)self->skip : sizeof nowhere, budget, &result);
            self->skip -= came;
        } else if (self->payload != NULL) {
            came = take(fd, self->payload + self->payload_have, (size_t)self->header.payload_bytes - self->payload_have, budget,
                        &result);
            self->payload_have += came;
            if (self->payload_have == self->header.payload_bytes) {
                self->is_whole = true;
                return INPUT_MESSAGE;
            }
        } else {
            came = take(fd, (unsigned char *)&self->header + self->header_have, sizeof self->header - self->header_have,
                        budget, &result);
            self->header_have += came;
            if (self->header_have == sizeof self->header) {
                self->header_have = 0;
                result = judge(self, frame_bytes, most_bytes);
                if (result == INPUT_MESSAGE)
                    result = begin_payload(self);
            }
        }
        if (came == 0 || result != INPUT_NOTHING)
            return result;
    }
}
