/* The Python class DirectReceiver: direct_receiver.h for Python. */
#ifndef DAOSUP_DIRECT_RECEIVING_H
#define DAOSUP_DIRECT_RECEIVING_H

#include "window.h"

/* The class, or NULL with an exception set. */
PyObject *direct_receiver_type(void);
/* Window.take_direct */
PyObject *window_take_direct(PyObject *window, PyObject *arguments);

#endif
