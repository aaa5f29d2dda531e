"""Who sleeps on which semaphore of a segment.

Invariant: nothing is opened for writing and no semaphore is touched. How many sleep is read from the semaphore itself
(glibc keeps it in the upper half of its 64 bits; one that was killed in its sleep still counts), and who they are from
/proc: a thread whose system call is futex, with an address where its process maps that file. That needs the rights of a
debugger; without them the processes that map the semaphore are all that is known.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from daosup.adapters.process_facts import futex_addresses, name_of, pids

FOLDER = "/dev/shm"
_NAME = re.compile(r"sem\.(.+)_sem(\d\d)\Z")
_LOOKS = 5
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Waiter:
    """A process that waits on a semaphore, in ``threads`` of its threads; 0 if it only maps it, as far as is known."""

    pid: int
    command: str
    threads: int


@dataclass(frozen=True)
class SemaphoreLook:
    """A semaphore of the segments whose base name is ``base``.

    ``sleepers`` is what the semaphore says. ``is_exact``: all processes that map it could be looked into; then
    ``waiters`` are those that sleep there, otherwise all that map it.
    """

    base: str
    number: int
    sleepers: int
    waiters: tuple[Waiter, ...]
    is_exact: bool

    @property
    def thread_count(self) -> int:
        """How many threads were seen to wait."""
        return sum(waiter.threads for waiter in self.waiters)


def look_at_semaphores(is_of_interest: Callable[[str, int, int], bool], folder: str = FOLDER) -> list[SemaphoreLook]:
    """Look at all semaphores of segments, several times within a tenth of a second.

    Args:
        is_of_interest: Given base name, number and the most that were seen to sleep: whether to find out who they are.
        folder: Where the semaphores lie.
    """
    sleepers: dict[str, int] = {}
    for turn in range(_LOOKS):
        time.sleep(_PAUSE_S if turn else 0.0)
        for name, _, _ in _semaphores(folder):
            sleepers[name] = max(sleepers.get(name, 0), _sleepers(os.path.join(folder, name)))
    wanted = {}
    for name, base, number in _semaphores(folder):
        if is_of_interest(base, number, sleepers.get(name, 0)):
            with suppress(OSError):
                facts = os.stat(os.path.join(folder, name))
                wanted[(facts.st_dev, facts.st_ino)] = (name, base, number)
    waiters, unseen = _waiters(set(wanted)) if wanted else ({}, set())
    return [
        SemaphoreLook(base, number, sleepers.get(name, 0), tuple(waiters.get(file, ())), file not in unseen)
        for file, (name, base, number) in sorted(wanted.items(), key=lambda each: each[1])
    ]


def _semaphores(folder: str) -> Iterator[tuple[str, str, int]]:
    with suppress(OSError):
        for name in os.listdir(folder):
            match = _NAME.match(name)
            if match is not None:
                yield name, match[1], int(match[2])


def _sleepers(path: str) -> int:
    try:
        with open(path, "rb", buffering=0) as file:
            return int(struct.unpack("<Q", file.read(8))[0] >> 32)
    except (OSError, struct.error):
        return 0


_File = tuple[int, int]


def _waiters(files: set[_File]) -> tuple[dict[_File, list[Waiter]], set[_File]]:
    """Who waits on each of the files; and those of which that is not known of everybody."""
    found: dict[_File, list[Waiter]] = {}
    unseen: set[_File] = set()
    mapped = {pid: places for pid in pids() if (places := _places(pid, files))}
    for pid, places in mapped.items():
        threads: dict[_File, int] = {}
        is_seen = True
        for _ in range(_LOOKS):
            seen = _sleeping_threads(pid, places)
            is_seen = is_seen and seen is not None
            for file, count in (seen or {}).items():
                threads[file] = max(threads.get(file, 0), count)
            time.sleep(0.002)
        for file in {file for _, _, file in places}:
            if not is_seen:
                unseen.add(file)
            if threads.get(file) or not is_seen:
                found.setdefault(file, []).append(Waiter(pid, name_of(pid), threads.get(file, 0)))
    return found, unseen


def _places(pid: int, files: set[_File]) -> list[tuple[int, int, _File]]:
    """Where a process maps any of the files: first address, the one after the last, which file."""
    places = []
    with suppress(OSError), open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if "/sem." not in line:
                continue
            span, _, _, device, inode, _ = line.split(None, 5)
            major, _, minor = device.partition(":")
            key = os.makedev(int(major, 16), int(minor, 16)), int(inode)
            if key in files:
                first, _, end = span.partition("-")
                places.append((int(first, 16), int(end, 16), key))
    return places


def _sleeping_threads(pid: int, places: list[tuple[int, int, _File]]) -> dict[_File, int] | None:
    """How many threads of a process sleep on each file now; None if we may not know."""
    addresses = futex_addresses(pid)
    if addresses is None:
        return None
    sleeping: dict[_File, int] = {}
    for address in addresses:
        for first, end, key in places:
            if first <= address < end:
                sleeping[key] = sleeping.get(key, 0) + 1
    return sleeping
