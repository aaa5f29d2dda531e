/* DirectSender's methods for forms, and what is about readers in whatever form: direct_form.h for Python. */
#ifndef DAOSUP_DIRECT_SENDING_FORMS_H
#define DAOSUP_DIRECT_SENDING_FORMS_H

#include "direct_sending.h" /* first: Python.h is before the system's */

#include "direct_form.h"

PyObject *direct_sender_form(PyObject *sender, PyObject *arguments);
PyObject *direct_sender_describe_form(PyObject *sender, PyObject *arguments);
PyObject *direct_sender_forms(PyObject *sender, void *unused);
PyObject *direct_sender_readers(PyObject *sender, PyObject *unused);
PyObject *direct_sender_count(PyObject *sender, void *unused);

#endif
