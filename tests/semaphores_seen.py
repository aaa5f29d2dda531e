"""What a segment's semaphores are at, seen without our own code: glibc's functions, and who sleeps on one."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sem_open.restype = ctypes.c_void_p
_libc.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int]
for _function in (_libc.sem_close, _libc.sem_post, _libc.sem_trywait):
    _function.argtypes = [ctypes.c_void_p]
_libc.sem_getvalue.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]

NAMES = [*(f"sem{number:02d}" for number in range(10)), "semlog"]


def value(name: str) -> int:
    """The value of an existing semaphore."""
    handle = _libc.sem_open(f"/{name}".encode(), 0)
    assert handle, f"/{name}: errno {ctypes.get_errno()}"
    found = ctypes.c_int()
    _libc.sem_getvalue(handle, ctypes.byref(found))
    _libc.sem_close(handle)
    return found.value


def values(base: str) -> list[int]:
    """The values of all eleven."""
    return [value(f"{base}_{name}") for name in NAMES]


def sleepers(name: str) -> int:
    """How many threads sleep on it: the upper half of the 64 bits in which glibc keeps it."""
    (whole,) = struct.unpack_from("<Q", Path(f"/dev/shm/sem.{name}").read_bytes())
    return int(whole >> 32)


#: A program that takes every post of the semaphore that is its argument.
THIEF = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.sem_open.restype = ctypes.c_void_p
semaphore = ctypes.c_void_p(libc.sem_open(sys.argv[1].encode(), 0))
while True:
    libc.sem_wait(semaphore)
"""
