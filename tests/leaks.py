"""A pytest plugin: no test leaves a process, a thread, an open file or a semaphore behind.

Invariant: what exists after a test and its function-scoped fixtures existed before them. The check is an autouse
fixture of function scope, which pytest sets up after all fixtures of wider scope that the test names and takes down
before them: a session's Redis server is nobody's leak, and needs no permission. (Do not ask for a wider fixture with
``request.getfixturevalue`` inside a test: it would be made within the check.)

Things may need a moment to vanish, so a test with something left is looked at again until ``GRACE_S`` is over. Then
it fails with the list; processes are killed and semaphores removed, so that the next test starts clean. Threads cannot
be ended from outside; files stay open, as their numbers would be closed a second time when their objects go. Neither is
held against the next test. What fixtures of wider scope leave is looked for once, at the end of the run.

Processes are found as descendants, and, when their parents died first, by an environment variable that pytest's
children inherit. ``/dev/shm`` is a private one for the run where the kernel lets us (root): a semaphore is named after
its segment only, so tests could otherwise meet, or remove, those of a program that runs on this machine. Where it is
shared, what no other program has open is reported but not removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Optional

import pytest

from tests.mounts import make_shm_private

GRACE_S = 2.0

_SHM = Path("/dev/shm")
_MARK = f"DAOSUP_TESTS_{os.getpid()}"


@dataclasses.dataclass(frozen=True)
class Belongings:
    """What this process and its descendants hold at one moment; each as a name that people understand."""

    processes: dict[int, str]
    threads: dict[int, str]
    files: dict[int, str]
    shm: frozenset[str]


class Watch:
    """Takes and compares belongings; remembers which processes are not ours, so that looking is quick."""

    def __init__(self, is_shm_private: bool) -> None:
        self._strangers: set[int] = set()
        self.is_shm_private = is_shm_private

    def look(self) -> Belongings:
        """Return what is held now; takes a fraction of a millisecond."""
        return Belongings(self._processes(), _threads(), _files(), frozenset(os.listdir(_SHM)))

    def since(self, before: Belongings) -> Belongings:
        """Return what is held now and was not held before."""
        now = self.look()
        return Belongings(
            {pid: name for pid, name in now.processes.items() if pid not in before.processes},
            {tid: name for tid, name in now.threads.items() if tid not in before.threads},
            {fd: name for fd, name in now.files.items() if before.files.get(fd) != name},
            frozenset(name for name in now.shm - before.shm if self.is_shm_private or self._is_own(_SHM / name)),
        )

    def since_after_grace(self, before: Belongings) -> Belongings:
        """As ``since``, but gives what is about to vanish the time to do so."""
        deadline_s = time.monotonic() + GRACE_S
        left = self.since(before)
        if _is_any(left):
            gc.collect()
        while _is_any(left) and time.monotonic() < deadline_s:
            time.sleep(0.01)
            left = self.since(before)
        return left

    def clear(self, before: Belongings) -> None:
        """Kill and remove what was left, as far as it can be told to be ours."""
        for _ in range(10):  # a supervisor may start another worker before its turn comes
            left = self.since(before)
            for pid in left.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in left.processes:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            if not left.processes:
                break
        if self.is_shm_private:
            for name in left.shm:
                with contextlib.suppress(OSError):
                    (_SHM / name).unlink()

    def _processes(self) -> dict[int, str]:
        """Ours are those below us, and those with our mark in their environment."""
        own = os.getpid()
        parents: dict[int, int] = {}
        running = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
        self._strangers &= running
        for pid in running - self._strangers - {own}:
            parent = _parent(pid)
            if parent is not None:
                parents[pid] = parent
        ours = {pid for pid in parents if _is_marked(pid)}
        below = {own} | ours
        while True:
            more = {pid for pid, parent in parents.items() if parent in below} - below
            if not more:
                break
            below |= more
        ours = below - {own} - _kept_by_python()
        self._strangers |= parents.keys() - below
        return {pid: _command(pid) for pid in sorted(ours)}

    def _is_own(self, path: Path) -> bool:
        """Whether a file of a shared ``/dev/shm`` is this user's, and no other program of this user has it open."""
        try:
            found = path.stat()
        except OSError:
            return False
        # By inode: the C library makes a semaphore under another name and links it.
        inode = f" {os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x} {found.st_ino} "
        return found.st_uid == os.getuid() and not any(inode in _mapped(pid) for pid in self._strangers)


def _is_any(left: Belongings) -> bool:
    return bool(left.processes or left.threads or left.files or left.shm)


def _parent(pid: int) -> Optional[int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # After the command's name, which may hold anything: state and parent.
    return int(stat[stat.rindex(b")") + 2 :].split()[1])


def _mapped(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def _is_marked(pid: int) -> bool:
    try:
        return f"\0{_MARK}=".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        return words or f"[{Path(f'/proc/{pid}/comm').read_text().strip()}], ended but not waited for"
    except OSError:
        return "[just ended]"


def _kept_by_python() -> set[int]:
    """Processes that multiprocessing starts when first needed and keeps until the interpreter ends."""
    tracker = getattr(getattr(resource_tracker, "_resource_tracker", None), "_pid", None)
    server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    return {pid for pid in (tracker, server) if pid is not None}


def _files_kept_by_python() -> set[int]:
    tracker = getattr(getattr(resource_tracker, "_resource_tracker", None), "_fd", None)
    server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    return {fd for fd in (tracker, server) if fd is not None}


def _threads() -> dict[int, str]:
    """Python's threads by their names, and those of libraries by the kernel's."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    tids = [int(entry) for entry in os.listdir("/proc/self/task")]
    return {tid: names.get(tid) or f"[{_thread_name(tid)}], not Python's" for tid in tids}


def _thread_name(tid: int) -> str:
    try:
        return Path(f"/proc/self/task/{tid}/comm").read_text().strip()
    except OSError:
        return "just ended"


def _files() -> dict[int, str]:
    """Open files but for 0, 1, 2 (pytest exchanges them) and what Python keeps open."""
    kept = _files_kept_by_python() | {0, 1, 2}
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        fd = int(entry)
        if fd in kept:
            continue
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:  # the descriptor of the listing itself
            continue
        if target != "/dev/urandom":
            found[fd] = target.removesuffix(" (deleted)")
    return found


def _story(left: Belongings) -> str:
    lines = [f"process {pid}: {command}" for pid, command in left.processes.items()]
    lines += [f"thread {tid}: {name}" for tid, name in left.threads.items()]
    lines += [f"file descriptor {fd}: {target}" for fd, target in left.files.items()]
    lines += [str(_SHM / name) for name in sorted(left.shm)]
    return "".join(f"\n  {line}" for line in lines)


WATCH = pytest.StashKey[Watch]()
_AT_START = pytest.StashKey[Belongings]()
_LEFT_AT_END = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Mark the processes to come as ours, and part with the machine's ``/dev/shm``."""
    os.environ[_MARK] = "1"
    watch = Watch(make_shm_private())
    config.stash[WATCH] = watch
    config.stash[_AT_START] = watch.look()


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something behind."""
    watch = request.config.stash[WATCH]
    before = watch.look()
    yield
    left = watch.since_after_grace(before)
    if _is_any(left):
        watch.clear(before)
        pytest.fail(f"this test left behind:{_story(left)}", pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose fixtures of wider scope left processes or semaphores behind."""
    watch = session.config.stash[WATCH]
    # Threads and files may also come from modules that were imported since.
    now = watch.look()
    before = dataclasses.replace(session.config.stash[_AT_START], threads=now.threads, files=now.files)
    left = watch.since_after_grace(before)
    if _is_any(left):
        watch.clear(before)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[_LEFT_AT_END] = _story(left)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what the fixtures left behind."""
    story = config.stash.get(_LEFT_AT_END, None)
    if story:
        terminalreporter.write_sep("=", "LEFT BEHIND", red=True)
        terminalreporter.write_line(f"fixtures of module or session scope left behind:{story}")
