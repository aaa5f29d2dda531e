#include "window.h"

#include <structmember.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "direct_receiving.h"
#include "guard.h"

static PyObject *lost_error, *busy_error, *segment_error;

PyObject *window_raise(Window *self, enum frames_result result)
{
    if (result == FRAMES_LOST)
        PyErr_Format(lost_error, "%U: truncated, replaced or made anew while it was open; open it again", self->path);
    else
        PyErr_Format(busy_error,
                     "%U: no whole frame could be read: its writer writes without a pause or died while writing; "
                     "try again, or give the segment a FIFO depth above 1",
                     self->path);
    return NULL;
}

int64_t deadline_of(double timeout_s)
{
    if (!(timeout_s < 1e9))
        timeout_s = 1e9;
    return monotonic_ns() + (int64_t)(timeout_s > 0 ? timeout_s * 1e9 : 0);
}

static int window_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"memory", "guard", "fd", "path", "metadata_bytes", "frame_bytes", "depth", "has_fifo",
                            "semaphore_base", "semaphore_count", NULL};
    Window *self = (Window *)object;
    PyObject *memory, *path;
    int guard, fd, has_fifo, semaphore_count;
    Py_ssize_t metadata_bytes, frame_bytes, length;
    unsigned int depth;
    const char *base;
    const void *readable;
    void *address = NULL;

    if (self->memory != NULL) {
        PyErr_SetString(PyExc_TypeError, "a Window is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OiiUnnIpsi", names, &memory, &guard, &fd, &path, &metadata_bytes,
                                     &frame_bytes, &depth, &has_fifo, &base, &semaphore_count))
        return -1;
    if (PyObject_AsReadBuffer(memory, &readable, &length) != 0)
        return -1;
    if (metadata_bytes < 4296 || (has_fifo && metadata_bytes < 4304) || frame_bytes < 1 || depth < 1 ||
        (length - 1) / ((metadata_bytes + frame_bytes)) + 1 < (Py_ssize_t)depth ||
        (Py_ssize_t)depth * (metadata_bytes + frame_bytes) > length || semaphore_count < 0 ||
        semaphore_count > SEMAPHORES_MAX || strlen(base) >= SEMAPHORE_NAME_MAX || guard < 0) {
        PyErr_SetString(PyExc_ValueError, "the frames do not fit into the memory");
        return -1;
    }
    self->is_writable = PyObject_AsWriteBuffer(memory, &address, &length) == 0;
    PyErr_Clear();
    self->frames.memory = (unsigned char *)(uintptr_t)readable;
    self->frames.length = (size_t)length;
    self->frames.metadata_bytes = (size_t)metadata_bytes;
    self->frames.frame_bytes = (size_t)frame_bytes;
    self->frames.depth = depth;
    self->frames.has_fifo = has_fifo != 0;
    self->frames.guard = guard;
    self->frames.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (self->frames.fd < 0) {
        PyErr_Format(segment_error, "%U: cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    frame_pool_resize(&self->pool, (size_t)frame_bytes);
    semaphores_init(&self->semaphores, base, semaphore_count);
    frames_init(&self->frames);
    Py_INCREF(memory);
    self->memory = memory;
    Py_INCREF(path);
    self->path = path;
    return 0;
}

static void window_dealloc(PyObject *object)
{
    Window *self = (Window *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->memory != NULL) {
        semaphores_close(&self->semaphores);
        close(self->frames.fd);
        frame_pool_end(&self->pool);
    }
    Py_CLEAR(self->memory);
    Py_CLEAR(self->path);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

/* A frame's worth of memory inside somebody's buffer, or NULL with an exception set. */
static void *place_in(Window *self, void *buffer, Py_ssize_t length, Py_ssize_t offset)
{
    if (offset < 0 || offset > length || (size_t)(length - offset) < self->frames.frame_bytes) {
        PyErr_Format(PyExc_ValueError, "a frame of %U has %zu bytes; the buffer has %zd from byte %zd on", self->path,
                     self->frames.frame_bytes, offset > length ? 0 : length - offset, offset);
        return NULL;
    }
    return (unsigned char *)buffer + offset;
}

static PyObject *window_snapshot(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    PyObject *buffer;
    Py_ssize_t offset, length;
    long long slot;
    double timeout_s;
    void *address;
    enum frames_result result;

    if (!PyArg_ParseTuple(arguments, "OnLd", &buffer, &offset, &slot, &timeout_s) ||
        PyObject_AsWriteBuffer(buffer, &address, &length) != 0 ||
        (address = place_in(self, address, length, offset)) == NULL)
        return NULL;
    if (slot >= (long long)self->frames.depth) {
        PyErr_Format(PyExc_IndexError, "%U: slot %lld of %u", self->path, slot, self->frames.depth);
        return NULL;
    }
    int64_t deadline_ns = deadline_of(timeout_s);
    for (;;) {
        int64_t pause_ns = monotonic_ns() + SIGNALS_NS;
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = frames_snapshot(&self->frames, address, slot, pause_ns < deadline_ns ? pause_ns : deadline_ns);
        Py_END_ALLOW_THREADS
        if (result == FRAMES_OK)
            Py_RETURN_NONE;
        if (result != FRAMES_BUSY || monotonic_ns() >= deadline_ns)
            return window_raise(self, result);
        if (PyErr_CheckSignals() != 0)
            return NULL;
    }
}

static PyObject *window_commit(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    PyObject *buffer;
    Py_ssize_t offset, length;
    unsigned long long cnt2, after = FRAMES_ANY;
    long long atime_ns;
    const void *address;
    enum frames_result result;

    if (!self->is_writable) {
        PyErr_Format(PyExc_PermissionError, "%U is open for reading only", self->path);
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "OnKL|K", &buffer, &offset, &cnt2, &atime_ns, &after) ||
        PyObject_AsReadBuffer(buffer, &address, &length) != 0 ||
        (address = place_in(self, (void *)(uintptr_t)address, length, offset)) == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    guard_renew();
    result = frames_lost(&self->frames) ? FRAMES_LOST : frames_commit(&self->frames, address, cnt2, atime_ns, after);
    if (result == FRAMES_OK)
        semaphores_post(&self->semaphores);
    Py_END_ALLOW_THREADS
    if (result == FRAMES_BUSY)
        Py_RETURN_FALSE;
    if (result != FRAMES_OK)
        return window_raise(self, result);
    Py_RETURN_TRUE;
}

static PyObject *window_wait(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    unsigned long long last;
    double timeout_s;
    int index, spin;
    enum frames_result result;

    if (!PyArg_ParseTuple(arguments, "Kidp", &last, &index, &timeout_s, &spin))
        return NULL;
    int64_t deadline_ns = deadline_of(timeout_s);
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        guard_renew();
        result = spin ? frames_spin(&self->frames, last, deadline_ns)
                      : frames_wait(&self->frames, &self->semaphores, index, last, deadline_ns);
        if (result == FRAMES_OK && frames_lost(&self->frames))
            result = FRAMES_LOST;
        Py_END_ALLOW_THREADS
        if (result == FRAMES_LOST)
            return window_raise(self, result);
        if (result != FRAMES_INTERRUPTED)
            return PyLong_FromLong((long)result);
        if (PyErr_CheckSignals() != 0)
            return NULL;
    }
}

static PyObject *window_counter(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    long long slot = -1;
    if (!PyArg_ParseTuple(arguments, "|L", &slot))
        return NULL;
    if (slot >= (long long)self->frames.depth) {
        PyErr_Format(PyExc_IndexError, "%U: slot %lld of %u", self->path, slot, self->frames.depth);
        return NULL;
    }
    guard_renew();
    uint32_t chosen = slot < 0 ? frames_newest_slot(&self->frames) : (uint32_t)slot;
    return PyLong_FromUnsignedLongLong(frames_counter(&self->frames, chosen));
}

static PyObject *window_newest_slot(PyObject *object, PyObject *Py_UNUSED(unused))
{
    guard_renew();
    return PyLong_FromUnsignedLong(frames_newest_slot(&((Window *)object)->frames));
}

static PyObject *window_check(PyObject *object, PyObject *Py_UNUSED(unused))
{
    Window *self = (Window *)object;
    guard_renew();
    if (frames_lost(&self->frames))
        return window_raise(self, FRAMES_LOST);
    Py_RETURN_NONE;
}

static PyObject *window_create_semaphores(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    unsigned int mode;
    if (!PyArg_ParseTuple(arguments, "I", &mode))
        return NULL;
    int error = semaphores_create(&self->semaphores, (mode_t)mode);
    if (error != 0) {
        PyErr_Format(segment_error, "%U: its semaphores /%s_sem00... cannot be made or opened: %s", self->path,
                     self->semaphores.base, strerror(error));
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Wake whoever waits on one semaphore of this segment, without a frame: another thread, of this process or not. */
static PyObject *window_kick(PyObject *object, PyObject *arguments)
{
    Window *self = (Window *)object;
    int index;
    if (!PyArg_ParseTuple(arguments, "i", &index))
        return NULL;
    return PyBool_FromLong(semaphores_kick(&self->semaphores, index));
}

static PyMethodDef window_methods[] = {
    {"snapshot", window_snapshot, METH_VARARGS, "snapshot(buffer, offset, slot, timeout_s): copy a whole frame out; slot -1 is the newest."},
    {"commit", window_commit, METH_VARARGS, "commit(buffer, offset, cnt2, atime_ns, after=-1) -> bool:\n"
     "copy a frame in and tell the readers; False, and nothing done, if the newest frame's counter is not `after`."},
    {"wait", window_wait, METH_VARARGS, "wait(last, semaphore, timeout_s, spin) -> NEW, TIMEOUT or WOKEN."},
    {"send_frames", (PyCFunction)(void (*)(void))window_send_frames, METH_VARARGS | METH_KEYWORDS,
     "send_frames(socket, header, semaphore, rest_s, read_timeout_s, until_s, begin=b'', end=b'', page=None,\n"
     "direct=None, has_zmq=True, spin_s=0.0, keywords=b'') -> NEW, TIMEOUT or WOKEN:\n"
     "send each new frame, to the readers of `direct` first; and with a `begin` pickled, too: between `begin` and `end`,\n"
     "to readers of the old protocol; while `direct` has readers, nothing goes to the socket without has_zmq;\n"
     "NEW: one is left, as a reader said something or it came after until_s (time.monotonic()); WOKEN: somebody kicked, or\n"
     "the segment's keywords are not those given. Each frame is counted in the statistics page."},
    {"note_sent", window_note_sent, METH_NOARGS, "note_sent(): the frame last read was sent, by other means."},
    {"take_frames", window_take_frames, METH_VARARGS,
     "take_frames(socket, begin, end, counter, until_s, page=None) -> (NEW or TIMEOUT, None) or (OTHER, message):\n"
     "write the frame `counter` of the stream with that begin and end, and those after it; NEW: it is past until_s."},
    {"take_direct", window_take_direct, METH_VARARGS,
     "take_direct(receiver, counter, until_s, page=None) -> (NEW, TIMEOUT, CLOSED or BAD, None, None)\n"
     "or (OTHER, header, payload):\n"
     "write the frame `counter` that comes through a DirectReceiver, and those after it; NEW: it is past until_s."},
    {"counter", window_counter, METH_VARARGS, "counter(slot=-1) -> cnt0."},
    {"newest_slot", window_newest_slot, METH_NOARGS, "newest_slot() -> index of the newest whole frame."},
    {"check", window_check, METH_NOARGS, "check(): raise SegmentLostError unless the file is still the one mapped."},
    {"create_semaphores", window_create_semaphores, METH_VARARGS, "create_semaphores(mode): open all, making those that are missing."},
    {"kick", window_kick, METH_VARARGS, "kick(semaphore) -> whether there is one to post."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef window_members[] = {
    {"cnt0", T_ULONGLONG, offsetof(Window, frames.cnt0), READONLY, "Counter of the last frame taken or written."},
    {"cnt1", T_ULONGLONG, offsetof(Window, frames.cnt1), READONLY, "cnt1 of the last frame taken."},
    {"cnt2", T_ULONGLONG, offsetof(Window, frames.cnt2), READONLY, "Frame id of the last frame taken or written."},
    {"atime_ns", T_LONGLONG, offsetof(Window, frames.atime_ns), READONLY, "Its write time, ns since 1970 UTC."},
    {"slot", T_UINT, offsetof(Window, frames.slot), READONLY, "Its FIFO slot."},
    {"retries", T_ULONGLONG, offsetof(Window, frames.retries), READONLY, "Snapshots begun again."},
    {"sequence", T_ULONGLONG, offsetof(Window, outgoing.sequence), 0, "Frames sent; may be set."},
    {"sent", T_ULONGLONG, offsetof(Window, outgoing.sent), 0, "Counter of the frame sent last; may be set."},
    {"skipped", T_ULONGLONG, offsetof(Window, outgoing.skipped), READONLY, "Frames that were never sent."},
    {"is_doubtful", T_BOOL, offsetof(Window, outgoing.is_doubtful), READONLY,
     "Whether the frame sent last may not have found room in the queue of some reader of the socket."},
    {"gaps", T_ULONGLONG, offsetof(Window, outgoing.gaps), READONLY, "How often at least one was not."},
    {"taken", T_ULONGLONG, offsetof(Window, taken), READONLY, "Frames that take_frames wrote."},
    {"passed_over", T_ULONGLONG, offsetof(Window, passed_over), READONLY,
     "Frames that take_frames did not write, for a newer one was there."},
    {"missed_wakeups", T_ULONGLONG, offsetof(Window, frames.missed_wakeups), READONLY, "Frames whose post went elsewhere."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot window_slots[] = {
    {Py_tp_doc, "A mapped segment: whole frames in and out, counters, semaphores."},
    {Py_tp_init, window_init},
    {Py_tp_dealloc, window_dealloc},
    {Py_tp_methods, window_methods},
    {Py_tp_members, window_members},
    {0, NULL},
};

static PyType_Spec window_spec = {
    .name = "daosup.shm._native.Window",
    .basicsize = sizeof(Window),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = window_slots,
};

PyObject *window_type(void)
{
    PyObject *errors = PyImport_ImportModule("daosup.errors");
    if (errors == NULL)
        return NULL;
    lost_error = PyObject_GetAttrString(errors, "SegmentLostError");
    busy_error = PyObject_GetAttrString(errors, "SegmentBusyError");
    segment_error = PyObject_GetAttrString(errors, "SegmentError");
    Py_DECREF(errors);
    return lost_error && busy_error && segment_error ? PyType_FromSpec(&window_spec) : NULL;
}
