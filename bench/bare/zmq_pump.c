/* The least that moves the frames of one segment into another by a PUB and a SUB socket of libzmq.
 *
 *     zmq_pump send LIBZMQ FILE             prints its port
 *     zmq_pump receive LIBZMQ FILE PORT     prints "ready"
 *
 * LIBZMQ is the library file that pyzmq uses, so that both are compared on one libzmq; its prototypes stand here, since
 * its headers are not installed with pyzmq. Each message is one part: header and frame, put straight into memory that
 * libzmq sends from. Queues are short, and the C library keeps the memory of large messages as it does
 * under daosup, or 16 MB frames would mostly be page faults.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment.h"
#include "wire.h"

enum { ZMQ_PUB = 1, ZMQ_SUB = 2, ZMQ_SUBSCRIBE = 6, ZMQ_SNDHWM = 23, ZMQ_RCVHWM = 24, ZMQ_RCVTIMEO = 27,
       ZMQ_LAST_ENDPOINT = 32 };

typedef struct {
    unsigned char opaque[64] __attribute__((aligned(sizeof(void *))));
} zmq_msg_t;

static void *(*zmq_ctx_new)(void);
static void *(*zmq_socket)(void *context, int type);
static int (*zmq_setsockopt)(void *socket, int option, const void *value, size_t length);
static int (*zmq_getsockopt)(void *socket, int option, void *value, size_t *length);
static int (*zmq_bind)(void *socket, const char *endpoint);
static int (*zmq_connect)(void *socket, const char *endpoint);
static int (*zmq_msg_init)(zmq_msg_t *message);
static int (*zmq_msg_init_size)(zmq_msg_t *message, size_t length);
static void *(*zmq_msg_data)(zmq_msg_t *message);
static size_t (*zmq_msg_size)(const zmq_msg_t *message);
static int (*zmq_msg_send)(zmq_msg_t *message, void *socket, int flags);
static int (*zmq_msg_recv)(zmq_msg_t *message, void *socket, int flags);
static int (*zmq_msg_close)(zmq_msg_t *message);

static void find(void *library, const char *name, void *place)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        fail(name);
    memcpy(place, &symbol, sizeof symbol);
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    find(library, "zmq_ctx_new", &zmq_ctx_new);
    find(library, "zmq_socket", &zmq_socket);
    find(library, "zmq_setsockopt", &zmq_setsockopt);
    find(library, "zmq_getsockopt", &zmq_getsockopt);
    find(library, "zmq_bind", &zmq_bind);
    find(library, "zmq_connect", &zmq_connect);
    find(library, "zmq_msg_init", &zmq_msg_init);
    find(library, "zmq_msg_init_size", &zmq_msg_init_size);
    find(library, "zmq_msg_data", &zmq_msg_data);
    find(library, "zmq_msg_size", &zmq_msg_size);
    find(library, "zmq_msg_send", &zmq_msg_send);
    find(library, "zmq_msg_recv", &zmq_msg_recv);
    find(library, "zmq_msg_close", &zmq_msg_close);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static void *socket_of(int type, const struct segment *segment)
{
    size_t frames = (512 * 1024) / segment->frame_bytes;
    int queue = frames < 2 ? 2 : frames > 32 ? 32 : (int)frames, wait_ms = 100;
    void *socket = zmq_socket(zmq_ctx_new(), type);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    return socket;
}

static void send_all(const char *path)
{
    struct segment source;
    char endpoint[64];
    size_t length = sizeof endpoint;
    segment_open(&source, path);
    sem_t *semaphore = segment_semaphore(&source, PUMP_SEMAPHORE);
    void *socket = socket_of(ZMQ_PUB, &source);
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length) != 0)
        fail("bind");
    puts(strrchr(endpoint, ':') + 1);
    fflush(stdout);
    uint64_t sent = segment_counter(&source);
    while (!is_ended) {
        waited(semaphore);
        while (segment_counter(&source) != sent && !is_ended) {
            zmq_msg_t message;
            if (zmq_msg_init_size(&message, sizeof(struct wire) + source.frame_bytes) != 0)
                fail("message");
            struct wire *header = zmq_msg_data(&message);
            uint64_t counter = segment_snapshot(&source, header + 1, source.frame_bytes);
            if (counter == 0 || counter == sent) {
                zmq_msg_close(&message);
                continue; /* the writer is there */
            }
            sent = counter;
            *header = (struct wire){.magic = WIRE_MAGIC,
                                    .counter = counter,
                                    .frame_bytes = source.frame_bytes,
                                    .atime_ns = segment_atime(&source)};
            if (zmq_msg_send(&message, socket, 0) < 0)
                zmq_msg_close(&message);
        }
    }
}

static void receive_all(const char *path, const char *port)
{
    struct segment mirror;
    char endpoint[64];
    segment_open(&mirror, path);
    void *socket = socket_of(ZMQ_SUB, &mirror);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%s", port);
    if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) != 0 || zmq_connect(socket, endpoint) != 0)
        fail("connect");
    puts("ready");
    fflush(stdout);
    while (!is_ended) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, socket, 0) >= 0) {
            struct wire *header = zmq_msg_data(&message);
            if (zmq_msg_size(&message) != sizeof *header + mirror.frame_bytes)
                fail("not what was expected");
            memcpy(segment_begin(&mirror), header + 1, mirror.frame_bytes);
            segment_end(&mirror, header->counter, header->atime_ns);
        }
        zmq_msg_close(&message);
    }
}

int main(int argc, char **argv)
{
    end_with_parent();
    if (argc < 4)
        return EXIT_FAILURE;
    load(argv[2]);
    if (argc == 4 && strcmp(argv[1], "send") == 0)
        send_all(argv[3]);
    else if (argc == 5 && strcmp(argv[1], "receive") == 0)
        receive_all(argv[3], argv[4]);
    else
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
