"""Segments by their layout: enough of it to write and read frames of depth 1 and of FIFOs."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import threading
import time
from typing import Any, Callable, Optional

import numpy as np

SUFFIX = ".im.shm"
SEMAPHORES = 10
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "complex64",
          "complex128")  # fmt: skip
METADATA_BYTES = {"v0": 4296, "fifo": 4304}
KEYWORD_BYTES = 120

Array = np.ndarray[Any, Any]

#: Two threads of one daemon may write one segment.
_writing = threading.Lock()

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sem_open.restype = ctypes.c_void_p
_libc.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
_libc.sem_post.argtypes = [ctypes.c_void_p]
_libc.sem_close.argtypes = [ctypes.c_void_p]
_libc.sem_getvalue.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]


def _semaphore_names(path: str) -> list[bytes]:
    base = os.path.basename(path).split(".", 1)[0]
    return [f"/{base}_sem{number:02d}".encode() for number in range(SEMAPHORES)] + [f"/{base}_semlog".encode()]


def create(
    path: str, shape: tuple[int, ...], dtype: str, *, layout: str = "fifo", depth: int = 1, keywords: bytes = b""
) -> None:
    """Make a segment in the place of whatever is there.

    In a file of its own, unlike the library: a thread of the stand-in still looks at the memory of the one before, and
    its process would die of it (SIGBUS) if that were cut short.
    """
    metadata = bytearray(METADATA_BYTES[layout])
    frame_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    struct.pack_into("<80sB3x3I", metadata, 0, os.fsencode(path)[:79], len(shape), *(*shape, 0, 0)[:3])
    struct.pack_into("<QB", metadata, 96, int(np.prod(shape)), DTYPES.index(dtype) + 1)
    struct.pack_into("<dd", metadata, 112, time.time(), time.time())
    struct.pack_into("<BxxxH", metadata, 144, 1, SEMAPHORES)
    struct.pack_into("<H", metadata, 178, len(keywords) // KEYWORD_BYTES)
    if layout == "fifo":
        struct.pack_into("<II", metadata, 4296, depth, depth - 1)
    made = f"{path}.made"
    with open(made, "wb") as file:
        file.write(bytes(metadata) * depth + bytes(depth * frame_bytes) + keywords)
    os.replace(made, path)
    for name in _semaphore_names(path):
        _libc.sem_close(_libc.sem_open(name, os.O_CREAT, 0o644, 0))


def remove(path: str) -> None:
    """Remove a segment and its semaphores."""
    for name in _semaphore_names(path):
        _libc.sem_unlink(name)
    os.unlink(path)


def identity(path: str) -> tuple[int, ...]:
    """What changes when a segment is made anew."""
    facts = os.stat(path)
    with open(path, "rb") as file:
        head = file.read(120)
    return (facts.st_ino, facts.st_size, hash(head[80:]))


class Segment:
    """An open segment.

    Raises:
        ValueError: If it is none.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.identity = identity(path)
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        axes = self._memory[80]
        sizes = struct.unpack_from("<3I", self._memory, 84)
        if not 1 <= axes <= 3 or not 1 <= self._memory[104] <= len(DTYPES):
            raise ValueError(f"{path} is no segment")
        self.shape = sizes[:axes]
        self.dtype = DTYPES[self._memory[104] - 1]
        self.frame_bytes = int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize
        self._semaphores = [_libc.sem_open(name, os.O_CREAT, 0o644, 0) for name in _semaphore_names(path)]
        self.layout, self.depth = self._recognise()
        self._metadata_bytes = METADATA_BYTES[self.layout]

    def _recognise(self) -> tuple[str, int]:
        (keywords,) = struct.unpack_from("<H", self._memory, 178)
        if len(self._memory) < min(METADATA_BYTES.values()):
            raise ValueError(f"{self.path} is no segment")  # it is just being made
        (depth,) = struct.unpack_from("<I", self._memory, 4296)
        for layout, slots in (("v0", 1), ("fifo", depth)):
            length = slots * (METADATA_BYTES[layout] + self.frame_bytes) + keywords * KEYWORD_BYTES
            if len(self._memory) == length:
                return layout, slots
        raise ValueError(f"{self.path} is no segment")

    def _slot(self) -> int:
        return struct.unpack_from("<I", self._memory, 4300)[0] if self.layout == "fifo" else 0

    @property
    def counter(self) -> int:
        found: int = struct.unpack_from("<Q", self._memory, self._slot() * self._metadata_bytes + 152)[0]
        return found

    def read(self) -> Array:
        """The newest frame, copied without looking whether somebody writes."""
        begin = self.depth * self._metadata_bytes + self._slot() * self.frame_bytes
        frame = np.frombuffer(self._memory[begin : begin + self.frame_bytes], self.dtype)
        return frame.reshape(self.shape)

    def write(self, frame: Array, note: Optional[Callable[[int], None]] = None) -> int:
        """Write a frame, in the library's order; ``note`` hears its counter before anybody else, and it is returned."""
        with _writing:
            return self._write(frame, note)

    def _write(self, frame: Array, note: Optional[Callable[[int], None]]) -> int:
        before = self._slot()
        counter = self.counter + 1
        if note is not None:
            note(counter)
        slot = (before + 1) % self.depth
        block = slot * self._metadata_bytes
        begin = self.depth * self._metadata_bytes + slot * self.frame_bytes
        self._memory[block + 176] = 1
        self._memory[begin : begin + self.frame_bytes] = np.ascontiguousarray(frame, self.dtype).tobytes()
        self._memory[block + 176] = 0
        if self.layout == "fifo":
            struct.pack_into("<I", self._memory, 4300, slot)
        struct.pack_into("<q", self._memory, block + 136, time.time_ns())
        struct.pack_into("<Q", self._memory, block + 152, counter)
        self.post()
        return counter

    def post(self) -> None:
        """Wake whoever waits."""
        for semaphore in self._semaphores:
            value = ctypes.c_int()
            _libc.sem_getvalue(semaphore, ctypes.byref(value))
            if value.value < 1:
                _libc.sem_post(semaphore)

    def close(self) -> None:
        self._memory.close()
        for semaphore in self._semaphores:
            _libc.sem_close(semaphore)
