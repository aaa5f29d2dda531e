"""Who moves the frames: the bare programs and daosup, each between a segment of its own and that one's mirror.

All of them are there all the time, and only the one whose source is written has work: so they take turns within
seconds, and what the machine does meanwhile meets them all alike. A program that spins is there for its turn alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from bench.bare_programs import BarePrograms, Sight, Written
from bench.children import BenchError
from bench.fleet import Fleet, segment_name
from bench.machine import cpu_time_s
from daosup.shm import Segment

BARE_TCP = "bare TCP"
BARE_SPINNING = "bare TCP, spinning"
#: As it would be if a link that dies were to leave the last frame untouched, as daosup's do.
BARE_STAGED = "bare TCP, staged"
BARE_ZMQ = "bare ZMQ"
SPINNING = "spinning"
#: Frames as large are written less often.
LARGE_BYTES = 1 << 24
LARGE = "large"
#: For the daemons of both hosts: spin for segments that are called so. Frames come a little faster than that asks for.
SPINNING_CONFIG = "".join(
    f'[[worker]]\nmatch = "*_{match}"\nspin_ms = {spin_ms}\n'
    for match, spin_ms in ((SPINNING, 10), (f"{SPINNING}_{LARGE}", 75))
)
#: Which bare program a transport is compared with.
BARE_OF = {"direct": BARE_TCP, "zmq": BARE_ZMQ}
_WORD_BYTES = 8
_ARRIVAL_S = 0.05
#: Of courses, so that no two have segments of the same names.
_numbers = count(1)


@dataclass(frozen=True)
class Contender:
    """One of them; ``at_work`` gives the process ids of its two ends for the time of a turn."""

    name: str
    source: Path
    target: Path
    at_work: Callable[[], AbstractContextManager[tuple[int, int]]]


@dataclass(frozen=True)
class Turn:
    """What one of them did while its source was written."""

    written: Written
    sight: Sight
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        """CPU time of both ends for a delivered frame, in us."""
        return self.cpu_s / max(1, self.sight.delivered) * 1e6

    @property
    def skipped_share(self) -> float:
        """How much of what was written never was in the mirror, 0 to 1."""
        return self.sight.skipped / max(1, self.sight.written)


@dataclass
class Course:
    """Where they meet: makes the segments, starts the programs."""

    hosts: Fleet
    programs: BarePrograms
    nbytes: int
    depth: int
    number: int
    _stack: ExitStack

    @property
    def _size(self) -> str:
        return f"{self.number}_{self.nbytes}x{self.depth}"

    def bare(self, name: str) -> Contender:
        """A bare program."""
        what = f"{self._size}_{name.replace(', ', '_').replace(' ', '_')}"
        source, target = (self._segment(self._beside(f"{what}_{end}")) for end in ("source", "target"))
        pair = {
            BARE_TCP: partial(self.programs.tcp_pair, source, target),
            BARE_STAGED: partial(self.programs.tcp_pair, source, target, is_staged=True),
            BARE_SPINNING: partial(self.programs.tcp_pair, source, target, is_spinning=True),
            BARE_ZMQ: partial(self.programs.zmq_pair, source, target),
        }[name]
        if name == BARE_SPINNING:
            return Contender(name, source, target, pair)
        pids = self._stack.enter_context(pair())
        return Contender(name, source, target, lambda: nullcontext(pids))

    def daosup(self, transport: str, *, is_spinning: bool = False, keeping: int = 0) -> Contender:
        """A publisher and a mirror of daosup; they spin only while frames come, so they are there all the time.

        The mirror is ``keeping`` so many frames (0: as many as its source).
        """
        what = f"{self._size}_{transport}" + (f"_keeping_{keeping}" if keeping else "")
        if is_spinning:
            what += f"_{SPINNING}_{LARGE}" if self.nbytes >= LARGE_BYTES else f"_{SPINNING}"
        source = self._segment(self.hosts.source_file(what))
        self.hosts.await_known(what)
        target = self.hosts.mirror(what, transport, keeping)
        self._stack.callback(self.hosts.release, what)
        pids = self.hosts.worker_pids(what)
        name = daosup_name(transport, is_spinning=is_spinning, keeping=keeping)
        return Contender(name, source, target, partial(self._unchanged, what, pids))

    @contextmanager
    def _unchanged(self, what: str, pids: tuple[int, int]) -> Iterator[tuple[int, int]]:
        yield pids
        if self.hosts.worker_pids(what) != pids:
            raise BenchError("a worker was restarted while it was measured")

    def _segment(self, file: Path) -> Path:
        segment = Segment.create(file, (self.nbytes // _WORD_BYTES,), "uint64", layout="fifo", depth=self.depth)
        self._stack.callback(segment.close)
        self._stack.callback(segment.unlink)
        return file

    def _beside(self, what: str) -> Path:
        # Not in a host's folder, where its daemon would take it for a segment of its own.
        return self.programs.folder / f"{segment_name(what)}.im.shm"

    def turn(self, contender: Contender, *, rate_hz: float, seconds: float, is_at_once: bool = True) -> Turn:
        """Write its source for a time and look at its mirror meanwhile.

        Raises:
            BenchError: If nothing came.
        """
        looking = self.programs.observer(contender.target, is_at_once=is_at_once)
        with contender.at_work() as pids, looking as observer:
            before_s = sum(map(cpu_time_s, pids))
            written = self.programs.write([contender.source], rate_hz=rate_hz, seconds=seconds, is_at_once=is_at_once)
            time.sleep(_ARRIVAL_S)
            cpu_s = sum(map(cpu_time_s, pids)) - before_s
            sight = observer.end()
        if not len(sight.ages_us):
            raise BenchError(f"no frame of {self.nbytes} bytes came by {contender.name}")
        return Turn(written, sight, cpu_s)


@contextmanager
def course(hosts: Fleet, programs: BarePrograms, nbytes: int, depth: int = 1) -> Iterator[Course]:
    """A course for frames of ``nbytes`` bytes in FIFOs of that depth; all that was started ends with it."""
    with ExitStack() as stack:
        yield Course(hosts, programs, nbytes, depth, next(_numbers), stack)


def daosup_name(transport: str, *, is_spinning: bool = False, keeping: int = 0) -> str:
    """What daosup is called here."""
    kept = f", keeping {keeping}" if keeping else ""
    return f"daosup {transport}{kept}" + (f", {SPINNING}" if is_spinning else "")


def size_name(nbytes: int) -> str:
    """``560 B``, ``64 kB``, ``16 MB``."""
    for unit, step in (("MB", 1 << 20), ("kB", 1 << 10)):
        if nbytes >= step:
            return f"{nbytes // step} {unit}"
    return f"{nbytes} B"
