/* The module daosup.shm._native: class Window, and what belongs to no window. */
#include "direct_sending.h"
#include "window.h"

#include <stdlib.h>
#include <string.h>

#include "copying.h"
#include "direct_receiver.h"
#include "direct_receiving.h"
#include "guard.h"
#include "huge_pages.h"
#include "packing.h"

static PyObject *guard_memory(PyObject *Py_UNUSED(module), PyObject *memory)
{
    const void *address;
    Py_ssize_t length;
    if (PyObject_AsReadBuffer(memory, &address, &length) != 0)
        return NULL;
    int slot = guard_acquire((void *)(uintptr_t)address, (size_t)length);
    if (slot < 0) {
        PyErr_SetString(PyExc_OSError, "too many segments are open in this process at once; close some");
        return NULL;
    }
    return PyLong_FromLong(slot);
}

static PyObject *unguard_memory(PyObject *Py_UNUSED(module), PyObject *slot)
{
    long number = PyLong_AsLong(slot);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    guard_release((int)number);
    Py_RETURN_NONE;
}

static PyObject *renew_guards(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    guard_renew();
    Py_RETURN_NONE;
}

static PyObject *unlink_semaphores(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *base;
    int count;
    if (!PyArg_ParseTuple(arguments, "si", &base, &count))
        return NULL;
    if (strlen(base) < SEMAPHORE_NAME_MAX && count >= 0 && count <= SEMAPHORES_MAX)
        semaphores_unlink(base, count);
    Py_RETURN_NONE;
}

static PyObject *load_libzmq(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *path;
    if (!PyArg_ParseTuple(arguments, "s", &path))
        return NULL;
    const char *wrong = libzmq_load(path);
    if (wrong != NULL) {
        PyErr_Format(PyExc_ImportError, "%s %s", path, wrong);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *load_liblz4(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(packing_load());
}

/* As direct connections do it, for who wants to know what it gives. */
static PyObject *pack_frame(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *frame;
    Py_ssize_t bytes, element_bytes;
    if (!PyArg_ParseTuple(arguments, "y#n", &frame, &bytes, &element_bytes))
        return NULL;
    if (bytes < 1 || element_bytes < 1 || element_bytes > PACKING_ELEMENT_MOST || !packing_load()) {
        PyErr_SetString(PyExc_ValueError, "a frame of at least one byte, elements of 1 to 16 bytes, and liblz4 are needed");
        return NULL;
    }
    unsigned char *packed = malloc((size_t)bytes), *scratch = malloc((size_t)bytes);
    size_t length = 0;
    if (packed != NULL && scratch != NULL)
        length = pack((const unsigned char *)frame, packed, (size_t)bytes, (size_t)element_bytes, scratch);
    PyObject *result = packed == NULL || scratch == NULL ? PyErr_NoMemory()
                                                         : PyBytes_FromStringAndSize((char *)packed, (Py_ssize_t)length);
    free(packed);
    free(scratch);
    return result;
}

static PyObject *unpack_frame(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *packed;
    Py_ssize_t length, bytes, element_bytes;
    if (!PyArg_ParseTuple(arguments, "y#nn", &packed, &length, &bytes, &element_bytes))
        return NULL;
    unsigned char *frame = bytes > 0 ? malloc((size_t)bytes) : NULL, *scratch = bytes > 0 ? malloc((size_t)bytes) : NULL;
    bool is_frame = frame != NULL && scratch != NULL && element_bytes > 0 && packing_load() &&
                    unpack((const unsigned char *)packed, (size_t)length, frame, (size_t)bytes, (size_t)element_bytes, scratch);
    PyObject *result = is_frame ? PyBytes_FromStringAndSize((char *)frame, bytes) : NULL;
    if (!is_frame)
        PyErr_SetString(PyExc_ValueError, "no packed frame of that size");
    free(frame);
    free(scratch);
    return result;
}

static PyObject *share_copies(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    int least_cpus;
    if (!PyArg_ParseTuple(arguments, "i", &least_cpus))
        return NULL;
    copying_share(least_cpus);
    Py_RETURN_NONE;
}

static PyObject *take_huge_pages(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_ssize_t page_bytes;
    if (!PyArg_ParseTuple(arguments, "n", &page_bytes))
        return NULL;
    if (page_bytes < 0 || (page_bytes & (page_bytes - 1)) != 0) {
        PyErr_SetString(PyExc_ValueError, "no page has that size");
        return NULL;
    }
    huge_pages_take((size_t)page_bytes);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"guard", guard_memory, METH_O, "guard(memory) -> slot: from now on a missing page of it is no fault."},
    {"unguard", unguard_memory, METH_O, "unguard(slot)"},
    {"renew_guards", renew_guards, METH_NOARGS, "renew_guards(): take SIGBUS again if somebody else took it since."},
    {"load_libzmq", load_libzmq, METH_VARARGS, "load_libzmq(path): send and take frames by the libzmq of this module, pyzmq's."},
    {"load_liblz4", load_liblz4, METH_NOARGS, "load_liblz4() -> whether it is there: frames can be packed and unpacked."},
    {"pack_frame", pack_frame, METH_VARARGS,
     "pack_frame(frame, element_bytes) -> bytes: packed as for a direct connection; empty: it does not get smaller."},
    {"unpack_frame", unpack_frame, METH_VARARGS, "unpack_frame(packed, frame_bytes, element_bytes) -> the frame; ValueError: it is none."},
    {"note_latency", note_latency, METH_VARARGS,
     "note_latency(latency, written_ns, now_ns): count a frame that was written then and is there now, ns since 1970 UTC."},
    {"latencies_since", latencies_since, METH_VARARGS,
     "latencies_since(before, now, shares) -> (frames, ahead, [seconds of each share]): what was counted between."},
    {"share_copies", share_copies, METH_VARARGS,
     "share_copies(least_cpus): two threads copy large frames where this process may run on so many CPUs; 0: nowhere."},
    {"take_huge_pages", take_huge_pages, METH_VARARGS,
     "take_huge_pages(page_bytes): wish for memory of large frames in pages of that size; 0: not at all."},
    {"unlink_semaphores", unlink_semaphores, METH_VARARGS, "unlink_semaphores(base, count)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "daosup.shm._native",
    .m_doc = "What Python cannot do right with shared memory: ordered access, whole frames, waiting without the lock.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&module_definition);
    PyObject *window = window_type(), *direct_sender = direct_sender_type(), *direct_receiver = direct_receiver_type();
    if (!module || !window || !direct_sender || !direct_receiver || PyModule_AddObject(module, "Window", window) != 0 ||
        PyModule_AddObject(module, "DirectSender", direct_sender) != 0 ||
        PyModule_AddObject(module, "DirectReceiver", direct_receiver) != 0 ||
        PyModule_AddIntConstant(module, "NEW", FRAMES_OK) != 0 ||
        PyModule_AddIntConstant(module, "TIMEOUT", FRAMES_TIMEOUT) != 0 ||
        PyModule_AddIntConstant(module, "WOKEN", FRAMES_WOKEN) != 0 ||
        PyModule_AddIntConstant(module, "OTHER", PUMP_OTHER) != 0 ||
        PyModule_AddIntConstant(module, "CLOSED", DIRECT_CLOSED) != 0 ||
        PyModule_AddIntConstant(module, "BAD", DIRECT_BAD) != 0 ||
        PyModule_AddIntConstant(module, "MOST_FORMS", DIRECT_FORMS_MAX) != 0 ||
        PyModule_AddIntConstant(module, "LATENCY_BYTES", sizeof(struct latency)) != 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
