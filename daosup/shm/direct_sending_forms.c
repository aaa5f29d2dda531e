#include "direct_sending_forms.h"

#include <errno.h>

#include "packing.h"

/* The axes of a cut, the leading ones of which may be left out; false with an exception set. */
static bool cut_in(PyObject *axes, struct cut *cut)
{
    Py_ssize_t count = PySequence_Size(axes);
    if (count < 1 || count > CUT_AXES) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "a frame has 1 to %d axes", CUT_AXES);
        return false;
    }
    for (int i = 0; i < CUT_AXES; i++) {
        unsigned long long length = 1, first = 0, parts = 1, step = 1;
        Py_ssize_t given = i - (CUT_AXES - count);
        PyObject *axis = given >= 0 ? PySequence_GetItem(axes, given) : NULL;
        bool is_read = given < 0 || (axis != NULL && PyTuple_Check(axis) &&
                                     PyArg_ParseTuple(axis, "KKKK", &length, &first, &parts, &step));
        Py_XDECREF(axis);
        if (!is_read) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "an axis is a tuple of length, first, count and step");
            return false;
        }
        cut->length[i] = (size_t)length;
        cut->first[i] = (size_t)first;
        cut->count[i] = (size_t)parts;
        cut->step[i] = (size_t)step;
    }
    return true;
}

static struct direct_form *form_of(DirectSender *self, unsigned id, bool is_packed)
{
    struct direct_form *form =
        id != 0 ? direct_form_find(&self->sender, id) : direct_form_make(&self->sender, is_packed);
    if (form != NULL && form->is_packed == is_packed)
        return form;
    if (id != 0)
        PyErr_SetString(PyExc_ValueError, "there is no such form");
    else
        PyErr_SetFromErrno(PyExc_OSError);
    return NULL;
}

PyObject *direct_sender_form(PyObject *object, PyObject *arguments)
{
    DirectSender *self = (DirectSender *)object;
    unsigned id;
    Py_ssize_t element_bytes, length;
    PyObject *axes;
    const char *description;
    int is_packed = 0;
    struct cut cut;

    if (!PyArg_ParseTuple(arguments, "InOy#|p", &id, &element_bytes, &axes, &description, &length, &is_packed) ||
        !direct_sender_is_usable(self) || !direct_sender_is_message(length, "description") || !cut_in(axes, &cut))
        return NULL;
    cut.element_bytes = (size_t)element_bytes;
    if (!cut_is_possible(&cut, self->sender.pool.frame_bytes)) {
        PyErr_Format(PyExc_ValueError, "that is no part of a frame of %zu bytes", self->sender.pool.frame_bytes);
        return NULL;
    }
    if (is_packed && !packing_load()) {
        PyErr_SetString(PyExc_ValueError, "there is no liblz4 to pack frames with");
        return NULL;
    }
    struct direct_form *form = form_of(self, id, is_packed != 0);
    if (form == NULL)
        return NULL;
    if (direct_form_begin(form, &cut, description, (size_t)length) != 0)
        return PyErr_NoMemory();
    return PyLong_FromUnsignedLong(form->id);
}

PyObject *direct_sender_describe_form(PyObject *object, PyObject *arguments)
{
    DirectSender *self = (DirectSender *)object;
    unsigned id;
    const char *description;
    Py_ssize_t length;

    if (!PyArg_ParseTuple(arguments, "Iy#", &id, &description, &length) || !direct_sender_is_usable(self) ||
        !direct_sender_is_message(length, "description"))
        return NULL;
    struct direct_form *form = direct_form_find(&self->sender, id);
    if (form == NULL) {
        PyErr_SetString(PyExc_ValueError, "there is no such form");
        return NULL;
    }
    struct direct_sender *sender = direct_form_enter(form);
    int error = direct_sender_describe(sender, 0, description, (size_t)length, description, (size_t)length);
    direct_form_leave(form);
    if (error != 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyObject *direct_sender_forms(PyObject *object, void *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    PyObject *list = PyList_New(0);
    for (unsigned i = 0; list != NULL && self->is_open && i < self->sender.form_count; i++) {
        unsigned id = self->sender.forms[i]->id;
        PyObject *number = direct_form_find(&self->sender, id) != NULL ? PyLong_FromUnsignedLong(id) : NULL;
        if (number != NULL && PyList_Append(list, number) != 0)
            Py_CLEAR(list);
        Py_XDECREF(number);
    }
    return list;
}

/* -- the readers of all forms, and of none */

static void list_readers(struct direct_sender *sender, PyObject **list)
{
    for (unsigned i = 0; *list != NULL && i < sender->count; i++) {
        struct direct_figures figures = direct_sender_figures(sender, i);
        PyObject *facts = Py_BuildValue("KKKKO", figures.id, figures.frames, figures.dropped, figures.payload_bytes,
                                        figures.is_behind ? Py_True : Py_False);
        if (facts == NULL || PyList_Append(*list, facts) != 0)
            Py_CLEAR(*list);
        Py_XDECREF(facts);
    }
}

PyObject *direct_sender_readers(PyObject *object, PyObject *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    if (!direct_sender_is_usable(self))
        return NULL;
    PyObject *list = PyList_New(0);
    list_readers(&self->sender, &list);
    for (unsigned i = 0; i < self->sender.form_count; i++) {
        list_readers(direct_form_enter(self->sender.forms[i]), &list);
        direct_form_leave(self->sender.forms[i]);
    }
    return list;
}

PyObject *direct_sender_count(PyObject *object, void *Py_UNUSED(unused))
{
    DirectSender *self = (DirectSender *)object;
    unsigned long count = self->is_open ? self->sender.count : 0;
    for (unsigned i = 0; self->is_open && i < self->sender.form_count; i++)
        count += self->sender.forms[i]->sender.count;
    return PyLong_FromUnsignedLong(count);
}
