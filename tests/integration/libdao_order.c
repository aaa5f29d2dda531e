/* Writes frames into a segment with hardly a pause, in the order of DAO's library: the write flag falls before the counter rises.
 *
 * The pauses, of 0 to some 30 us by a fixed sequence of pseudo-random numbers and longer for frames beyond 64 kB, let a
 * reader begin and end anywhere in a write; without any, one on a core of its own would never find a moment to read.
 *
 * libdao_order FILE METADATA_BYTES FRAME_BYTES DEPTH: until stdin is closed. Every byte of a frame has one value.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    size_t metadata_bytes = strtoul(arguments[2], NULL, 10), frame_bytes = strtoul(arguments[3], NULL, 10);
    uint32_t depth = (uint32_t)strtoul(arguments[4], NULL, 10), slot = depth - 1;
    int fd = open(arguments[1], O_RDWR);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0)
        return 3;
    unsigned char *file = mmap(NULL, (size_t)facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *frames = malloc(256 * frame_bytes);
    if (file == MAP_FAILED || frames == NULL)
        return 4;
    for (int value = 0; value < 256; value++)
        memset(frames + (size_t)value * frame_bytes, value, frame_bytes);
    sem_t semaphore;
    uint32_t chance = 1, longest = 512 * (1 + (uint32_t)(frame_bytes >> 16));
    sem_init(&semaphore, 0, 1);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (uint64_t counter = 1;; counter++) {
        uint32_t next = (slot + 1) % depth;
        volatile unsigned char *block = file + next * metadata_bytes;
        block[176] = 1;
        memcpy(file + depth * metadata_bytes + next * frame_bytes, frames + (counter % 256) * frame_bytes, frame_bytes);
        block[176] = 0;
        *(volatile uint32_t *)(file + 4300) = next;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        *(volatile int64_t *)(block + 136) = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
        *(volatile uint64_t *)(block + 152) = counter;
        for (int i = 0; i < 11; i++) {
            int value;
            sem_getvalue(&semaphore, &value);
        }
        slot = next;
        chance ^= chance << 13, chance ^= chance >> 17, chance ^= chance << 5;
        for (uint32_t pause = chance % longest; pause > 0; pause--)
#if defined(__x86_64__)
            __builtin_ia32_pause();
#else
            __asm__ volatile("yield");
#endif
        if (counter % 256 == 0 && poll(&input, 1, 0) != 0)
            return 0;
    }
}
