"""The bare program daosup is compared with: two plain processes, PUB and SUB, and nothing else.

``send`` waits on one semaphore of the source segment and sends each frame; ``receive`` copies each frame into another
segment's file, raises its counter and posts one semaphore. No header, no check for torn frames, no statistics, no
heartbeat, no restart: the least that moves the frames. It imports nothing of daosup; where a frame and the counter lie
in a file comes from the command line.

    python bare_pubsub.py send FILE OFFSET NBYTES SEMAPHORE             prints its port
    python bare_pubsub.py receive FILE OFFSET NBYTES SEMAPHORE PORT     prints "ready"
"""

from __future__ import annotations

import mmap
import struct
import sys
from _multiprocessing import SemLock  # type: ignore[import-not-found]

import zmq

COUNTER_OFFSET = 152
SEMAPHORE = 8  # one that network services leave to the users' programs
_SEMAPHORE_KIND = 1


def open_semaphore(name: str) -> SemLock:
    """An existing POSIX semaphore."""
    return SemLock._rebuild(-1, _SEMAPHORE_KIND, 1, name)


def open_file(path: str) -> mmap.mmap:
    """The whole file, mapped to read and write."""
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def send(path: str, offset: int, nbytes: int, semaphore_name: str) -> None:
    """Publish every frame of a segment, for ever."""
    semaphore = open_semaphore(semaphore_name)
    frame = memoryview(open_file(path))[offset : offset + nbytes]
    socket = zmq.Context().socket(zmq.PUB)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(port, flush=True)
    while True:
        semaphore.acquire()
        socket.send(frame)


def receive(path: str, offset: int, nbytes: int, semaphore_name: str, port: int) -> None:
    """Copy every frame that comes into a segment, for ever."""
    semaphore = open_semaphore(semaphore_name)
    target = open_file(path)
    socket = zmq.Context().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(f"tcp://127.0.0.1:{port}")
    print("ready", flush=True)
    counter = 0
    while True:
        target[offset : offset + nbytes] = socket.recv()
        counter += 1
        struct.pack_into("<Q", target, COUNTER_OFFSET, counter)
        if semaphore._is_zero():
            semaphore.release()


if __name__ == "__main__":
    _, verb, file_path, offset_text, nbytes_text, name, *rest = sys.argv
    try:
        if verb == "send":
            send(file_path, int(offset_text), int(nbytes_text), name)
        else:
            receive(file_path, int(offset_text), int(nbytes_text), name, int(rest[0]))
    except KeyboardInterrupt:
        pass
