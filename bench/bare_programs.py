"""The bare C programs of bench/bare: built with ``cc`` into the place of a run, started, and what they print, read.

They know nothing of daosup; bench/bare/segment.h has the little that they know of a segment.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.children import BenchError, first_line, running

SOURCES = Path(__file__).with_name("bare")
NAMES = ("tcp_pump", "zmq_pump", "writer", "observer")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")
_STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Written:
    """What the writer did: frames of each segment in so many seconds; whether it ran before programs that compute."""

    frames: int
    seconds: float
    is_at_once: bool


@dataclass(frozen=True)
class Sight:
    """What the observer of a mirror saw; ``written`` and ``delivered`` count from the first frame seen to the last.

    Attributes:
        ages_us: Of each frame seen, from its being written to its being seen.
        torn: Frames seen with parts of another; 0 if the observer did not check.
        written: Frames of the source.
        delivered: Frames of the mirror.
    """

    ages_us: NDArray[np.float64]
    torn: int
    written: int
    delivered: int

    @property
    def skipped(self) -> int:
        """Frames of the source that never were in this mirror."""
        return self.written - self.delivered


@dataclass(frozen=True)
class BarePrograms:
    """The programs, built in ``folder``."""

    folder: Path

    @classmethod
    def build(cls, folder: Path) -> BarePrograms:
        """Compile them.

        Raises:
            BenchError: With what the compiler said.
        """
        compiler = os.environ.get("CC", "cc")
        for name in NAMES:
            sources = [str(SOURCES / f"{name}.c"), str(SOURCES / "segment.c")]
            command = [compiler, *FLAGS, "-o", str(folder / name), *sources, "-pthread", "-ldl"]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise BenchError(f"{name} does not compile:\n{made.stderr}")
        return cls(folder)

    @contextmanager
    def tcp_pair(
        self, source: Path, target: Path, *, is_spinning: bool = False, is_staged: bool = False
    ) -> Iterator[tuple[int, int]]:
        """The TCP pump between two segments; gives the process ids of its ends."""
        how = "spin" if is_spinning else "wait"
        receive = ["receive", str(target), "staged" if is_staged else how]
        with self._pair("tcp_pump", ["send", str(source), how], receive) as pids:
            yield pids

    @contextmanager
    def zmq_pair(self, source: Path, target: Path) -> Iterator[tuple[int, int]]:
        """The ZMQ pump between two segments; gives the process ids of its ends."""
        library = libzmq_file()
        with self._pair("zmq_pump", ["send", library, str(source)], ["receive", library, str(target)]) as pids:
            yield pids

    @contextmanager
    def _pair(self, name: str, send: Sequence[str], receive: Sequence[str]) -> Iterator[tuple[int, int]]:
        log, program = self.folder / f"{name}.log", str(self.folder / name)
        with ExitStack() as stack:
            sender = stack.enter_context(running(send, log, is_talking=True, program=program))
            port = first_line(sender, log, f"{name} send")
            receiver = stack.enter_context(running([*receive, port], log, is_talking=True, program=program))
            first_line(receiver, log, f"{name} receive")
            yield sender.pid, receiver.pid

    def write(self, files: Sequence[Path], *, rate_hz: float, seconds: float, is_at_once: bool = False) -> Written:
        """Write segments at a rate (0: flat out), for a time.

        Raises:
            BenchError: If the writer failed.
        """
        log = self.folder / "writer.log"
        arguments = [str(rate_hz), str(seconds), _priority(is_at_once), *map(str, files)]
        with running(arguments, log, is_talking=True, program=str(self.folder / "writer")) as writer:
            frames, took_s, was_at_once = first_line(writer, log, "the writer").split()
        return Written(int(frames), float(took_s), was_at_once == "1")

    @contextmanager
    def observer(self, mirror: Path, *, is_at_once: bool = False, is_checking: bool = False) -> Iterator[Observer]:
        """Looks at a mirror for as long as the block lasts."""
        log = self.folder / "observer.log"
        arguments = [str(mirror), _priority(is_at_once), "check" if is_checking else "glance"]
        with running(arguments, log, is_talking=True, program=str(self.folder / "observer")) as process:
            first_line(process, log, f"the observer of {mirror.name}")
            yield Observer(process)


class Observer:
    """An observer at work."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def end(self) -> Sight:
        """Have it say what it saw; it looks no more.

        Raises:
            BenchError: If it said nothing.
        """
        self._process.terminate()
        said, _ = self._process.communicate(timeout=_STOP_TIMEOUT_S)
        line, _, ages = said.partition(b"\n")
        if not line:
            raise BenchError("the observer ended without a word")
        _, torn, first, last, delivered = map(int, line.split())
        return Sight(np.frombuffer(ages, np.int64) / 1e3, torn, last - first, delivered)


def libzmq_file() -> str:
    """The library that pyzmq has loaded.

    Raises:
        BenchError: If it is not a file of its own.
    """
    import zmq

    zmq.zmq_version()
    files = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    found = sorted(file for file in files if Path(file).name.startswith("libzmq"))
    if not found:
        raise BenchError("pyzmq has no libzmq in a file of its own: there is no bare ZMQ program to compare with")
    return found[0]


def _priority(is_at_once: bool) -> str:
    return "at-once" if is_at_once else "as-usual"
