/* Frames of a pump that are lent to something like libzmq, all in one process, so that a sanitizer sees all threads.
 *
 *     lending_driver SECONDS FILE
 *
 * What stands for libzmq takes some messages and refuses others, shares each with two threads (one reader each, as it has
 * them), which look at every byte, hold it for a while and let go of it; the second one to do so gives it back. Sometimes a
 * direct reader has the same frames, and the source is made anew with another size again and again. At the end the pools are
 * gone first, and the threads go on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard.h"
#include "pump.h"

#define METADATA_BYTES 4304
#define MOST_FRAME_BYTES (300u << 10)
#define READERS 2
#define PLACES 4
#define ENOUGH_SIZES 4

struct message {
    unsigned char *bytes;
    size_t length;
    void (*give_back)(void *bytes, void *hint);
    void *hint;
    atomic_int holders;
};

/* What waits for one reader. */
static struct queue {
    pthread_mutex_t lock;
    struct message *places[PLACES];
    int count;
    bool is_over;
} queues[READERS] = {{.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER}};

static unsigned char *memory;
static struct frames frames;
static struct semaphores semaphores;
static struct frame_pool pool;
static struct direct_sender sender;
static uint64_t written;
static atomic_ullong seen;

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "failed: %s (%s)\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

static void let_go(struct message *message)
{
    if (atomic_fetch_sub(&message->holders, 1) > 1)
        return;
    message->give_back(message->bytes, message->hint);
    free(message);
}

/* -- what stands for libzmq */

static struct message *message_in(libzmq_message *opaque)
{
    struct message *message;
    memcpy(&message, opaque, sizeof message);
    return message;
}

static int init_data(libzmq_message *opaque, void *bytes, size_t length, void (*give_back)(void *, void *), void *hint)
{
    static unsigned seed = 3;
    struct message *message = malloc(sizeof *message);
    if (message == NULL || rand_r(&seed) % 50 == 0) {
        free(message);
        return -1;
    }
    *message = (struct message){.bytes = bytes, .length = length, .give_back = give_back, .hint = hint, .holders = 1};
    memcpy(opaque, &message, sizeof message);
    return 0;
}

static int msg_close(libzmq_message *opaque)
{
    let_go(message_in(opaque));
    return 0;
}

/* Where a queue is full, its reader goes without. */
static int msg_send(libzmq_message *opaque, void *socket, int flags)
{
    static unsigned seed = 4;
    struct message *message = message_in(opaque);
    (void)socket;
    (void)flags;
    if (rand_r(&seed) % 20 == 0) {
        errno = EAGAIN;
        return -1;
    }
    for (int i = 0; i < READERS; i++) {
        pthread_mutex_lock(&queues[i].lock);
        if (queues[i].count < PLACES) {
            atomic_fetch_add(&message->holders, 1);
            queues[i].places[queues[i].count++] = message;
        }
        pthread_mutex_unlock(&queues[i].lock);
    }
    let_go(message);
    return 0;
}

static int getsockopt_of_none(void *socket, int option, void *value, size_t *length)
{
    int queue = option == LIBZMQ_SNDHWM ? PLACES : 0;
    (void)socket;
    memcpy(value, &queue, *length);
    return 0;
}

static void check(const struct message *message)
{
    const unsigned char *frame = message->bytes + MESSAGE_HEADER_BYTES;
    for (size_t i = 1; i < message->length - MESSAGE_HEADER_BYTES; i++)
        if (frame[i] != frame[0])
            die("a frame that is not whole");
}

static void *read_all(void *argument)
{
    struct queue *queue = argument;
    unsigned seed = (unsigned)(queue - queues);
    for (bool is_over = false; !is_over;) {
        struct message *message = NULL;
        pthread_mutex_lock(&queue->lock);
        if (queue->count > 0) {
            message = queue->places[0];
            memmove(queue->places, queue->places + 1, (size_t)--queue->count * sizeof *queue->places);
        }
        is_over = queue->is_over && message == NULL;
        pthread_mutex_unlock(&queue->lock);
        if (message == NULL) {
            usleep(50);
            continue;
        }
        check(message);
        if (rand_r(&seed) % 16 == 0)
            usleep((useconds_t)(rand_r(&seed) % 2000));
        check(message);
        let_go(message);
        atomic_fetch_add(&seen, 1);
    }
    return NULL;
}

static void *drain(void *argument)
{
    char bytes[16384];
    while (recv(*(int *)argument, bytes, sizeof bytes, 0) > 0)
        ;
    return NULL;
}

/* -- the pump */

static void pump(struct outgoing *outgoing, bool is_direct)
{
    static const unsigned char header[MESSAGE_HEADER_BYTES] = "DAO2";
    struct sending sending = {
        .frames = &frames, .semaphores = &semaphores, .outgoing = outgoing, .pool = &pool, .has_zmq = true,
        .direct = is_direct ? &sender : NULL, .header = header, .semaphore = -1, .read_ns = 1000000000,
        .deadline_ns = monotonic_ns(), .until_ns = INT64_MAX};
    int result;
    do
        result = pump_send(&sending);
    while (result == FRAMES_INTERRUPTED); /* as after each 250 ms, which is how long a busy machine may put it aside */
    if (result != FRAMES_TIMEOUT && result != PUMP_FAILED)
        die("pump");
}

static void run_one_size(size_t frame_bytes, unsigned *seed)
{
    static unsigned char bytes[MOST_FRAME_BYTES];
    struct dnet_header description = {.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_DESCRIBE};
    struct outgoing outgoing = {0};
    bool is_direct = rand_r(seed) % 2 == 0;

    memset(memory, 0, METADATA_BYTES);
    frames.frame_bytes = frame_bytes;
    frames_init(&frames);
    frame_pool_resize(&pool, frame_bytes);
    if (direct_sender_describe(&sender, frame_bytes, &description, sizeof description, &description, sizeof description) != 0)
        die("begin");
    for (int count = rand_r(seed) % 200 + 1; count > 0; count--) {
        written++;
        memset(bytes, (int)(written & 0xff), frame_bytes);
        if (frames_commit(&frames, bytes, written, 1, FRAMES_ANY) != FRAMES_OK)
            die("commit");
        pump(&outgoing, is_direct);
        if (rand_r(seed) % 32 == 0)
            frame_pool_trim(&pool, monotonic_ns() + INT32_MAX * (int64_t)count);
    }
}

int main(int argc, char **argv)
{
    unsigned seed = 1;
    int ends[2];
    pthread_t threads[READERS], direct;
    size_t length = METADATA_BYTES + MOST_FRAME_BYTES;
    if (argc != 3)
        return EXIT_FAILURE;
    int64_t end_ns = monotonic_ns() + (int64_t)(atof(argv[1]) * 1e9);
    libzmq.msg_init_data = init_data;
    libzmq.msg_close = msg_close;
    libzmq.msg_send = msg_send;
    libzmq.getsockopt = getsockopt_of_none;
    frames = (struct frames){.length = length, .metadata_bytes = METADATA_BYTES, .depth = 1, .has_fifo = true,
                             .fd = open(argv[2], O_RDWR | O_CREAT, 0600)};
    if (frames.fd < 0 || ftruncate(frames.fd, (off_t)length) != 0)
        die(argv[2]);
    memory = frames.memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, frames.fd, 0);
    frames.guard = guard_acquire(memory, length);
    semaphores_init(&semaphores, "none", 0);
    if (direct_sender_init(&sender, 0) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        direct_sender_add(&sender, ends[0], true, false, 0, 0) == 0)
        die("a direct reader");
    pthread_create(&direct, NULL, drain, &ends[1]);
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, read_all, &queues[i]);
    for (int turn = 0; monotonic_ns() < end_ns || turn < ENOUGH_SIZES; turn++)
        run_one_size((size_t[]){560, 16384, 200001, MOST_FRAME_BYTES}[rand_r(&seed) % 4], &seed);
    direct_sender_close(&sender);
    frame_pool_end(&pool);
    for (int i = 0; i < READERS; i++) {
        pthread_mutex_lock(&queues[i].lock);
        queues[i].is_over = true;
        pthread_mutex_unlock(&queues[i].lock);
        pthread_join(threads[i], NULL);
    }
    pthread_join(direct, NULL);
    close(ends[1]);
    guard_release(frames.guard);
    munmap(memory, length);
    close(frames.fd);
    if (seen == 0)
        die("nobody saw a frame");
    printf("%llu frames\n", (unsigned long long)written);
    return EXIT_SUCCESS;
}
