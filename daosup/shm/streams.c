/* The class Window's methods for streams: pump.h for Python.
 *
 * Invariant: what was sent and taken is counted in the window, so it is known whichever way a call ends.
 */
#include "window.h"

#include <errno.h>

#include "guard.h"

static int64_t monotonic_of(double time_s)
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

PyObject *window_send_frames(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    unsigned long long socket;
    const char *header;
    Py_ssize_t header_length, begin_length = 0, end_length = 0;
    double rest_s, read_timeout_s, until_s;
    struct sending sending = {
        .frames = &self->frames, .semaphores = &self->semaphores, .outgoing = &self->outgoing};

    if (!PyArg_ParseTuple(arguments, "Ky#iddd|y#y#", &socket, &header, &header_length, &sending.semaphore, &rest_s,
                          &read_timeout_s, &until_s, &sending.ends.begin, &begin_length, &sending.ends.end,
                          &end_length) ||
        !can_pump(socket) || !has_length(header_length, MESSAGE_HEADER_BYTES, "a header"))
        return NULL;
    sending.socket = (void *)(uintptr_t)socket;
    sending.header = (const unsigned char *)header;
    sending.ends.begin_bytes = (size_t)begin_length;
    sending.ends.end_bytes = (size_t)end_length;
    sending.deadline_ns = deadline_of(rest_s);
    sending.rest_ns = (int64_t)(rest_s * 1e9);
    sending.read_ns = (int64_t)(read_timeout_s * 1e9);
    sending.until_ns = monotonic_of(until_s);
    for (;;) {
        int result;
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = pump_send(&sending);
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
    unsigned long long socket, counter;
    const char *begin, *end;
    Py_ssize_t begin_length, end_length;
    double until_s;
    int result;
    struct receiving receiving = {.frames = &self->frames, .semaphores = &self->semaphores};

    if (!PyArg_ParseTuple(arguments, "Ky#y#Kd", &socket, &begin, &begin_length, &end, &end_length, &counter, &until_s) ||
        !can_pump(socket) || !has_length(begin_length, MESSAGE_BEGIN_BYTES, "a header's begin") ||
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
    Py_BEGIN_ALLOW_THREADS
    guard_renew();
    result = frames_lost(&self->frames) ? FRAMES_LOST : pump_receive(&receiving);
    Py_END_ALLOW_THREADS
    self->taken += receiving.taken;
    self->passed_over += receiving.passed_over;
    if (result == FRAMES_LOST)
        return window_raise(self, FRAMES_LOST);
    if (result == PUMP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (result == PUMP_OTHER)
        return other_message(&receiving);
    return Py_BuildValue("iO", result, Py_None);
}
