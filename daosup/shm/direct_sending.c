/* The class DirectSender: direct_sender.h for Python.
 *
 * Invariants: a sender is used by one thread at a time, and by no other process than the one it was made in; a call that
 * would break that is refused. No message of a reader is longer than the sender was told at its making.
 */
#include "direct_sending.h"

#include <errno.h>
#include <unistd.h>

#include "direct_sending_forms.h"
#include "dnet.h"

bool direct_sender_is_usable(DirectSender *self)
{
    if (!self->is_open)
        PyErr_SetString(PyExc_ValueError, "the sender is closed");
    else if (self->is_sending)
        PyErr_SetString(PyExc_RuntimeError, "the sender is sending frames in another thread");
    else if (self->sender.owner != getpid())
        PyErr_SetString(PyExc_RuntimeError, "the sender belongs to the process that made it");
    else
        return true;
    return false;
}

DirectSender *direct_sender_of(PyObject *object)
{
    if (Py_TYPE(object) != direct_sender_class) {
        PyErr_SetString(PyExc_TypeError, "direct is a DirectSender or None");
        return NULL;
    }
    DirectSender *self = (DirectSender *)object;
    return direct_sender_is_usable(self) ? self : NULL;
}

PyTypeObject *direct_sender_class;

static int sender_init(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"most_payload_bytes", NULL};
    DirectSender *self = (DirectSender *)object;
    Py_ssize_t most_bytes = 0;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|n", names, &most_bytes))
        return -1;
    if (self->is_open || most_bytes < 0) {
        PyErr_SetString(PyExc_ValueError, "a DirectSender is made once, and lengths are not negative");
        return -1;
    }
    int error = direct_sender_init(&self->sender, (size_t)most_bytes);
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->is_open = true;
    return 0;
}

static void close_sender(DirectSender *self)
{
    if (!self->is_open)
        return;
    self->is_open = false;
    Py_BEGIN_ALLOW_THREADS
    direct_sender_close(&self->sender);
    Py_END_ALLOW_THREADS
}

static void sender_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    close_sender((DirectSender *)object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyObject *sender_close(PyObject *object, PyObject *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    if (self->is_open && self->is_sending) {
        direct_sender_is_usable(self);
        return NULL;
    }
    close_sender(self);
    Py_RETURN_NONE;
}

bool direct_sender_is_message(Py_ssize_t length, const char *what)
{
    if (length >= DNET_HEADER_BYTES)
        return true;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, a message has at least %d", what, length, DNET_HEADER_BYTES);
    return false;
}

static PyObject *describe(DirectSender *self, Py_ssize_t frame_bytes, const char *meta, Py_ssize_t meta_length,
                          const char *description, Py_ssize_t description_length)
{
    if (!direct_sender_is_usable(self) || !direct_sender_is_message(meta_length, "meta") || !direct_sender_is_message(description_length, "description"))
        return NULL;
    int error = direct_sender_describe(&self->sender, (size_t)frame_bytes, meta, (size_t)meta_length, description,
                                       (size_t)description_length);
    if (error != 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *sender_begin(PyObject *object, PyObject *arguments)
{
    const char *meta, *description;
    Py_ssize_t frame_bytes, meta_length, description_length;

    if (!PyArg_ParseTuple(arguments, "ny#y#", &frame_bytes, &meta, &meta_length, &description, &description_length))
        return NULL;
    if (frame_bytes < 1) {
        PyErr_SetString(PyExc_ValueError, "a frame has at least one byte");
        return NULL;
    }
    return describe((DirectSender *)object, frame_bytes, meta, meta_length, description, description_length);
}

static PyObject *sender_describe(PyObject *object, PyObject *arguments)
{
    DirectSender *self = (DirectSender *)object;
    const char *meta, *description;
    Py_ssize_t meta_length, description_length;

    if (!PyArg_ParseTuple(arguments, "y#y#", &meta, &meta_length, &description, &description_length))
        return NULL;
    if (self->is_open && self->sender.opening == 0) {
        PyErr_SetString(PyExc_ValueError, "begin comes first");
        return NULL;
    }
    return describe(self, 0, meta, meta_length, description, description_length);
}

static PyObject *sender_add(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", "is_ours", "min_period_ns", "ring_frames", "form", "may_write", NULL};
    DirectSender *self = (DirectSender *)object;
    int fd, is_ours, may_write = 0;
    long long period_ns = 0;
    Py_ssize_t ring_frames = 0;
    unsigned form_id = 0;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "ip|LnIp", names, &fd, &is_ours, &period_ns, &ring_frames,
                                     &form_id, &may_write) ||
        !direct_sender_is_usable(self))
        return NULL;
    struct direct_form *form = direct_form_find(&self->sender, form_id);
    if (form_id != 0 && (form == NULL || !is_ours || may_write)) {
        PyErr_SetString(PyExc_ValueError, "there is no such form, or none for readers of others or such that may write");
        return NULL;
    }
    if (period_ns < 0 || period_ns > 1000 * DIRECT_SECOND_NS || ring_frames < 0 || ring_frames > DIRECT_RING_MAX ||
        (period_ns > 0 && ring_frames > 0)) {
        PyErr_SetString(PyExc_ValueError, "a period of at most 1000 s or a ring of at most 65536 frames, not both");
        return NULL;
    }
    uint64_t id = form != NULL ? direct_form_add(form, fd, period_ns, (unsigned)ring_frames)
                               : direct_sender_add(&self->sender, fd, is_ours != 0, may_write != 0, period_ns,
                                                   (unsigned)ring_frames);
    return id != 0 ? PyLong_FromUnsignedLongLong(id) : PyErr_SetFromErrno(PyExc_OSError);
}

/* What tend has heard so far; NULL once there was an error. */
static void keep_heard(void *context, const struct direct_reader *reader)
{
    PyObject **list = context;
    if (*list == NULL)
        return;
    PyObject *heard = Py_BuildValue("KIy#", (unsigned long long)reader->id, (unsigned)reader->input.header.kind,
                                    reader->input.payload, (Py_ssize_t)reader->input.header.payload_bytes);
    if (heard == NULL || PyList_Append(*list, heard) != 0)
        Py_CLEAR(*list);
    Py_XDECREF(heard);
}

static void tend(struct direct_sender *sender, PyObject **list)
{
    uint64_t id;
    char reason[sizeof ((struct direct_reader *)0)->reason];

    direct_sender_hear(sender, keep_heard, list);
    direct_sender_say(sender);
    while (*list != NULL && direct_sender_reap(sender, &id, reason, sizeof reason)) {
        PyObject *gone = Py_BuildValue("Kiy", (unsigned long long)id, 0, reason);
        if (gone == NULL || PyList_Append(*list, gone) != 0)
            Py_CLEAR(*list);
        Py_XDECREF(gone);
    }
}

static PyObject *sender_tend(PyObject *object, PyObject *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    if (!direct_sender_is_usable(self))
        return NULL;
    PyObject *list = PyList_New(0);
    if (list == NULL)
        return NULL;
    tend(&self->sender, &list);
    for (unsigned i = 0; list != NULL && i < self->sender.form_count; i++) {
        tend(direct_form_enter(self->sender.forms[i]), &list);
        direct_form_leave(self->sender.forms[i]);
    }
    direct_forms_sweep(&self->sender);
    return list;
}

static PyObject *sender_answer(PyObject *object, PyObject *arguments)
{
    DirectSender *self = (DirectSender *)object;
    unsigned long long id;
    const char *message;
    Py_ssize_t length;

    if (!PyArg_ParseTuple(arguments, "Ky#", &id, &message, &length) || !direct_sender_is_usable(self) || !direct_sender_is_message(length, "an answer"))
        return NULL;
    struct direct_form *form = direct_form_find(&self->sender, (uint32_t)(id >> 32));
    struct direct_sender *sender = form != NULL ? direct_form_enter(form) : &self->sender;
    bool is_there = direct_sender_answer(sender, id, message, (size_t)length);
    if (form != NULL)
        direct_form_leave(form);
    return PyBool_FromLong(is_there);
}

static PyObject *sender_echo(PyObject *object, PyObject *arguments)
{
    DirectSender *self = (DirectSender *)object;
    unsigned long long id, counter;

    if (!PyArg_ParseTuple(arguments, "KK", &id, &counter) || !direct_sender_is_usable(self))
        return NULL;
    direct_sender_echo(&self->sender, id, counter);
    Py_RETURN_NONE;
}

static PyObject *sender_fd(PyObject *object, void *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    return PyLong_FromLong(self->is_open ? self->sender.writing : -1);
}

static PyMethodDef sender_methods[] = {
    {"begin", sender_begin, METH_VARARGS,
     "begin(frame_bytes, meta, description): a segment was opened: what foreign readers and ours are told before its frames."},
    {"describe", sender_describe, METH_VARARGS, "describe(meta, description): its keywords changed."},
    {"add", (PyCFunction)(void (*)(void))sender_add, METH_VARARGS | METH_KEYWORDS,
     "add(fd, is_ours, min_period_ns=0, ring_frames=0, form=0, may_write=False) -> id:\n"
     "send to this connection, which is the sender's from now on. The upper half of the id is the form. With ring_frames it\n"
     "gets every frame: at most so many wait for it, and 64 MB, but four in any case. With may_write, which readers of a form\n"
     "may not, WRITE and ASK are heard from it."},
    {"form", (PyCFunction)direct_sender_form, METH_VARARGS,
     "form(id, element_bytes, axes, description, is_packed=False) -> id: how frames of this opening are cut for readers of a form, and what\n"
     "they are told of it; id 0: a new form, which ends with its last reader. axes: up to 3 of (length, first, count, step)."},
    {"describe_form", direct_sender_describe_form, METH_VARARGS, "describe_form(id, description): its keywords changed."},
    {"tend", sender_tend, METH_NOARGS,
     "tend() -> [(id, type, payload)]: hear readers, send what is due; type 0: that one is gone, and why. Never waits."},
    {"answer", sender_answer, METH_VARARGS,
     "answer(id, message) -> bool: tell one reader something; False: it is gone, or is being told too much already."},
    {"echo", sender_echo, METH_VARARGS, "echo(id, counter): the frame of that counter is that reader's own."},
    {"readers", direct_sender_readers, METH_NOARGS, "readers() -> [(id, frames, dropped, payload_bytes, is_behind)]."},
    {"close", sender_close, METH_NOARGS, "close(): say goodbye, and close all connections."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef sender_properties[] = {
    {"count", direct_sender_count, NULL, "How many readers there are.", NULL},
    {"forms", direct_sender_forms, NULL, "The ids of all forms that readers can be added to.", NULL},
    {"fd", sender_fd, NULL, "Readable when a reader that may write has said something; -1 once closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, "Sends the frames of a segment, one TCP connection for each reader; frames go through Window.send_frames."},
    {Py_tp_init, sender_init},
    {Py_tp_dealloc, sender_dealloc},
    {Py_tp_methods, sender_methods},
    {Py_tp_getset, sender_properties},
    {0, NULL},
};

static PyType_Spec sender_spec = {
    .name = "daosup.shm._native.DirectSender",
    .basicsize = sizeof(DirectSender),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sender_slots,
};

PyObject *direct_sender_type(void)
{
    direct_sender_class = (PyTypeObject *)PyType_FromSpec(&sender_spec);
    return (PyObject *)direct_sender_class;
}
