/* The Python class Window: a mapped segment.
 *
 * Invariant: no length is believed. Every buffer that comes in is measured before a byte is copied, and the
 * interpreter lock is given up around every copy and every wait.
 */
#ifndef DAOSUP_WINDOW_H
#define DAOSUP_WINDOW_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "frames.h"
#include "pump.h"
#include "semaphores.h"

/* In the stable ABI of every Python 3, though headers deprecate or leave them out: the buffer protocol proper
 * is in the limited API from 3.11 only. What they point to lives as long as the object does. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
extern int PyObject_AsReadBuffer(PyObject *object, const void **buffer, Py_ssize_t *length);
extern int PyObject_AsWriteBuffer(PyObject *object, void **buffer, Py_ssize_t *length);

typedef struct {
    PyObject_HEAD
    PyObject *memory; /* the mmap object; keeps the mapping alive */
    PyObject *path;
    bool is_writable;
    struct frames frames;
    struct semaphores semaphores;
    struct outgoing outgoing; /* where its publisher is */
    struct frame_pool pool;   /* frames that it sends */
    unsigned long long taken; /* frames that take_frames wrote */
    unsigned long long passed_over; /* frames that it did not, for a newer one was there */
} Window;

/* The class, or NULL with an exception set. */
PyObject *window_type(void);
/* Raise SegmentLostError, or SegmentBusyError for anything but FRAMES_LOST; returns NULL. */
PyObject *window_raise(Window *self, enum frames_result result);
int64_t deadline_of(double timeout_s);
int64_t monotonic_of(double time_s);
/* A worker's statistics page, NULL or None: there is none; false with an exception set. */
bool page_in(PyObject *buffer, struct statistics **page);

/* Its methods for streams, and what belongs to them, in streams.c. */
PyObject *window_send_frames(PyObject *window, PyObject *arguments, PyObject *keywords);
PyObject *window_note_sent(PyObject *window, PyObject *unused);
PyObject *window_take_frames(PyObject *window, PyObject *arguments);
PyObject *note_latency(PyObject *module, PyObject *arguments);
PyObject *latencies_since(PyObject *module, PyObject *arguments);

#endif
