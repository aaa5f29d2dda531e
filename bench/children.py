"""Processes the bench starts: each is stopped by whoever started it, whatever happens in between.

They get a process group each, so Ctrl-C at the terminal reaches the bench alone, which then stops them in order;
not a session: kernels that share the processor out by sessions (autogroup) would give one bare program as much of it
as a daemon with all its workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Optional, TypeVar

from bench import bare_pubsub, interrupts

_Found = TypeVar("_Found")
_STOP_TIMEOUT_S = 10.0


class BenchError(Exception):
    """A measurement could not be made; says what did not happen and where to look."""


def wait_until(condition: Callable[[], Optional[_Found]], timeout_s: float, what: str) -> _Found:
    """Poll ``condition`` until it is true and return what it gave.

    Raises:
        BenchError: If that took longer than ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise BenchError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.01)


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:]) if log.exists() else ""


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: asked first, killed if it does not listen."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def running(
    arguments: Sequence[str], log: Path, *, is_talking: bool, program: str = sys.executable
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts; what it says goes to ``log``, stdout to us if ``is_talking``."""
    with ExitStack() as stack:
        with log.open("ab") as stderr, interrupts.held():
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_talking else stderr,
                stderr=stderr,
                preexec_fn=os.setpgrp,  # noqa: PLW1509 # no thread runs yet, and process_group= is Python 3.11's
            )
            stack.callback(stop, process)
        yield process


def first_line(process: subprocess.Popen[bytes], log: Path, what: str) -> str:
    """What a process says when it is ready.

    Raises:
        BenchError: If it ended without a word.
    """
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    if not line:
        raise BenchError(f"{what} ended before it was ready:\n{last_lines(log)}")
    return line


@contextmanager
def camera(
    file: Path, *, rate_hz: float, depth: int = 1, side: int = 240, dtype: str = "uint16", layout: str = "fifo"
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes the segment ``file`` (0 Hz: flat out); the block begins once a frame is there."""
    log = file.with_suffix(".log")
    arguments = ["-m", "bench.camera", str(file), "--rate", str(rate_hz), "--depth", str(depth), "--side", str(side)]
    arguments += ["--dtype", dtype, "--layout", layout]
    with running(arguments, log, is_talking=True) as process:
        first_line(process, log, f"the camera of {file.name}")
        yield process


@contextmanager
def bare_pair(source: Path, target: Path, offset: int, nbytes: int) -> Iterator[tuple[int, int]]:
    """The bare PUB/SUB program between two segments of one layout; gives the process ids of sender and receiver."""
    log = target.with_suffix(".log")
    program = os.fspath(Path(bare_pubsub.__file__))

    def arguments(verb: str, file: Path) -> list[str]:
        return [program, verb, str(file), str(offset), str(nbytes), semaphore_name(file)]

    with running(arguments("send", source), log, is_talking=True) as sender:
        port = first_line(sender, log, "the bare sender")
        with running([*arguments("receive", target), port], log, is_talking=True) as receiver:
            first_line(receiver, log, "the bare receiver")
            yield sender.pid, receiver.pid


def semaphore_name(file: Path) -> str:
    """The semaphore of a segment that the bare program uses."""
    return f"/{file.name.split('.', 1)[0]}_sem{bare_pubsub.SEMAPHORE:02d}"
