/* A direct sender and its finisher among readers of every kind, all in one process, so that a sanitizer sees all threads.
 *
 *     direct_driver SECONDS FILE
 *
 * Readers verify each byte they get: frames whole, of the size that was described last, counters rising. There are quick
 * ones, slow ones that also ask, and are answered, such that stand still for a while and want frames again, and such that
 * die in the middle or send garbage; those are replaced.
 * The source is made anew with another size again and again. In between nothing is written, until every reader that lives
 * has the newest frame: a wake-up that was lost is a hang, which ends as a failure.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
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

#include "copying.h"
#include "direct_form.h"
#include "direct_sender.h"
#include "guard.h"
#include "packing.h"
#include "pump.h"

#define METADATA_BYTES 4304
#define MOST_FRAME_BYTES (600u << 10)
#define READERS 10
#define PATIENCE_S 60
#define PIECE 16384

enum kind { QUICK, SLOW, STILL, EVERY, PART, PART_EVERY, DYING, GARBAGE, PART_DYING, KINDS };

struct end {
    pthread_t thread;
    int fd;
    enum kind kind;
    uint64_t id;
    unsigned seed;
    _Atomic uint64_t seen; /* the frame id of the newest frame, unique over all sizes */
    atomic_bool is_over;
};

static struct end ends[READERS];
static unsigned char *memory;
static struct frames frames;
static struct semaphores semaphores;
static struct direct_sender sender;
static struct frame_pool pool;
static uint64_t written;
/* Of readers who want every other element: a form for those that live, and one, packed, that ends with its reader. */
static uint32_t forms[2];

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "failed: %s (%s)\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

static void nap(unsigned *seed, int most_us)
{
    usleep((useconds_t)(rand_r(seed) % most_us));
}

static bool take(struct end *self, void *into, size_t length)
{
    for (size_t have = 0; have < length;) {
        size_t wanted = length - have < PIECE ? length - have : PIECE;
        ssize_t came = recv(self->fd, (char *)into + have, wanted, 0);
        if (came <= 0)
            return false;
        have += (size_t)came;
        if (self->kind == SLOW && rand_r(&self->seed) % 8 == 0)
            nap(&self->seed, 1000);
        if (self->kind == STILL && rand_r(&self->seed) % 256 == 0)
            nap(&self->seed, 100000);
        if ((self->kind == DYING || self->kind == PART_DYING) && rand_r(&self->seed) % 64 == 0)
            return false;
    }
    return true;
}

/* `room`: for two frames. */
static void check_frame(const struct dnet_header *header, const unsigned char *payload, size_t frame_bytes,
                        unsigned char *room)
{
    uint64_t trailer;
    size_t length = (size_t)header->payload_bytes - DNET_TRAILER_BYTES;
    bool is_packed = header->flags == (DNET_HAS_FRAME_ID | DNET_PACKED | 1 << DNET_ELEMENT_SHIFT);
    if (header->payload_bytes < DNET_TRAILER_BYTES || (is_packed ? length >= frame_bytes : length != frame_bytes))
        die("a frame that is not of the size described last");
    memcpy(&trailer, payload + length, sizeof trailer);
    if (trailer != header->cnt0 || (!is_packed && header->flags != DNET_HAS_FRAME_ID))
        die("a frame's counter behind it");
    if (is_packed && !unpack(payload, length, room, frame_bytes, 1, room + MOST_FRAME_BYTES))
        die("a packed frame that is none");
    if (is_packed)
        payload = room;
    for (size_t i = 0; i < frame_bytes; i++)
        if (payload[i] != (unsigned char)header->reserved[0])
            die("a torn frame");
}

static void *read_all(void *argument)
{
    struct end *self = argument;
    unsigned char *payload = malloc(MOST_FRAME_BYTES + DNET_TRAILER_BYTES), *room = malloc(2 * MOST_FRAME_BYTES);
    struct dnet_header header;
    size_t frame_bytes = 0;
    uint64_t last = 0;
    unsigned lacking = 0;

    while (take(self, &header, sizeof header)) {
        if (header.magic != DNET_MAGIC || header.payload_bytes > MOST_FRAME_BYTES + DNET_TRAILER_BYTES)
            die("a header where there should be one");
        if (!take(self, payload, (size_t)header.payload_bytes))
            break;
        if (header.kind == DNET_DESCRIBE) {
            memcpy(&frame_bytes, payload, sizeof frame_bytes);
        } else if (header.kind == DNET_FRAME) {
            check_frame(&header, payload, frame_bytes, room);
            if (header.reserved[0] < last || (header.reserved[0] == last && lacking-- == 0))
                die("a frame that is not newer");
            last = header.reserved[0];
            atomic_store(&self->seen, last);
        }
        struct dnet_header beat = {.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_HEARTBEAT};
        if (self->kind == GARBAGE && rand_r(&self->seed) % 16 == 0)
            beat.payload_bytes = (uint64_t)rand_r(&self->seed) << 30;
        if (self->kind == SLOW && rand_r(&self->seed) % 4 == 0)
            beat.kind = DNET_ASK;
        if (self->kind == STILL && rand_r(&self->seed) % 4 == 0) {
            beat.kind = DNET_AGAIN;
            lacking++;
        }
        send(self->fd, &beat, sizeof beat, MSG_NOSIGNAL);
    }
    shutdown(self->fd, SHUT_RDWR);
    atomic_store(&self->is_over, true);
    free(payload);
    free(room);
    return NULL;
}

struct description {
    struct dnet_header header;
    uint64_t frame_bytes;
};

static struct description describing(size_t frame_bytes)
{
    return (struct description){{.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_DESCRIBE, .payload_bytes = 8}, frame_bytes};
}

static struct direct_form *begin_form(uint32_t *id, bool is_made)
{
    struct direct_form *form = direct_form_find(&sender, *id);
    if (form == NULL && is_made)
        while ((form = direct_form_make(&sender, id == &forms[1])) == NULL) {
            if (errno != EUSERS)
                die("form");
            direct_forms_sweep(&sender); /* those that are ending have ended soon */
        }
    if (form == NULL)
        return NULL;
    *id = form->id;
    struct cut cut = {.element_bytes = 1, .length = {1, 1, frames.frame_bytes}, .count = {1, 1, (frames.frame_bytes + 1) / 2},
                      .step = {1, 1, 2}};
    struct description description = describing(cut.count[2]);
    if (!cut_is_possible(&cut, frames.frame_bytes) ||
        direct_form_begin(form, &cut, &description, sizeof description) != 0)
        die("form");
    return form;
}

static uint64_t add(int fd, enum kind kind)
{
    unsigned ring = kind == EVERY || kind == PART_EVERY ? 4 : 0;
    if (kind != PART && kind != PART_EVERY && kind != PART_DYING)
        return direct_sender_add(&sender, fd, true, kind == SLOW, 0, ring);
    uint32_t *id = &forms[kind == PART_DYING];
    struct direct_form *form = direct_form_find(&sender, *id);
    return direct_form_add(form != NULL ? form : begin_form(id, true), fd, 0, ring);
}

static void connect_end(struct end *self, enum kind kind, unsigned seed)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), room = 1 << 17;
    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (kind != QUICK)
        setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(self->fd, (struct sockaddr *)&address, length) != 0)
        die("connect");
    int near = accept(listener, NULL, NULL);
    close(listener);
    setsockopt(near, SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* so that all of them are behind now and then */
    self->kind = kind;
    self->seed = seed;
    atomic_store(&self->seen, 0);
    atomic_store(&self->is_over, false);
    if (pthread_create(&self->thread, NULL, read_all, self) != 0)
        die("pthread_create");
    self->id = add(near, kind);
    if (self->id == 0)
        die("add");
}

static void end_one(struct end *self)
{
    pthread_join(self->thread, NULL);
    close(self->fd);
}

static void note_asking(void *context, const struct direct_reader *reader)
{
    if (!reader->may_write || reader->input.header.kind != DNET_ASK)
        die("heard somebody who may not write");
    *(uint64_t *)context = reader->id;
}

static void tend_one(struct direct_sender *some, bool is_gone[READERS])
{
    struct dnet_header answer = {.magic = DNET_MAGIC, .version = DNET_VERSION, .kind = DNET_ANSWER};
    uint64_t id = 0;
    char reason[96];
    direct_sender_hear(some, note_asking, &id);
    if (id != 0)
        direct_sender_answer(some, id, &answer, sizeof answer);
    direct_sender_say(some);
    while (direct_sender_reap(some, &id, reason, sizeof reason))
        for (int i = 0; i < READERS; i++)
            if (ends[i].id == id) {
                if (ends[i].kind < DYING)
                    die(reason);
                is_gone[i] = true;
            }
}

/* As a publisher does between two loops; whoever died is replaced by one of its kind. */
static void tend(unsigned *seed)
{
    bool is_gone[READERS] = {false};
    tend_one(&sender, is_gone);
    for (unsigned i = 0; i < sender.form_count; i++) {
        tend_one(direct_form_enter(sender.forms[i]), is_gone);
        direct_form_leave(sender.forms[i]);
    }
    direct_forms_sweep(&sender);
    for (int i = 0; i < READERS; i++)
        if (is_gone[i]) {
            end_one(&ends[i]);
            connect_end(&ends[i], ends[i].kind, (unsigned)rand_r(seed));
        }
}

static void begin(size_t frame_bytes)
{
    struct description description = describing(frame_bytes);
    memset(memory, 0, METADATA_BYTES);
    frames.frame_bytes = frame_bytes;
    frames_init(&frames);
    if (direct_sender_describe(&sender, frame_bytes, &description, sizeof description, &description, sizeof description) != 0)
        die("begin");
    for (int i = 0; i < 2; i++)
        begin_form(&forms[i], false);
}

static void pump(struct outgoing *outgoing)
{
    struct sending sending = {
        .frames = &frames, .semaphores = &semaphores, .outgoing = outgoing, .pool = &pool, .direct = &sender, .semaphore = -1,
        .read_ns = 1000000000, .deadline_ns = monotonic_ns(), .until_ns = INT64_MAX};
    sending.until_ns = monotonic_ns() + 2000000;
    int result = pump_send(&sending);
    if (result != FRAMES_OK && result != FRAMES_TIMEOUT)
        die("pump");
}

static bool all_have_it(void)
{
    for (int i = 0; i < READERS; i++)
        if (ends[i].kind < DYING && atomic_load(&ends[i].seen) != written)
            return false;
    return true;
}

static void run_one_size(size_t frame_bytes, unsigned *seed)
{
    struct outgoing outgoing = {0};
    static unsigned char bytes[MOST_FRAME_BYTES];

    begin(frame_bytes);
    for (int count = rand_r(seed) % 100 + 1; count > 0; count--) {
        written++;
        memset(bytes, (int)(written & 0xff), frame_bytes);
        if (frames_commit(&frames, bytes, written, 1, FRAMES_ANY) != FRAMES_OK)
            die("commit");
        pump(&outgoing);
        if (rand_r(seed) % 10 == 0)
            tend(seed);
    }
    int64_t deadline = monotonic_ns() + PATIENCE_S * 1000000000LL;
    while (rand_r(seed) % 4 != 0 && !all_have_it()) {
        pump(&outgoing);
        tend(seed);
        usleep(1000);
        if (monotonic_ns() > deadline)
            die("a reader never got the newest frame");
    }
}

static int nothing_heard(void *socket, int option, void *value, size_t *length)
{
    (void)socket;
    (void)option;
    memset(value, 0, *length);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned seed = 1;
    size_t length = METADATA_BYTES + MOST_FRAME_BYTES;
    if (argc != 3 || !packing_load())
        return EXIT_FAILURE;
    int64_t end_ns = monotonic_ns() + (int64_t)(atof(argv[1]) * 1e9);
    frames = (struct frames){.length = length, .metadata_bytes = METADATA_BYTES, .depth = 1, .has_fifo = true,
                             .fd = open(argv[2], O_RDWR | O_CREAT, 0600)};
    if (frames.fd < 0 || ftruncate(frames.fd, (off_t)length) != 0)
        die(argv[2]);
    memory = frames.memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, frames.fd, 0);
    frames.guard = guard_acquire(memory, length);
    semaphores_init(&semaphores, "none", 0);
    libzmq.getsockopt = nothing_heard;
    copying_share(1);
    if (direct_sender_init(&sender, 1 << 16) != 0)
        die("init");
    begin(560);
    for (int i = 0; i < READERS; i++)
        connect_end(&ends[i], (enum kind)(i % KINDS), (unsigned)i);
    while (monotonic_ns() < end_ns)
        run_one_size((size_t[]){560, 16384, 200001, MOST_FRAME_BYTES}[rand_r(&seed) % 4], &seed);
    direct_sender_close(&sender);
    for (int i = 0; i < READERS; i++)
        end_one(&ends[i]);
    guard_release(frames.guard);
    munmap(memory, length);
    close(frames.fd);
    printf("%llu frames\n", (unsigned long long)written);
    return EXIT_SUCCESS;
}
