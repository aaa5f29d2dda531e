#define _GNU_SOURCE
#include "libzmq.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>

#include "symbols.h"

struct libzmq libzmq;

/* A frame's memory is asked for and freed again and again. Where the C library would give it back to the kernel in
 * between (of large frames, two at a time are enough), each page of each frame would be a fault. */
static void keep_memory_of_frames(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

const char *libzmq_load(const char *path)
{
    if (libzmq.msg_send != NULL)
        return NULL;
    /* Not loaded but found: another copy of the library would know nothing of pyzmq's sockets. A look-up in the
     * module goes through what it was linked with, wherever that lies, and finds a libzmq inside it, too. */
    void *module = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (module == NULL)
        return "is not an extension module that is in use";
    struct libzmq found;
    bool is_whole = symbol_find(module, "zmq_version", &found.version) &&
                    symbol_find(module, "zmq_getsockopt", &found.getsockopt) &&
                    symbol_find(module, "zmq_msg_init", &found.msg_init) &&
                    symbol_find(module, "zmq_msg_init_size", &found.msg_init_size) &&
                    symbol_find(module, "zmq_msg_init_data", &found.msg_init_data) &&
                    symbol_find(module, "zmq_msg_close", &found.msg_close) &&
                    symbol_find(module, "zmq_msg_data", &found.msg_data) &&
                    symbol_find(module, "zmq_msg_size", &found.msg_size) &&
                    symbol_find(module, "zmq_msg_send", &found.msg_send) &&
                    symbol_find(module, "zmq_msg_recv", &found.msg_recv);
    dlclose(module); /* only our count of it: Python never unloads an extension module */
    if (!is_whole)
        return "does not show the functions of libzmq";
    int major, minor, patch;
    found.version(&major, &minor, &patch);
    if (major != 4 || minor < 2)
        return "has a libzmq that is not 4.2 or newer";
    libzmq = found;
    keep_memory_of_frames();
    return NULL;
}

int libzmq_hand_over(libzmq_message *message, void *socket, int flags)
{
    while (libzmq.msg_send(message, socket, LIBZMQ_DONTWAIT | flags) < 0) {
        int error = errno;
        if (error == EINTR)
            continue;
        libzmq.msg_close(message);
        return error;
    }
    return 0;
}
