/* The least that moves the frames of one segment into another over TCP, at both ends: one connection, one thread.
 *
 *     tcp_pump send FILE wait|spin             prints its port; sends each new frame by one sendmsg
 *     tcp_pump receive FILE wait|spin|staged PORT    prints "ready"; puts each frame into FILE and posts its semaphores
 *
 * Honest in what any such program must do: a frame is sent only whole (flag and counter say so before and after the
 * copy) and every semaphore of the mirror is posted. It leaves out all else: no second look for writers in libdao's
 * order, no staging of large frames (readers see the flag of the mirror up while one is on its way, and a link that dies
 * leaves half of it; "staged" does not leave that out), no reconnecting, no other reader, no statistics. "spin" never
 * sleeps, on neither end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "segment.h"
#include "wire.h"

/* Up to this size header and frame come by one call and are copied; a copy of more costs more than a second call. */
#define STAGED_BYTES 16384

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int accepted(void)
{
    struct sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        fail("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int connection = accept(listener, NULL, NULL);
    if (connection < 0)
        fail("accept");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

static void send_whole(int connection, struct wire *header, unsigned char *frame)
{
    struct iovec parts[2] = {{header, sizeof *header}, {frame, header->frame_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (!is_ended) {
        ssize_t sent = sendmsg(connection, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            exit(EXIT_SUCCESS); /* the receiver has ended */
        for (int part = 0; part < 2 && sent > 0; part++) {
            size_t gone = (size_t)sent < parts[part].iov_len ? (size_t)sent : parts[part].iov_len;
            parts[part].iov_base = (char *)parts[part].iov_base + gone;
            parts[part].iov_len -= gone;
            sent -= (ssize_t)gone;
        }
        if (parts[1].iov_len == 0)
            return;
    }
}

static void send_all(const char *path, bool is_spinning)
{
    struct segment source;
    segment_open(&source, path);
    sem_t *semaphore = segment_semaphore(&source, PUMP_SEMAPHORE);
    unsigned char *frame = malloc(source.frame_bytes);
    struct wire header = {.magic = WIRE_MAGIC, .frame_bytes = source.frame_bytes};
    int connection = accepted();
    uint64_t sent = segment_counter(&source);
    while (!is_ended) {
        if (!is_spinning)
            waited(semaphore);
        while (segment_counter(&source) != sent) {
            header.counter = segment_snapshot(&source, frame, source.frame_bytes);
            header.atime_ns = segment_atime(&source);
            if (header.counter == 0 || header.counter == sent)
                continue; /* the writer is there */
            sent = header.counter;
            send_whole(connection, &header, frame);
        }
        if (is_spinning)
            pause_briefly();
    }
}

static bool received(int connection, void *into, size_t length, bool is_spinning)
{
    for (size_t have = 0; have < length && !is_ended;) {
        int how = is_spinning ? MSG_DONTWAIT : MSG_WAITALL;
        ssize_t got = recv(connection, (char *)into + have, length - have, how);
        if (got == 0)
            return false;
        if (got > 0)
            have += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR)
            fail("recv");
    }
    return !is_ended;
}

static void receive_all(const char *path, bool is_spinning, bool is_staged, uint16_t port)
{
    struct segment mirror;
    struct sockaddr_in address = local(port);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    segment_open(&mirror, path);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    puts("ready");
    fflush(stdout);
    is_staged |= mirror.frame_bytes <= STAGED_BYTES;
    size_t first_bytes = sizeof(struct wire) + (is_staged ? mirror.frame_bytes : 0);
    struct wire *header = malloc(first_bytes);
    while (received(connection, header, first_bytes, is_spinning)) {
        if (header->magic != WIRE_MAGIC || header->frame_bytes != mirror.frame_bytes)
            fail("not what was expected");
        void *frame = segment_begin(&mirror);
        if (is_staged)
            memcpy(frame, header + 1, mirror.frame_bytes);
        else if (!received(connection, frame, mirror.frame_bytes, is_spinning))
            return;
        segment_end(&mirror, header->counter, header->atime_ns);
    }
}

int main(int argc, char **argv)
{
    end_with_parent();
    bool is_spinning = argc > 3 && strcmp(argv[3], "spin") == 0;
    if (argc == 4 && strcmp(argv[1], "send") == 0)
        send_all(argv[2], is_spinning);
    else if (argc == 5 && strcmp(argv[1], "receive") == 0)
        receive_all(argv[2], is_spinning, strcmp(argv[3], "staged") == 0, (uint16_t)atoi(argv[4]));
    else
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
