/* The class Window's methods for streams: pump.h for Python.
 *
 * Invariant: what was sent and taken is counted in the window, so it is known whichever way a call ends.
 */
#include "window.h"

#include <errno.h>

#include "direct_sending.h"
#include "guard.h"

int64_t monotonic_of(double time_s)
{
    return time_s < 9e9 ? (int64_t)(time_s * 1e9) : INT64_MAX;
}

/* Our Python makes neither mistake, but either would be a crash. */
static bool can_pump(unsigned long long socket)
{
    if (libzmq.msg_send != NULL && socket != 0)
        return true;
    PyErr_SetString(PyExc_ValueError, socket == 0 ? "the socket is closed" : "call load_libzmq first");
    return false;
}

static bool has_length(Py_ssize_t length, Py_ssize_t wanted, const char *what)
{
    if (length == wanted)
        return true;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd", what, wanted, length);
    return false;
}

/* Memory of that many bytes to write numbers into. */
static bool numbers_in(PyObject *buffer, Py_ssize_t bytes, const char *what, void **place)
{
    Py_ssize_t length;

    *place = NULL;
    if (buffer == NULL || buffer == Py_None)
        return true;
    if (PyObject_AsWriteBuffer(buffer, place, &length) == 0 && has_length(length, bytes, what) &&
        (uintptr_t)*place % sizeof(uint64_t) == 0)
        return true;
    *place = NULL;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "%s begins at a multiple of 8 bytes", what);
    return false;
}

bool page_in(PyObject *buffer, struct statistics **page)
{
    void *place;
    bool is_well = numbers_in(buffer, sizeof **page, "a statistics page", &place);
    *page = place;
    return is_well;
}

PyObject *note_latency(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *buffer;
    void *place;
    long long written_ns, now_ns;

    if (!PyArg_ParseTuple(arguments, "OLL", &buffer, &written_ns, &now_ns) ||
        !numbers_in(buffer, sizeof(struct latency), "a place for latencies", &place))
        return NULL;
    latency_note(place, written_ns, now_ns);
    Py_RETURN_NONE;
}

PyObject *latencies_since(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *before_bytes, *now_bytes;
    Py_ssize_t before_length, now_length;
    PyObject *shares;
    struct latency before, now;

    if (!PyArg_ParseTuple(arguments, "y#y#O", &before_bytes, &before_length, &now_bytes, &now_length, &shares) ||
        !has_length(before_length, sizeof before, "counts of latencies") ||
        !has_length(now_length, sizeof now, "counts of latencies"))
        return NULL;
    memcpy(&before, before_bytes, sizeof before); /* they may lie anywhere */
    memcpy(&now, now_bytes, sizeof now);
    struct latency since = latency_since(&before, &now);

    Py_ssize_t count = PySequence_Size(shares);
    PyObject *quantiles_s = count < 0 ? NULL : PyList_New(0);
    for (Py_ssize_t i = 0; quantiles_s != NULL && i < count; i++) {
        PyObject *share = PySequence_GetItem(shares, i);
        double part = share == NULL ? -1 : PyFloat_AsDouble(share);
        PyObject *quantile_s = PyErr_Occurred() ? NULL : PyFloat_FromDouble(latency_quantile_ns(&since, part) / 1e9);
        if (quantile_s == NULL || PyList_Append(quantiles_s, quantile_s) != 0)
            Py_CLEAR(quantiles_s);
        Py_XDECREF(quantile_s);
        Py_XDECREF(share);
    }
    if (quantiles_s == NULL)
        return NULL;
    return Py_BuildValue("NKN", PyLong_FromDouble(latency_frames(&since)), (unsigned long long)since.ahead, quantiles_s);
}

/* Whose readers get the frames of this window; None: there is no such sender. */
static bool direct_in(Window *self, PyObject *object, DirectSender **direct)
{
    *direct = NULL;
    if (object == NULL || object == Py_None)
        return true;
    *direct = direct_sender_of(object);
    if (*direct == NULL)
        return false;
    if ((*direct)->sender.pool.frame_bytes == self->frames.frame_bytes)
        return true;
    PyErr_Format(PyExc_ValueError, "the sender was begun with frames of %zu bytes, those of %U have %zu",
                 (*direct)->sender.pool.frame_bytes, self->path, self->frames.frame_bytes);
    return false;
}

static PyObject *send_until(Window *self, struct sending *sending)
{
    for (;;) {
        int result;
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = pump_send(sending);
        Py_END_ALLOW_THREADS
        if (result == FRAMES_LOST || result == FRAMES_BUSY)
            return window_raise(self, (enum frames_result)result);
        if (result == PUMP_FAILED)
            return PyErr_SetFromErrno(PyExc_OSError);
        if (result != FRAMES_INTERRUPTED)
            return PyLong_FromLong(result);
        if (PyErr_CheckSignals() != 0)
            return NULL;
    }
}

PyObject *window_send_frames(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"socket", "header", "semaphore", "rest_s", "read_timeout_s", "until_s", "begin", "end",
                            "page", "direct", "has_zmq", "spin_s", "keywords", NULL};
    Window *self = (Window *)object;
    PyObject *page = NULL, *direct_object = NULL;
    DirectSender *direct;
    int has_zmq = 1;
    unsigned long long socket;
    const char *header;
    Py_ssize_t header_length, begin_length = 0, end_length = 0, keywords_length = 0;
    double rest_s, read_timeout_s, until_s, spin_s = 0.0;
    struct sending sending = {
        .frames = &self->frames, .semaphores = &self->semaphores, .outgoing = &self->outgoing, .pool = &self->pool};

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Ky#iddd|y#y#OOpdy#", names, &socket, &header, &header_length,
                                     &sending.semaphore, &rest_s, &read_timeout_s, &until_s, &sending.ends.begin,
                                     &begin_length, &sending.ends.end, &end_length, &page, &direct_object, &has_zmq,
                                     &spin_s, &sending.keywords, &keywords_length) ||
        !page_in(page, &sending.page) || !can_pump(socket) ||
        !has_length(header_length, MESSAGE_HEADER_BYTES, "a header") || !direct_in(self, direct_object, &direct))
        return NULL;
    if ((size_t)keywords_length > self->frames.length - self->frames.depth * (self->frames.metadata_bytes + self->frames.frame_bytes)) {
        PyErr_Format(PyExc_ValueError, "%U has no room for %zd bytes of keywords", self->path, keywords_length);
        return NULL;
    }
    sending.keywords_bytes = (size_t)keywords_length;
    sending.direct = direct != NULL ? &direct->sender : NULL;
    sending.has_zmq = has_zmq != 0;
    sending.socket = (void *)(uintptr_t)socket;
    sending.header = (const unsigned char *)header;
    sending.ends.begin_bytes = (size_t)begin_length;
    sending.ends.end_bytes = (size_t)end_length;
    sending.deadline_ns = deadline_of(rest_s);
    sending.rest_ns = (int64_t)(rest_s * 1e9);
    sending.read_ns = (int64_t)(read_timeout_s * 1e9);
    sending.spin_ns = (int64_t)(spin_s * 1e9);
    sending.until_ns = monotonic_of(until_s);
    if (direct != NULL)
        direct->is_sending = true;
    PyObject *outcome = send_until(self, &sending);
    if (direct != NULL)
        direct->is_sending = false;
    return outcome;
}

PyObject *window_note_sent(PyObject *object, PyObject *Py_UNUSED(unused))
{
    Window *self = (Window *)object;
    if (!outgoing_note(&self->outgoing, self->frames.cnt0))
        return window_raise(self, FRAMES_LOST);
    Py_RETURN_NONE;
}

static PyObject *other_message(struct receiving *receiving)
{
    PyObject *result = Py_BuildValue("iy#", PUMP_OTHER, libzmq.msg_data(&receiving->message),
                                     (Py_ssize_t)libzmq.msg_size(&receiving->message));
    libzmq.msg_close(&receiving->message);
    return result;
}

PyObject *window_take_frames(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    PyObject *page = NULL;
    unsigned long long socket, counter;
    const char *begin, *end;
    Py_ssize_t begin_length, end_length;
    double until_s;
    int result;
    struct receiving receiving = {.frames = &self->frames, .semaphores = &self->semaphores};

    if (!PyArg_ParseTuple(arguments, "Ky#y#Kd|O", &socket, &begin, &begin_length, &end, &end_length, &counter, &until_s,
                          &page) ||
        !page_in(page, &receiving.page) || !can_pump(socket) || !has_length(begin_length, MESSAGE_BEGIN_BYTES, "a header's begin") ||
        !has_length(end_length, MESSAGE_END_BYTES, "a header's end"))
        return NULL;
    if (!self->is_writable) {
        PyErr_Format(PyExc_PermissionError, "%U is open for reading only", self->path);
        return NULL;
    }
    receiving.socket = (void *)(uintptr_t)socket;
    receiving.begin = (const unsigned char *)begin;
    receiving.end = (const unsigned char *)end;
    receiving.expected = counter;
    receiving.until_ns = monotonic_of(until_s);
    do {
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = frames_lost(&self->frames) ? FRAMES_LOST : pump_receive(&receiving);
        Py_END_ALLOW_THREADS
    } while (result == FRAMES_INTERRUPTED && PyErr_CheckSignals() == 0);
    self->taken += receiving.taken;
    self->passed_over += receiving.passed_over;
    if (PyErr_Occurred())
        return NULL;
    if (result == FRAMES_LOST)
        return window_raise(self, FRAMES_LOST);
    if (result == PUMP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (result == PUMP_OTHER)
        return other_message(&receiving);
    return Py_BuildValue("iO", result, Py_None);
}
