/* The class DirectReceiver, and Window's method that takes frames from one.
 *
 * Invariant: what was taken is counted in the receiver, so it is known whichever way a call ends.
 */
#include "direct_receiving.h"

#include <structmember.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "direct_taking.h"
#include "guard.h"
#include "packing.h"

typedef struct {
    PyObject_HEAD
    struct direct_receiver receiver;
    bool is_open;
    bool is_busy; /* a call is under way, without the interpreter lock */
    unsigned long long taken, taken_bytes, passed_over, skipped, gaps;
    PyObject *unsent;     /* the rest of a message that the socket had no room for, from `unsent_at` on; or NULL */
    Py_ssize_t unsent_at;
} DirectReceiver;

static PyTypeObject *receiver_type;

_Static_assert((int)DIRECT_OTHER == (int)PUMP_OTHER && (int)DIRECT_FAILED == (int)PUMP_FAILED, "Python has one OTHER");

static int receiver_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", "is_every", "is_packed", NULL};
    DirectReceiver *self = (DirectReceiver *)object;
    int fd, is_every = 0, is_packed = 0;

    if (self->is_open) {
        PyErr_SetString(PyExc_TypeError, "a DirectReceiver is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i|pp", names, &fd, &is_every, &is_packed))
        return -1;
    if (is_packed && !packing_load()) {
        PyErr_SetString(PyExc_ValueError, "there is no liblz4 to unpack frames with");
        return -1;
    }
    int error = direct_receiver_init(&self->receiver, fd, is_every != 0, is_packed != 0);
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->is_open = true;
    return 0;
}

static void receiver_dealloc(PyObject *object)
{
    DirectReceiver *self = (DirectReceiver *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->is_open)
        direct_receiver_close(&self->receiver, false);
    Py_CLEAR(self->unsent);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static bool begin(DirectReceiver *self)
{
    if (self->is_open && !self->is_busy)
        return self->is_busy = true;
    PyErr_SetString(PyExc_ValueError, self->is_open ? "the connection is in use in another thread" : "the connection is closed");
    return false;
}

/* What a call returns: an outcome, and with it a message if there is one. */
static PyObject *outcome_of(int result, const struct direct_message *message)
{
    if (result == DIRECT_FAILED)
        return PyErr_NoMemory();
    if (result != DIRECT_OTHER)
        return Py_BuildValue("iOO", result, Py_None, Py_None);
    return Py_BuildValue("iy#y#", result, &message->header, (Py_ssize_t)sizeof message->header, message->payload,
                         (Py_ssize_t)message->header.payload_bytes);
}

static PyObject *receiver_receive(PyObject *object, PyObject *arguments)
{
    DirectReceiver *self = (DirectReceiver *)object;
    unsigned long long frame_bytes;
    double until_s;
    struct direct_message message;
    int result;

    if (!PyArg_ParseTuple(arguments, "Kd", &frame_bytes, &until_s) || !begin(self))
        return NULL;
    if (frame_bytes > (1ULL << 40))
        frame_bytes = 1ULL << 40; /* none has as many, and it can be added to */
    int64_t until_ns = monotonic_of(until_s);
    do {
        Py_BEGIN_ALLOW_THREADS
        result = direct_receive(&self->receiver, frame_bytes, until_ns, &message);
        Py_END_ALLOW_THREADS
    } while (result == FRAMES_INTERRUPTED && PyErr_CheckSignals() == 0);
    self->is_busy = false;
    self->passed_over += self->receiver.passed_over;
    self->receiver.passed_over = 0;
    return PyErr_Occurred() ? NULL : outcome_of(result, &message);
}

PyObject *window_take_direct(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    PyObject *from, *page = NULL;
    DirectReceiver *receiver;
    unsigned long long counter;
    double until_s;
    struct direct_message message;
    struct direct_taking taking = {.frames = &self->frames, .semaphores = &self->semaphores};
    int result;

    if (!PyArg_ParseTuple(arguments, "O!Kd|O", receiver_type, &from, &counter, &until_s, &page) ||
        !page_in(page, &taking.page))
        return NULL;
    if (!self->is_writable) {
        PyErr_Format(PyExc_PermissionError, "%U is open for reading only", self->path);
        return NULL;
    }
    receiver = (DirectReceiver *)from;
    if (!begin(receiver))
        return NULL;
    taking.expected = counter;
    taking.until_ns = monotonic_of(until_s);
    do {
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = frames_lost(&self->frames) ? FRAMES_LOST : direct_take(&receiver->receiver, &taking, &message);
        Py_END_ALLOW_THREADS
    } while (result == FRAMES_INTERRUPTED && PyErr_CheckSignals() == 0);
    receiver->is_busy = false;
    receiver->taken += taking.taken;
    receiver->taken_bytes += taking.taken_bytes;
    receiver->passed_over += taking.passed_over;
    receiver->skipped += taking.skipped;
    receiver->gaps += taking.gaps;
    if (PyErr_Occurred())
        return NULL;
    return result == FRAMES_LOST ? window_raise(self, FRAMES_LOST) : outcome_of(result, &message);
}

/* Send what there is room for without waiting; -1: the connection is over. */
static ssize_t send_some(DirectReceiver *self, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent = sendmsg(self->receiver.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static bool keep_rest(DirectReceiver *self, const struct iovec *parts, size_t sent)
{
    size_t length = parts[0].iov_len + parts[1].iov_len, of_first = sent < parts[0].iov_len ? sent : parts[0].iov_len;
    char *into;

    self->unsent = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(length - sent));
    self->unsent_at = 0;
    if (self->unsent == NULL)
        return false;
    into = PyBytes_AsString(self->unsent);
    memcpy(into, (const char *)parts[0].iov_base + of_first, parts[0].iov_len - of_first);
    if (parts[1].iov_len > 0)
        memcpy(into + parts[0].iov_len - of_first, (const char *)parts[1].iov_base + (sent - of_first),
               parts[1].iov_len - (sent - of_first));
    return true;
}

/* The rest of a message that was begun goes first, or the owner could make nothing of what follows. Whether nothing is
 * left of it; of a connection that is over nothing is. */
static bool send_rest(DirectReceiver *self)
{
    char *bytes;
    Py_ssize_t length;
    if (self->unsent == NULL)
        return true;
    if (!self->is_open || PyBytes_AsStringAndSize(self->unsent, &bytes, &length) != 0) {
        Py_CLEAR(self->unsent);
        return true;
    }
    struct iovec rest = {.iov_base = bytes + self->unsent_at, .iov_len = (size_t)(length - self->unsent_at)};
    ssize_t sent = send_some(self, &rest, 1);
    self->unsent_at += sent > 0 ? sent : 0;
    if (sent >= 0 && self->unsent_at < length)
        return false;
    Py_CLEAR(self->unsent);
    return true;
}

static bool bytes_of(PyObject *object, struct iovec *part)
{
    const void *bytes;
    Py_ssize_t length;
    if (PyObject_AsReadBuffer(object, &bytes, &length) != 0)
        return false;
    *part = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = (size_t)length};
    return true;
}

static PyObject *receiver_send(PyObject *object, PyObject *arguments)
{
    DirectReceiver *self = (DirectReceiver *)object;
    PyObject *message, *payload = NULL;
    struct iovec parts[2] = {0};

    if (!PyArg_ParseTuple(arguments, "O|O", &message, &payload) || !bytes_of(message, &parts[0]) ||
        (payload != NULL && !bytes_of(payload, &parts[1])))
        return NULL;
    if (!self->is_open || !send_rest(self))
        Py_RETURN_FALSE;
    ssize_t sent = send_some(self, parts, 2);
    if (sent > 0 && (size_t)sent < parts[0].iov_len + parts[1].iov_len && !keep_rest(self, parts, (size_t)sent))
        return NULL;
    return PyBool_FromLong(sent > 0);
}

/* As the interpreter is let go of meanwhile, the connection may be closed then, and its descriptor be another's. */
static PyObject *receiver_flush(PyObject *object, PyObject *arguments)
{
    DirectReceiver *self = (DirectReceiver *)object;
    double timeout_s;

    if (!PyArg_ParseTuple(arguments, "d", &timeout_s))
        return NULL;
    if (!send_rest(self)) {
        struct pollfd room = {.fd = self->receiver.fd, .events = POLLOUT};
        Py_BEGIN_ALLOW_THREADS
        (void)poll(&room, 1, (int)(timeout_s * 1000));
        Py_END_ALLOW_THREADS
    }
    return PyBool_FromLong(send_rest(self));
}

static PyObject *receiver_close(PyObject *object, PyObject *arguments)
{
    DirectReceiver *self = (DirectReceiver *)object;
    int is_abrupt = 0;
    if (!PyArg_ParseTuple(arguments, "|p", &is_abrupt) || (self->is_open && !begin(self)))
        return NULL;
    if (self->is_open)
        direct_receiver_close(&self->receiver, is_abrupt != 0);
    self->is_open = self->is_busy = false;
    Py_RETURN_NONE;
}

static PyObject *get_heard_s(PyObject *object, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble((double)((DirectReceiver *)object)->receiver.heard_ns / 1e9);
}

static PyObject *get_has_rest(PyObject *object, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((DirectReceiver *)object)->unsent != NULL);
}

static PyObject *get_wrong(PyObject *object, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(((DirectReceiver *)object)->receiver.wrong);
}

static PyMethodDef receiver_methods[] = {
    {"receive", receiver_receive, METH_VARARGS,
     "receive(frame_bytes, until_s) -> (OTHER, header, payload) or (TIMEOUT, CLOSED or BAD, None, None):\n"
     "the next message that is no heartbeat; a frame only of frame_bytes, and none if that is 0. Frames that too much waits\n"
     "behind are passed over."},
    {"send", receiver_send, METH_VARARGS,
     "send(message, payload=b'') -> whether it is sent or will be: never waits, and a message there is no room for, with\n"
     "the payload behind it, is dropped."},
    {"flush", receiver_flush, METH_VARARGS,
     "flush(timeout_s) -> whether nothing is left to be sent: waits that long for room; in any thread, also while it closes."},
    {"close", receiver_close, METH_VARARGS,
     "close(is_abrupt=False): close the connection; abruptly: what is still on its way is not to arrive any more."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef receiver_members[] = {
    {"taken", T_ULONGLONG, offsetof(DirectReceiver, taken), READONLY, "Frames that take_direct wrote."},
    {"taken_bytes", T_ULONGLONG, offsetof(DirectReceiver, taken_bytes), READONLY, "Bytes of these, with headers, as they came."},
    {"passed_over", T_ULONGLONG, offsetof(DirectReceiver, passed_over), READONLY,
     "Frames that came and that were not written or handed over, for newer ones were there or as they were torn at the source."},
    {"straight", T_ULONGLONG, offsetof(DirectReceiver, receiver) + offsetof(struct direct_receiver, straight), READONLY,
     "Frames whose end, or all, take_direct read from the socket into the mirror, without a copy in between."},
    {"skipped", T_ULONGLONG, offsetof(DirectReceiver, skipped), READONLY, "Frames of the source before those that it wrote."},
    {"gaps", T_ULONGLONG, offsetof(DirectReceiver, gaps), READONLY, "How often at least one was missing."},
    {"spin_ns", T_LONGLONG, offsetof(DirectReceiver, receiver) + offsetof(struct direct_receiver, spin_ns), 0,
     "How long to look again and again before sleeping whether something came; 0: not."},
    {"is_quick", T_BOOL, offsetof(DirectReceiver, receiver) + offsetof(struct direct_receiver, is_quick), 0,
     "Whether what came is acknowledged at once (TCP_QUICKACK)."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef receiver_getset[] = {
    {"heard_s", get_heard_s, NULL, "When something last came, time.monotonic().", NULL},
    {"has_rest", get_has_rest, NULL, "Whether a message was begun that there was no room for yet.", NULL},
    {"wrong", get_wrong, NULL, "With CLOSED and BAD: why.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_doc, "DirectReceiver(fd, is_every=False, is_packed=False): the reader's end of a direct connection; fd is its own from now on."},
    {Py_tp_init, receiver_init},
    {Py_tp_dealloc, receiver_dealloc},
    {Py_tp_methods, receiver_methods},
    {Py_tp_members, receiver_members},
    {Py_tp_getset, receiver_getset},
    {0, NULL},
};

static PyType_Spec receiver_spec = {
    .name = "daosup.shm._native.DirectReceiver",
    .basicsize = sizeof(DirectReceiver),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = receiver_slots,
};

PyObject *direct_receiver_type(void)
{
    PyObject *type = PyType_FromSpec(&receiver_spec);
    receiver_type = (PyTypeObject *)type; /* the module keeps it */
    return type;
}
