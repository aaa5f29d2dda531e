/* The Python class Window: a mapped segment.
 *
 * Invariant: no length is believed. Every buffer that comes in is measured before a byte is copied, and the
 * interpreter lock is given up around every copy and every wait.
 */
#ifndef DAOSUP_WINDOW_H
#define DAOSUP_WINDOW_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* In the stable ABI of every Python 3, though headers deprecate or leave them out: the buffer protocol proper
 * is in the limited API from 3.11 only. What they point to lives as long as the object does. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
extern int PyObject_AsReadBuffer(PyObject *object, const void **buffer, Py_ssize_t *length);
extern int PyObject_AsWriteBuffer(PyObject *object, void **buffer, Py_ssize_t *length);

/* The class, or NULL with an exception set. */
PyObject *window_type(void);

#endif
