/* The Python class DirectSender. */
#ifndef DAOSUP_DIRECT_SENDING_H
#define DAOSUP_DIRECT_SENDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "direct_sender.h"

typedef struct {
    PyObject_HEAD
    struct direct_sender sender;
    bool is_open;
    bool is_sending; /* a thread without the interpreter lock does */
} DirectSender;

extern PyTypeObject *direct_sender_class;
/* The class, or NULL with an exception set. */
PyObject *direct_sender_type(void);
/* Whether it may be used now, and a message is one; else false with an exception set. */
bool direct_sender_is_usable(DirectSender *self);
bool direct_sender_is_message(Py_ssize_t length, const char *what);
/* One that may be used now, or NULL with an exception set. */
DirectSender *direct_sender_of(PyObject *object);

#endif
