/* Reads large frames while they are written in the order of DAO's library, with the moment between the fall of the flag and
 * the rise of the counter drawn out, in which a copy of the frame before may end.
 *
 *     library_writer SECONDS FILE FRAME_BYTES       prints how many frames were read, and how many of them are torn
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copying.h"
#include "frames.h"
#include "guard.h"

#define METADATA_BYTES 4304
#define ATIME_NS 136
#define CNT0 152
#define WRITE 176
#define MOMENT_NS 300000
#define PAUSE_NS 50000 /* times 0 to 6, so that copies begin anywhere */

static void spin(int64_t ns)
{
    for (int64_t end = monotonic_ns() + ns; monotonic_ns() < end;)
        ;
}

_Noreturn static void write_frames(unsigned char *file, size_t frame_bytes)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t counter = 1;; counter++) {
        atomic_store((_Atomic unsigned char *)(file + WRITE), 1);
        memset(file + METADATA_BYTES, (int)(counter & 0xff), frame_bytes);
        atomic_store((_Atomic unsigned char *)(file + WRITE), 0);
        spin(MOMENT_NS);
        atomic_store((_Atomic uint64_t *)(void *)(file + ATIME_NS), counter);
        atomic_store((_Atomic uint64_t *)(void *)(file + CNT0), counter);
        spin((int64_t)(counter % 7) * PAUSE_NS);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return EXIT_FAILURE;
    size_t frame_bytes = (size_t)atol(argv[3]), length = METADATA_BYTES + frame_bytes;
    int64_t end_ns = monotonic_ns() + (int64_t)(atof(argv[1]) * 1e9);
    int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)length) != 0)
        return EXIT_FAILURE;
    struct frames frames = {.length = length, .metadata_bytes = METADATA_BYTES, .frame_bytes = frame_bytes, .depth = 1,
                            .has_fifo = true, .fd = fd};
    frames.memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    unsigned char *copy = malloc(frame_bytes);
    if (frames.memory == MAP_FAILED || copy == NULL)
        return EXIT_FAILURE;
    frames.guard = guard_acquire(frames.memory, length);
    frames_init(&frames);
    copying_share(1);
    pid_t writer = fork();
    if (writer == 0)
        write_frames(frames.memory, frame_bytes);
    long whole = 0, torn = 0;
    while (monotonic_ns() < end_ns) {
        if (frames_snapshot(&frames, copy, -1, monotonic_ns() + 100000000) != FRAMES_OK)
            continue;
        bool is_torn = memcmp(copy, copy + 1, frame_bytes - 1) != 0;
        torn += is_torn;
        whole += !is_torn;
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    printf("%ld whole, %ld torn\n", whole, torn);
    return EXIT_SUCCESS;
}
