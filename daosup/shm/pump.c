#define _GNU_SOURCE
#include "pump.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* While frames flow, readers of the socket are heard so often. */
#define LISTEN_NS 25000000LL
/* The most that readers who are late may hold up those who are not. */
#define CATCH_UP_NS 1000000LL
/* While frames pour in faster than they are taken out, one is taken after so long at the latest. */
#define PASS_OVER_NS 20000000LL
/* What a queue had no room for comes so soon. */
#define REFILL_MS 1
/* Beside the outcomes of a wait. */
#define NOTHING (-1)
/* Who spins looks so often whether somebody kicks, and whether the segment is still there. */
#define SPIN_NS 100000LL

static int option_of(void *socket, int option)
{
    int value = 0;
    size_t length = sizeof value;
    return libzmq.getsockopt(socket, option, &value, &length) == 0 ? value : 0;
}

static bool has_arrived(void *socket)
{
    return (option_of(socket, LIBZMQ_EVENTS) & LIBZMQ_POLLIN) != 0;
}

bool outgoing_note(struct outgoing *self, uint64_t counter)
{
    if (counter < self->sent)
        return false;
    if (counter > self->sent + 1) {
        self->skipped += counter - self->sent - 1;
        self->gaps++;
    }
    self->sent = counter;
    self->sequence++;
    return true;
}

/* Count a frame as sent, on the page, too; false as of outgoing_note. */
static bool note_sent(struct sending *self, const struct pool_frame *frame)
{
    uint64_t skipped = self->outgoing->skipped;
    if (!outgoing_note(self->outgoing, frame->cnt0))
        return false;
    struct statistics_frame noted = {.counter = frame->cnt0,
                                     .skipped = self->outgoing->skipped - skipped,
                                     .message_bytes = MESSAGE_HEADER_BYTES + frame->frame_bytes,
                                     .written_ns = frame->atime_ns};
    statistics_note(self->page, &noted, frame->sent_ns);
    return true;
}

/* A frame that libzmq has no room for is dropped; that is what its readers asked for by being slow. */
static int outcome_of(int error)
{
    errno = error;
    return error == 0 || error == EAGAIN ? FRAMES_OK : PUMP_FAILED;
}

/* Our readers get the frame itself, lent to libzmq, and readers of the old protocol a copy of it. */
static int hand_over(struct sending *self, struct pool_frame *frame, struct frame_lending *lending)
{
    libzmq_message message;
    if (lending == NULL) {
        errno = ENOMEM;
        return PUMP_FAILED;
    }
    self->outgoing->is_doubtful = 2 * lending_count(lending) > (unsigned)self->queue && self->queue > 0;
    message_head(frame, self->header, self->outgoing->sequence);
    if (libzmq.msg_init_data(&message, frame->head, MESSAGE_HEADER_BYTES + frame->frame_bytes, lending_give_back, lending) !=
        0) {
        lending_give_back(frame->head, lending);
        errno = ENOMEM;
        return PUMP_FAILED;
    }
    /* By itself a socket learns but each millisecond what its readers have taken; a short queue would seem full till then. */
    has_arrived(self->socket);
    int error = libzmq_hand_over(&message, self->socket, 0);
    if ((error == 0 || error == EAGAIN) && self->ends.begin_bytes > 0)
        error = pickle_send(&self->ends, frame->bytes, frame->frame_bytes, self->socket);
    return outcome_of(error);
}

static int take_newest(struct sending *self, struct pool_frame *frame)
{
    enum frames_result result = frames_snapshot(self->frames, frame->bytes, -1, monotonic_ns() + self->read_ns);
    if (result != FRAMES_OK)
        return (int)result;
    frame->cnt0 = self->frames->cnt0;
    frame->cnt2 = self->frames->cnt2;
    frame->atime_ns = self->frames->atime_ns;
    frame->sent_ns = utc_ns();
    return note_sent(self, frame) ? FRAMES_OK : FRAMES_LOST;
}

/* The newest frame goes from the segment straight into memory that libzmq sends from. */
static int send_newest(struct sending *self)
{
    struct pool_frame *frame = frame_pool_take(self->pool);
    if (frame == NULL) {
        errno = ENOMEM;
        return PUMP_FAILED;
    }
    int result = take_newest(self, frame);
    if (result == FRAMES_OK)
        result = hand_over(self, frame, frame_pool_lend(self->pool, frame));
    frame_pool_release(self->pool, frame);
    return result;
}

/* The frame that the direct readers got is sent: to the socket's, too, if there are any. */
static int note_direct(struct sending *self)
{
    struct pool_frame *frame = self->direct->newest;

    if (frame->cnt0 == self->outgoing->sent)
        return FRAMES_OK;
    if (!note_sent(self, frame))
        return FRAMES_LOST;
    if (!self->has_zmq)
        return FRAMES_OK;
    pthread_mutex_lock(&self->direct->lock);
    struct frame_lending *lending = frame_pool_lend(&self->direct->pool, frame);
    pthread_mutex_unlock(&self->direct->lock);
    return hand_over(self, frame, lending);
}

static bool has_direct_newest(const struct sending *self)
{
    const struct pool_frame *newest = self->direct->newest;
    return newest != NULL && newest->cnt0 == frames_counter(self->frames, frames_newest_slot(self->frames));
}

/* A new frame to the direct readers, before anybody else and whoever does the rest. FRAMES_TIMEOUT: it is for nobody, or
 * for nobody yet. */
static int send_direct(struct sending *self, int64_t now)
{
    int64_t pause_ns = self->until_ns < now + LISTEN_NS ? self->until_ns : now + LISTEN_NS;
    if (has_direct_newest(self))
        return FRAMES_OK; /* it was sent when readers caught up, or before it was left to the caller */
    enum direct_wish wish = direct_sender_wish(self->direct, now);
    if (wish == DIRECT_WANTED || self->has_zmq)
        return (int)direct_sender_send(self->direct, self->frames, now + self->read_ns, self->has_zmq ? 0 : pause_ns);
    if (wish == DIRECT_LATER) {
        direct_sender_wait(self->direct, pause_ns);
    } else {
        self->outgoing->sent = frames_counter(self->frames, frames_newest_slot(self->frames));
        semaphores_take(self->semaphores, self->semaphore);
    }
    return FRAMES_TIMEOUT;
}

/* Readers that came while no frames did, or were not due then, get the newest one. A writer that is just writing brings
 * them the next. */
static int catch_up(struct sending *self, int64_t now)
{
    if (has_direct_newest(self)) {
        direct_sender_send_all(self->direct, 0);
        return FRAMES_OK;
    }
    if (direct_sender_wish(self->direct, now) != DIRECT_WANTED)
        return FRAMES_OK;
    int result = (int)direct_sender_send(self->direct, self->frames, now + CATCH_UP_NS, 0);
    if (result != FRAMES_OK || self->has_zmq)
        return result == FRAMES_BUSY ? FRAMES_OK : result;
    semaphores_take(self->semaphores, self->semaphore);
    return note_direct(self); /* at once: by the time it is looked for the next one may be there */
}

static bool has_reader_spoken(struct sending *self, int64_t now)
{
    if (!self->has_zmq || now < self->listen_ns)
        return false;
    self->listen_ns = now + LISTEN_NS;
    return has_arrived(self->socket) || (self->direct != NULL && direct_sender_is_spoken_to(self->direct));
}

static bool has_other_keywords(const struct sending *self)
{
    const unsigned char *end = self->frames->memory + self->frames->length;
    return self->keywords_bytes > 0 && memcmp(end - self->keywords_bytes, self->keywords, self->keywords_bytes) != 0;
}

/* A frame that comes soon is found without having slept, and before its writer has posted the semaphore. */
static int wait_for_frame(struct sending *self)
{
    int64_t now = self->spin_ns > 0 ? monotonic_ns() : 0;
    for (int64_t end = now + self->spin_ns; now < end; now = monotonic_ns()) {
        int result = (int)frames_spin(self->frames, self->outgoing->sent, now + SPIN_NS < end ? now + SPIN_NS : end);
        if (result == FRAMES_OK || result == FRAMES_LOST)
            return result;
        if (semaphores_kicked(self->semaphores))
            return FRAMES_WOKEN;
    }
    int result = (int)frames_wait(self->frames, self->semaphores, self->semaphore, self->outgoing->sent, self->deadline_ns);
    /* The post of a frame that was found before its writer posted it is nobody's word. */
    return result == FRAMES_WOKEN && !semaphores_kicked(self->semaphores) ? NOTHING : result;
}

int pump_send(struct sending *self)
{
    bool is_direct = self->direct != NULL && (self->direct->count > 0 || self->direct->form_count > 0);
    int64_t now = monotonic_ns(), look_ns = now + SIGNALS_NS;
    /* They have just been heard: however much they say, a frame goes out in between. */
    self->listen_ns = now + LISTEN_NS;
    self->queue = option_of(self->socket, LIBZMQ_SNDHWM);
    frame_pool_trim(self->pool, now);
    int result = is_direct ? catch_up(self, now) : FRAMES_OK;
    if (result != FRAMES_OK)
        return result;
    if (is_direct && semaphores_kicked(self->semaphores))
        return FRAMES_WOKEN; /* its post may be the one that was taken for that frame's */
    for (;;) {
        result = wait_for_frame(self);
        bool is_passed = true;
        now = monotonic_ns();
        statistics_beat(self->page, now);
        if (result == NOTHING) {
            if (now < look_ns)
                continue;
            return FRAMES_INTERRUPTED;
        }
        if (result == FRAMES_OK && is_direct) {
            result = send_direct(self, now);
            is_passed = result == FRAMES_OK;
            if (result == FRAMES_TIMEOUT) {
                result = FRAMES_OK;
                now = monotonic_ns();
            }
        }
        if (result != FRAMES_OK)
            return result;
        bool is_over = now >= self->until_ns || has_reader_spoken(self, now);
        if (is_over && (self->has_zmq || !is_direct || !is_passed))
            return FRAMES_OK; /* that frame is left to the caller, for readers by ZeroMQ */
        if (is_passed) {
            /* The post of a frame that was there before we slept would end the next sleep for nothing. */
            semaphores_take(self->semaphores, self->semaphore);
            result = is_direct ? note_direct(self) : send_newest(self);
            if (result != FRAMES_OK)
                return result;
        }
        if (is_over || semaphores_kicked(self->semaphores))
            return FRAMES_WOKEN;
        self->deadline_ns = now + self->rest_ns;
        if (now >= look_ns)
            return has_other_keywords(self) ? FRAMES_WOKEN : FRAMES_INTERRUPTED;
    }
}

/* Whether a message that came after `count` others waits to be taken. Behind a queue that was full there may be more, in the
 * kernel and at the sender, all of it older than what is written just now. */
static bool has_another(const struct receiving *self, int count)
{
    if (has_arrived(self->socket))
        return true;
    if (self->queue == 0 || count < self->queue)
        return false;
    struct pollfd ready = {.fd = option_of(self->socket, LIBZMQ_FD), .events = POLLIN};
    for (int64_t end = monotonic_ns() + REFILL_MS * 1000000LL; monotonic_ns() < end;) {
        poll(&ready, 1, REFILL_MS);
        if (has_arrived(self->socket)) /* else libzmq had something to say to itself */
            return true;
    }
    return false;
}

/* The next message, or the newest one if frames are waiting. One that was waited for came just now. */
static int receive_newest(struct receiving *self)
{
    uint64_t newest = self->expected - 1;
    int64_t began = monotonic_ns();
    bool has_waited = false;
    for (int count = 1;; count++) {
        /* either also lets go of the message before */
        int received = libzmq.msg_recv(&self->message, self->socket, LIBZMQ_DONTWAIT);
        if (received < 0 && errno == EAGAIN) {
            received = libzmq.msg_recv(&self->message, self->socket, 0);
            has_waited = true;
        }
        if (received < 0)
            return errno == EAGAIN || errno == EINTR ? FRAMES_TIMEOUT : PUMP_FAILED;
        if (!message_belongs(self->frames, libzmq.msg_data(&self->message), libzmq.msg_size(&self->message), self->begin,
                             self->end))
            return PUMP_OTHER;
        if (has_waited || !has_another(self, count) || monotonic_ns() - began > PASS_OVER_NS)
            return FRAMES_OK;
        uint64_t counter = message_counter(libzmq.msg_data(&self->message));
        if (counter > newest) { /* a repeated one is no loss */
            newest = counter;
            self->passed_over++;
        }
    }
}

static int take_next(struct receiving *self)
{
    int result = receive_newest(self);
    if (result != FRAMES_OK)
        return result;
    const unsigned char *bytes = libzmq.msg_data(&self->message);
    if (message_counter(bytes) != self->expected)
        return PUMP_OTHER;
    result = (int)message_commit(self->frames, bytes);
    if (result == FRAMES_OK) {
        semaphores_post(self->semaphores);
        struct statistics_frame noted = {.counter = self->expected,
                                         .message_bytes = libzmq.msg_size(&self->message),
                                         .written_ns = self->frames->atime_ns};
        statistics_note(self->page, &noted, utc_ns());
        self->expected++;
        self->taken++;
    }
    return result;
}

int pump_receive(struct receiving *self)
{
    int64_t look_ns = monotonic_ns() + SIGNALS_NS;
    self->queue = option_of(self->socket, LIBZMQ_RCVHWM);
    for (;;) {
        libzmq.msg_init(&self->message);
        int result = take_next(self);
        if (result == PUMP_OTHER)
            return result;
        /* At once, and not when the next one comes: its memory is still in the cache and is taken for that one. */
        int error = errno;
        libzmq.msg_close(&self->message);
        errno = error;
        int64_t now = monotonic_ns();
        if (result != FRAMES_OK || now >= self->until_ns)
            return result;
        statistics_beat(self->page, now);
        if (now >= look_ns)
            return FRAMES_INTERRUPTED;
    }
}
