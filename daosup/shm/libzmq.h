/* The functions of libzmq that move messages: of the very library that pyzmq uses in this process.
 *
 * Invariant: either all of them are there, or none; a socket that pyzmq made is one of theirs.
 */
#ifndef DAOSUP_LIBZMQ_H
#define DAOSUP_LIBZMQ_H

#include <stddef.h>

/* What zmq.h says of them, all of it fixed since 4.2; so its headers are not needed to build. */
#define LIBZMQ_FD 14
#define LIBZMQ_EVENTS 15
#define LIBZMQ_SNDHWM 23
#define LIBZMQ_RCVHWM 24
#define LIBZMQ_POLLIN 1
#define LIBZMQ_DONTWAIT 1
#define LIBZMQ_SNDMORE 2

typedef struct {
    unsigned char opaque[64] __attribute__((aligned(sizeof(void *))));
} libzmq_message;

/* Errors come in errno; libzmq shares the C library with us. */
struct libzmq {
    void (*version)(int *major, int *minor, int *patch);
    int (*getsockopt)(void *socket, int option, void *value, size_t *length);
    int (*msg_init)(libzmq_message *message);
    int (*msg_init_size)(libzmq_message *message, size_t length);
    /* The message is those bytes themselves; when libzmq needs them no more it says so, in whatever thread that is. */
    int (*msg_init_data)(libzmq_message *message, void *bytes, size_t length, void (*give_back)(void *bytes, void *hint),
                         void *hint);
    int (*msg_close)(libzmq_message *message);
    void *(*msg_data)(libzmq_message *message);
    size_t (*msg_size)(const libzmq_message *message);
    int (*msg_send)(libzmq_message *message, void *socket, int flags);
    int (*msg_recv)(libzmq_message *message, void *socket, int flags);
};

/* NULL pointers until libzmq_load. */
extern struct libzmq libzmq;

/* Find them by the path of the extension module through which pyzmq calls libzmq. NULL if all is well, else what is
 * wrong, for people. A second call changes nothing: a process has one pyzmq. */
const char *libzmq_load(const char *path);
/* Hand a message over without waiting; whatever comes of it, the caller has it no more. 0: libzmq has it; else errno,
 * EAGAIN if there was no room. */
int libzmq_hand_over(libzmq_message *message, void *socket, int flags);

#endif
