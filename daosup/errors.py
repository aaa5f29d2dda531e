"""Every error daosup raises on purpose, in one tree.

Each carries the exit code a command ends with (sysexits.h numbers), and its message says what was found,
where, what is allowed and what to do. Anything outside this tree is a bug and keeps its traceback.
"""

from __future__ import annotations


class DaosupError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class UsageError(DaosupError):
    """A command line or an argument that cannot be understood."""

    exit_code = 64


class ConfigError(DaosupError):
    """The configuration is wrong; starting again does not help, so systemd must not (RestartPreventExitStatus)."""

    exit_code = 78

    def __init__(self, mistakes: list[str] | str) -> None:
        self.mistakes = [mistakes] if isinstance(mistakes, str) else list(mistakes)
        super().__init__("\n".join(self.mistakes))


class UnavailableError(DaosupError):
    """Something we need is away for now (Redis, a host, a supervisor); trying again later may help."""

    exit_code = 69


class NotFoundError(UnavailableError):
    """A host or segment that the registry does not know."""


class NoAnswerError(UnavailableError):
    """Known, but it did not answer in the time allowed."""


class UnsupportedError(DaosupError):
    """Asked for something this version, or the other side, cannot do."""

    exit_code = 76


class DeniedError(DaosupError):
    """The caller may not do this."""

    exit_code = 77


class ProtocolError(DaosupError):
    """Bytes from outside that do not decode: dropped and counted, never fatal to the daemon."""

    exit_code = 76


class SegmentError(DaosupError):
    """Base of what can go wrong with a shared-memory segment."""

    exit_code = 65


class SegmentNotFoundError(SegmentError):
    """There is no file where the segment should be."""

    exit_code = 66


class NotASegmentError(SegmentError):
    """The file exists but is not a DAO segment in any known layout."""


class SegmentLostError(SegmentError):
    """The segment was truncated, replaced, re-created or removed while it was open; open it again."""


class SegmentBusyError(SegmentError):
    """No whole frame could be read: the writer never stopped writing, or died in the middle of a write."""
