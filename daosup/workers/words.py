"""A worker's words, in two files that are found by whichever supervisor is then.

One has its last words, why it ends; the other all that it, or a library in it, writes to its standard output and error.

Invariant: its last words are short and were written by itself, or, when it dies of a signal, by Python's fault handler;
whoever reads any of it reads a bounded amount and trusts none of it.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

MAX_WORDS_BYTES = 16384
MAX_REASON_LENGTH = 500
MAX_DETAILS_LINES = 20
_REASON = "reason: "
_FATAL = "Fatal Python error: "


class Words(NamedTuple):
    """Why a worker ended, in one line, its traceback, and the last lines of that; empty if it said nothing."""

    reason: str = ""
    traceback: str = ""

    @property
    def details(self) -> str:
        """The last lines of the traceback."""
        return "\n".join(self.traceback.splitlines()[-MAX_DETAILS_LINES:])


class LastWords:
    """The writing side: a worker's own file.

    Attributes:
        fd: Stays open as long as the worker lives.
    """

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        faulthandler.enable(self.fd)

    def say(self, reason: str, error: BaseException | None = None) -> None:
        """Write down why we end, and where it happened if ``error`` is given."""
        lines = [_REASON + " ".join(reason.split())[:MAX_REASON_LENGTH]]
        if error is not None:
            lines += traceback.format_exception(type(error), error, error.__traceback__)
        os.write(self.fd, "\n".join(line.rstrip("\n") for line in lines).encode("utf-8", "replace") + b"\n")


def read_words(path: Path) -> Words:
    """What a worker said last."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return Words()
    try:
        raw = os.pread(fd, MAX_WORDS_BYTES, max(0, os.fstat(fd).st_size - MAX_WORDS_BYTES))
        head = os.pread(fd, 2 * MAX_REASON_LENGTH, 0)
    except OSError:
        return Words()
    finally:
        os.close(fd)
    first = head.decode("utf-8", "replace").partition("\n")[0]
    reason = next((first[len(each) :] for each in (_REASON, _FATAL) if first.startswith(each)), "")
    lines = raw.decode("utf-8", "replace").splitlines()
    if lines and lines[0] == first and first.startswith(_REASON):
        del lines[0]
    return Words(reason[:MAX_REASON_LENGTH], "\n".join(line.rstrip() for line in lines))


def write_output_to(path: Path) -> None:
    """From now on, standard output and error are that file; they stay what they are if it cannot be written."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return
    for each in (sys.stdout, sys.stderr):
        each.flush()
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
