"""Which processes of this machine have a segment open, which of its semaphores they wait on, and who keeps up.

Invariant: nothing is touched: all is read from /proc and from the memory of the semaphores. What we may not see is
told as not seen. Which semaphore a thread sleeps on takes the rights of a debugger; without them it is concluded where
a process has opened one only, and marked as such (``is_exact``).

A semaphore holds a post for a frame that nobody has taken yet. So a reader that keeps up is seen asleep, with its
semaphore at zero; one that is too slow hardly sleeps, and there is a post most of the time.
"""

from __future__ import annotations

import os
import pwd
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Optional

from daosup.adapters.process_facts import (
    command_of,
    futex_addresses,
    is_kernel_thread,
    pids,
    state_of,
    uid_of,
    waits_for_futex,
)
from daosup.adapters.semaphore_look import FOLDER
from daosup.core.layout import SEMAPHORE_COUNT
from daosup.core.mirror_names import semaphore_base_of

_LOOKS = 40
_PAUSE_S = 0.01
_DELETED = " (deleted)"


@dataclass(frozen=True)
class Wait:
    """A process was asleep on a semaphore in this share of the looks."""

    semaphore: int
    asleep: float


@dataclass(frozen=True)
class SegmentUser:
    """A process that has a segment open.

    Attributes:
        pid: Its number, on its machine.
        command: What it is called.
        user: Whose it is.
        access: ``read`` or ``write``: what it opened the segment for, whatever it does with it.
        is_mapped: Whether it has it in its memory, rather than as an open file only.
        is_replaced: It has one that was removed or made anew since, and sees nothing of the present one.
        is_stopped: It stands still, by a signal or in a debugger.
        semaphores: Those of the segment that it has opened.
        waits: Those it was seen to sleep on.
        is_exact: Whether it could be seen on which.
        late: In which share of the looks a frame waited for it; None if that is not known.
    """

    pid: int
    command: str
    user: str
    access: str
    is_mapped: bool
    is_replaced: bool
    is_stopped: bool
    semaphores: tuple[int, ...] = ()
    waits: tuple[Wait, ...] = ()
    is_exact: bool = True
    late: Optional[float] = None


@dataclass(frozen=True)
class SemaphoreUse:
    """A semaphore: ``value`` posts are not taken; ``sleepers`` threads sleep on it, as it counts them itself.

    ``late`` is in which share of the looks there was a post.
    """

    number: int
    value: int
    sleepers: int
    late: float


@dataclass(frozen=True)
class Unseen:
    """A process that we may not look into."""

    pid: int
    command: str
    user: str


@dataclass(frozen=True)
class SegmentUse:
    """Who has a segment open.

    ``is_hidden``: the processes of other users are not even shown to us. ``seen_as``: the user that looked.
    """

    processes: tuple[SegmentUser, ...]
    semaphores: tuple[SemaphoreUse, ...]
    unseen: tuple[Unseen, ...]
    is_hidden: bool
    seen_as: str

    def as_json(self) -> dict[str, Any]:
        """The same for a reply."""
        return asdict(self)


def look_at_users(path: str, without: Collection[int] = ()) -> SegmentUse:
    """Look for half a second who has the segment at ``path`` open; there need not be one any more.

    To look into a process takes about a millisecond: those ``without`` it, by pid, are known not to have it.
    """
    real = os.path.realpath(path)
    name = os.path.basename(real)
    semaphores = _Semaphores(semaphore_base_of(name))
    with ExitStack() as stack:
        semaphores.open(stack)
        holders, unseen = _holders(_Wanted.of(real, semaphores), {os.getpid(), *without})
        for turn in range(_LOOKS):
            time.sleep(_PAUSE_S if turn else 0.0)
            semaphores.look()
            for holder in holders:
                holder.look()
    uses = semaphores.uses()
    return SegmentUse(
        tuple(holder.told({use.number: use for use in uses}) for holder in holders),
        uses,
        tuple(unseen),
        not os.path.exists("/proc/1"),
        user_called(os.geteuid()),
    )


@lru_cache(maxsize=256)
def user_called(uid: Optional[int]) -> str:
    """The user's name, or number if it has none here."""
    if uid is None:
        return "?"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


_File = tuple[int, int]


class _Semaphores:
    """Those of one segment."""

    def __init__(self, base: str) -> None:
        self.prefix = os.path.join(FOLDER, f"sem.{base}_sem")
        self.numbers: dict[_File, int] = {}
        self._fds: dict[int, int] = {}
        self._seen: dict[int, list[tuple[int, int]]] = {}

    def open(self, stack: ExitStack) -> None:
        for number in range(SEMAPHORE_COUNT):
            with suppress(OSError):
                facts = os.stat(f"{self.prefix}{number:02d}")
                self.numbers[(facts.st_dev, facts.st_ino)] = number
                fd = os.open(f"{self.prefix}{number:02d}", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                self._fds[number] = fd

    def look(self) -> None:
        """How glibc keeps one: its value in the lower half of 64 bits, how many sleep on it in the upper."""
        for number, fd in self._fds.items():
            raw = os.pread(fd, 8, 0)
            if len(raw) == 8:
                self._seen.setdefault(number, []).append(struct.unpack("<II", raw))

    def uses(self) -> tuple[SemaphoreUse, ...]:
        return tuple(
            SemaphoreUse(
                number,
                value=seen[-1][0],
                sleepers=max(sleepers for _, sleepers in seen),
                late=_share(sum(value > 0 for value, _ in seen)),
            )
            for number, seen in sorted(self._seen.items())
        )


@dataclass(frozen=True)
class _Wanted:
    """What to look for in the memory and among the open files of a process."""

    path: str
    file: Optional[_File]
    semaphores: _Semaphores
    #: Without any of these in its map, a process does not have the segment.
    signs: tuple[bytes, ...]

    @classmethod
    def of(cls, path: str, semaphores: _Semaphores) -> _Wanted:
        file = None
        with suppress(OSError):
            facts = os.stat(path)
            file = facts.st_dev, facts.st_ino
        name = os.fsencode(os.path.basename(path))
        signs = [name, os.fsencode(os.path.basename(semaphores.prefix))]
        if file is not None:
            signs.append(b" %d " % file[1])
        return cls(path, file, semaphores, tuple(signs))

    def is_it(self, file: _File, path: str) -> bool:
        # The device in a map is not always the one that stat tells (btrfs, overlayfs).
        return self.file is not None and file[1] == self.file[1] and (file[0] == self.file[0] or path == self.path)

    def was_it(self, path: str) -> bool:
        return path == self.path + _DELETED


@dataclass
class _Holder:
    """A process, while it is looked at."""

    pid: int
    is_mapped: bool = False
    is_writable: bool = False
    is_current: bool = False
    has_old: bool = False
    #: Where its memory has which semaphore; -1: one that was removed.
    places: list[tuple[int, int, int]] = field(default_factory=list)
    is_exact: bool = True
    asleep: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        """See on what it sleeps now."""
        if not self.places:
            return
        addresses = futex_addresses(self.pid)
        if addresses is None:
            self.is_exact = False
            opened = {number for _, _, number in self.places}
            found = opened if len(opened) == 1 and waits_for_futex(self.pid) else set()
        else:
            found = {n for first, end, n in self.places for address in addresses if first <= address < end}
        for number in found:
            self.asleep[number] = self.asleep.get(number, 0) + 1

    def told(self, uses: dict[int, SemaphoreUse]) -> SegmentUser:
        opened = tuple(sorted({number for _, _, number in self.places if number >= 0}))
        waits = tuple(Wait(number, _share(looks)) for number, looks in sorted(self.asleep.items()) if number >= 0)
        awaited = [wait.semaphore for wait in waits] or (opened if len(opened) == 1 else [])
        late = max((uses[number].late for number in awaited if number in uses), default=None)
        return SegmentUser(
            self.pid,
            command_of(self.pid),
            user_called(uid_of(self.pid)),
            "write" if self.is_writable else "read",
            self.is_mapped,
            # Also who sleeps on a semaphore that was removed is woken by nobody any more.
            (self.has_old and not self.is_current) or -1 in self.asleep,
            state_of(self.pid) in ("T", "t"),
            opened,
            waits,
            self.is_exact,
            late,
        )


def _holders(wanted: _Wanted, without: set[int]) -> tuple[list[_Holder], list[Unseen]]:
    holders, unseen = [], []
    for pid in pids():
        if pid in without:
            continue
        try:
            holder = _looked_into(pid, wanted)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended
        except OSError:
            if not is_kernel_thread(pid):
                unseen.append(Unseen(pid, command_of(pid), user_called(uid_of(pid))))
            continue
        if holder.is_current or holder.has_old:
            holders.append(holder)
    return holders, unseen


def _looked_into(pid: int, wanted: _Wanted) -> _Holder:
    """What a process has of it.

    Raises:
        OSError: If we may not look, or it is gone.
    """
    holder = _Holder(pid)
    with open(f"/proc/{pid}/maps", "rb") as file:
        memory = file.read()
    if any(sign in memory for sign in wanted.signs):
        for line in memory.decode("utf-8", "surrogateescape").splitlines():
            _note_mapping(holder, line, wanted)
    for access, is_old in _opened(pid, wanted):
        holder.is_writable |= access != os.O_RDONLY
        holder.has_old |= is_old
        holder.is_current |= not is_old
    return holder


def _note_mapping(holder: _Holder, line: str, wanted: _Wanted) -> None:
    words = line.split(None, 5)
    if len(words) < 6:
        return
    span, rights, _, device, inode, path = words
    major, _, minor = device.partition(":")
    file = os.makedev(int(major, 16), int(minor, 16)), int(inode)
    is_current, is_old = wanted.is_it(file, path), wanted.was_it(path)
    if is_current or is_old:
        holder.is_mapped = True
        holder.is_writable |= "w" in rights
        holder.is_current |= is_current
        holder.has_old |= is_old
        return
    number = wanted.semaphores.numbers.get(file)
    if number is None and path.startswith(wanted.semaphores.prefix) and path.endswith(_DELETED):
        number = -1
    if number is not None:
        first, _, end = span.partition("-")
        holder.places.append((int(first, 16), int(end, 16), number))


def _opened(pid: int, wanted: _Wanted) -> Iterator[tuple[int, bool]]:
    """How a process opened it, and whether it is one that was removed; once for each time that it did."""
    name = os.path.basename(wanted.path)
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError, ValueError):
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            if not path.endswith((name, name + _DELETED)):
                continue
            facts = os.stat(f"/proc/{pid}/fd/{fd}")
            is_current = (facts.st_dev, facts.st_ino) == wanted.file
            if is_current or wanted.was_it(path):
                with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                    flags = next(line for line in file if line.startswith("flags:"))
                yield int(flags.split()[1], 8) & os.O_ACCMODE, not is_current


def _share(looks: int) -> float:
    return round(looks / _LOOKS, 3)
