/* The module daosup.shm._native: class Window, and what belongs to no window. */
#include "window.h"

#include <string.h>

#include "guard.h"

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

static PyMethodDef module_methods[] = {
    {"guard", guard_memory, METH_O, "guard(memory) -> slot: from now on a missing page of it is no fault."},
    {"unguard", unguard_memory, METH_O, "unguard(slot)"},
    {"renew_guards", renew_guards, METH_NOARGS, "renew_guards(): take SIGBUS again if somebody else took it since."},
    {"load_libzmq", load_libzmq, METH_VARARGS, "load_libzmq(path): send and take frames by the libzmq of this module, pyzmq's."},
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
    PyObject *window = window_type();
    if (!module || !window || PyModule_AddObject(module, "Window", window) != 0 ||
        PyModule_AddIntConstant(module, "NEW", FRAMES_OK) != 0 ||
        PyModule_AddIntConstant(module, "TIMEOUT", FRAMES_TIMEOUT) != 0 ||
        PyModule_AddIntConstant(module, "WOKEN", FRAMES_WOKEN) != 0 ||
        PyModule_AddIntConstant(module, "OTHER", PUMP_OTHER) != 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
