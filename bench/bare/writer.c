/* Writes segments at a rate, or flat out, for a time.
 *
 *     writer RATE_HZ SECONDS at-once|as-usual FILE...
 *
 * Every 8-byte word of a frame is its number, which is its segment's counter; but the second word is the time
 * (monotonic, ns) at which all of it was written, a moment before its readers are told. Who measures from there to
 * where the frame is seen measures nothing of the writing itself.
 *
 * Several segments take turns, evenly over the period but not more often than each millisecond: else the writer's own
 * waking would be most of its work. A time that was missed is not made up for by a burst. It sleeps while there is more
 * than SPIN_NS to go and looks at the clock for the rest: sleeping alone is late by so much that no rate above some
 * kilohertz would be kept. "at-once" asks to be run before programs that compute, so that it is not late where spinning
 * programs have all cores; not for rates at which it works all the time.
 *
 * At the end it prints: frames of each segment, seconds, whether it was run at once (1 or 0).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "segment.h"

#define TICK_NS 1000000
#define SPIN_NS 4000

static void write_one(struct segment *segment)
{
    uint64_t number = segment_counter(segment) + 1, *words = segment_begin(segment);
    for (size_t word = 0; word < segment->frame_bytes / 8; word++)
        words[word] = number;
    words[1] = (uint64_t)now_ns();
    segment_end(segment, number, utc_ns());
}

static void sleep_until(int64_t due_ns)
{
    struct timespec due = {.tv_sec = (due_ns - SPIN_NS) / 1000000000, .tv_nsec = (due_ns - SPIN_NS) % 1000000000};
    if (due_ns - now_ns() > 2 * SPIN_NS)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    while (now_ns() < due_ns && !is_ended)
        pause_briefly();
}

int main(int argc, char **argv)
{
    end_with_parent();
    if (argc < 5)
        return EXIT_FAILURE;
    double rate_hz = atof(argv[1]), seconds = atof(argv[2]);
    bool is_at_once = strcmp(argv[3], "at-once") == 0 && run_at_once();
    int count = argc - 4;
    struct segment *segments = calloc((size_t)count, sizeof *segments);
    for (int index = 0; index < count; index++)
        segment_open(&segments[index], argv[4 + index]);
    prctl(PR_SET_TIMERSLACK, 1);

    int64_t period_ns = rate_hz > 0 ? (int64_t)(1e9 / rate_hz) : 0;
    int turns = (int)(period_ns / TICK_NS);
    turns = turns < 1 || count == 1 ? 1 : turns > count ? count : turns;
    int64_t step_ns = period_ns / turns, began_ns = now_ns(), end_ns = began_ns + (int64_t)(seconds * 1e9);
    int64_t due_ns = began_ns;
    uint64_t before = segment_counter(&segments[0]);
    for (int turn = 0; !is_ended; turn = (turn + 1) % turns) {
        if (period_ns > 0) {
            sleep_until(due_ns);
            int64_t late_ns = now_ns() - due_ns;
            due_ns += step_ns * (1 + late_ns / step_ns);
        }
        if (now_ns() >= end_ns)
            break;
        for (int index = turn; index < count; index += turns)
            write_one(&segments[index]);
    }
    printf("%llu %.6f %d\n", (unsigned long long)(segment_counter(&segments[0]) - before),
           (double)(now_ns() - began_ns) / 1e9, is_at_once);
    return EXIT_SUCCESS;
}
