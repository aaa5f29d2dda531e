/* The receiver of direct connections by itself, to be built with sanitizers and fed with anything.
 *
 *     direct_receiver FRAME_BYTES every|newest plain|packed DEPTH < CASES
 *
 * Each case is two 32-bit numbers, how many bytes it has and in pieces of how many they are sent, and the bytes. For each
 * there is a line: how the connection ended, frames taken, passed over, skipped, gaps, other messages, the sum of all
 * bytes of those, the mirror's counter, and whether each slot that has a counter, and the only one always, has a whole frame,
 * all of whose bytes are the same, and nobody writes to any.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct_taking.h"
#include "guard.h"
#include "packing.h"

#define METADATA_BYTES 4304
#define LAST_WRITTEN 4300
#define CNT0 152
#define WRITE 176

struct sending {
    int fd;
    const unsigned char *bytes;
    size_t length, piece;
};

static void *send_all(void *argument)
{
    const struct sending *self = argument;
    for (size_t sent = 0; sent < self->length;) {
        size_t piece = self->length - sent < self->piece ? self->length - sent : self->piece;
        ssize_t done = send(self->fd, self->bytes + sent, piece, MSG_NOSIGNAL);
        if (done < 0)
            break; /* the receiver has seen enough */
        sent += (size_t)done;
    }
    shutdown(self->fd, SHUT_RDWR);
    return NULL;
}

static const char *run(struct direct_receiver *receiver, struct direct_taking *taking, unsigned long *others, unsigned long *sum)
{
    for (;;) {
        struct direct_message message;
        taking->until_ns = monotonic_ns();
        switch (direct_take(receiver, taking, &message)) {
        case DIRECT_OTHER:
            ++*others;
            for (size_t i = 0; i < message.header.payload_bytes; i++)
                *sum += message.payload[i];
            break;
        case DIRECT_CLOSED:
            return "closed";
        case DIRECT_BAD:
            return "bad";
        case DIRECT_FAILED:
            return "failed";
        case FRAMES_LOST:
            return "lost";
        default:
            break;
        }
    }
}

static uint64_t counter_of(const unsigned char *memory, uint32_t slot)
{
    uint64_t counter;
    memcpy(&counter, memory + slot * METADATA_BYTES + CNT0, sizeof counter);
    return counter;
}

static bool is_whole(const unsigned char *memory, uint32_t depth, size_t frame_bytes, uint32_t slot)
{
    const unsigned char *frame = memory + depth * METADATA_BYTES + slot * frame_bytes;
    if (memory[slot * METADATA_BYTES + WRITE] != 0)
        return false;
    if (depth > 1 && counter_of(memory, slot) == 0)
        return true;
    for (size_t i = 1; i < frame_bytes; i++)
        if (frame[i] != frame[0])
            return false;
    return true;
}

static void try_case(const unsigned char *bytes, size_t length, size_t piece, size_t frame_bytes, bool is_every,
                     bool is_packed, uint32_t depth)
{
    int ends[2];
    pthread_t thread;
    unsigned long others = 0, sum = 0;
    size_t whole = depth * (METADATA_BYTES + frame_bytes);
    uint32_t last = depth - 1;
    unsigned char *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        abort();
    memcpy(memory + LAST_WRITTEN, &last, sizeof last);
    struct frames frames = {.memory = memory, .length = whole, .metadata_bytes = METADATA_BYTES, .frame_bytes = frame_bytes,
                            .depth = depth, .has_fifo = true, .fd = -1, .guard = guard_acquire(memory, whole)};
    struct semaphores semaphores;
    struct statistics page = {0};
    struct direct_receiver receiver;
    struct sending sending = {.fd = ends[0], .bytes = bytes, .length = length, .piece = piece};

    frames_init(&frames);
    semaphores_init(&semaphores, "daosup_sanitized_that_is_not_there", 0);
    if (direct_receiver_init(&receiver, ends[1], is_every, is_packed) != 0 || pthread_create(&thread, NULL, send_all, &sending) != 0)
        abort();
    struct direct_taking taking = {.frames = &frames, .semaphores = &semaphores, .page = &page, .expected = 1};
    const char *ended = run(&receiver, &taking, &others, &sum);
    direct_receiver_close(&receiver, false);
    pthread_join(thread, NULL);

    bool are_whole = true;
    memcpy(&last, memory + LAST_WRITTEN, sizeof last);
    for (uint32_t slot = 0; slot < depth; slot++)
        are_whole = are_whole && is_whole(memory, depth, frame_bytes, slot);
    printf("%s %llu %llu %llu %llu %lu %lu %llu %d\n", ended, (unsigned long long)taking.taken,
           (unsigned long long)taking.passed_over, (unsigned long long)taking.skipped, (unsigned long long)taking.gaps, others,
           sum, (unsigned long long)counter_of(memory, last), are_whole);
    semaphores_close(&semaphores);
    guard_release(frames.guard);
    close(ends[0]);
    munmap(memory, whole);
}

int main(int count, char **words)
{
    uint32_t numbers[2];
    if (count != 5 || !packing_load())
        return 2;
    while (fread(numbers, sizeof numbers, 1, stdin) == 1) {
        unsigned char *bytes = malloc(numbers[0] + 1u);
        if (bytes == NULL || fread(bytes, 1, numbers[0], stdin) != numbers[0])
            return 2;
        try_case(bytes, numbers[0], numbers[1], strtoul(words[1], NULL, 10), strcmp(words[2], "every") == 0,
                 strcmp(words[3], "packed") == 0, (uint32_t)atoi(words[4]));
        free(bytes);
    }
    return 0;
}
