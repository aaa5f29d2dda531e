/* Looks at a mirror as a program does: waits on a semaphore of its own and notes how old each frame is that it sees.
 *
 *     observer FILE at-once|as-usual glance|check
 *
 * Prints "ready", then looks until SIGTERM. "glance" reads the frame's number and time alone, so that looking at large
 * frames does not take the time of those who move them; "check" copies each frame and compares every word of it.
 *
 * It never spins: on a machine with few cores a program that does takes one of those that move the frames, and what is
 * measured is that. "at-once" asks to be run before programs that compute: one that waits for a core which a spinning
 * program has would measure the scheduler's patience.
 *
 * At the end it prints one line: frames seen, torn ones, first and last number of a frame, how far the mirror's counter
 * went from the first to the last; then, as raw 8-byte numbers, the age of each frame seen in ns.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "segment.h"

/* Address space; memory is what is used of it. */
#define MOST_SEEN ((size_t)1 << 27)

struct sight {
    uint64_t counter, number, written_ns;
};

static bool is_torn(const uint64_t *words, size_t count)
{
    uint64_t differing = 0;
    for (size_t word = 2; word < count; word++)
        differing |= words[word] ^ words[0];
    return differing != 0;
}

int main(int argc, char **argv)
{
    end_with_parent();
    if (argc != 4)
        return EXIT_FAILURE;
    struct segment mirror;
    segment_open(&mirror, argv[1]);
    bool is_checking = strcmp(argv[3], "check") == 0;
    if (strcmp(argv[2], "at-once") == 0)
        run_at_once();
    sem_t *semaphore = segment_semaphore(&mirror, PROGRAM_SEMAPHORE);
    int64_t *ages = mmap(NULL, MOST_SEEN * sizeof *ages, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t *words = malloc(mirror.frame_bytes);
    size_t looked_at = is_checking ? mirror.frame_bytes : 2 * sizeof *words;
    if (ages == MAP_FAILED || words == NULL)
        fail("memory");
    struct sight first = {0}, last = {0}, sight = {0};
    uint64_t torn = 0;
    size_t seen = 0;
    last.counter = segment_counter(&mirror); /* what is written from "ready" on is seen */
    puts("ready");
    fflush(stdout);
    while (!is_ended && seen < MOST_SEEN) {
        if (!waited(semaphore))
            continue;
        sight.counter = segment_snapshot(&mirror, words, looked_at);
        if (sight.counter == 0 || sight.counter == last.counter)
            continue; /* it is being written again; that one will be told of, too */
        sight.number = words[0];
        sight.written_ns = words[1];
        ages[seen++] = now_ns() - (int64_t)sight.written_ns;
        if (is_checking)
            torn += is_torn(words, mirror.frame_bytes / 8);
        if (seen == 1)
            first = sight;
        last = sight;
    }
    if (seen == 0)
        last = first;
    printf("%zu %llu %llu %llu %llu\n", seen, (unsigned long long)torn, (unsigned long long)first.number,
           (unsigned long long)last.number, (unsigned long long)(last.counter - first.counter));
    fwrite(ages, sizeof *ages, seen, stdout);
    return EXIT_SUCCESS;
}
