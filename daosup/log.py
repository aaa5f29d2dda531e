"""Logging with fields: to the journal of systemd, or to stderr as ``TIME LEVEL message key=value``.

Invariant: a call that logs returns at once and raises nothing, whatever became of the journal, of stderr or of the
values; what could not be written is counted, and the count is the first thing written when writing works again.
An entry is one entry: no text from outside can end a line, begin another or move a terminal's cursor.
"""

from __future__ import annotations

import array
import errno
import fcntl
import logging
import os
import select
import socket
import stat
import time
from collections.abc import Callable, Mapping
from functools import partial

from daosup.errors import UsageError

JOURNAL_SOCKET = "/run/systemd/journal/socket"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_IDENTIFIER = "daosup"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
# Fields the journal itself, or we, give a meaning; a field of the same name gets a prefix.
_TAKEN = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "CODE_FILE", "CODE_LINE", "CODE_FUNC", ""}
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Entry:
    """A message and its fields, as one `logging` message; its text is ``message key=value ...`` on one line."""

    __slots__ = ("fields", "message")

    def __init__(self, message: str, fields: Mapping[str, object]) -> None:
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        pairs = (f" {_escaped(name)}={_quoted(_text(v))}" for name, v in self.fields.items() if name != "message_id")
        return _escaped(_text(self.message)) + "".join(pairs)


class Logger:
    """Logs messages with fields. Field names are lower case; ``message_id`` goes to the journal alone."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, name: str, fields: Mapping[str, object]) -> None:
        self._logger = logging.getLogger(name)
        self._fields = fields

    def debug(self, message: str, /, **fields: object) -> None:
        """What helps to find a fault."""
        self._logger.debug(Entry(message, {**self._fields, **fields}), stacklevel=2)

    def info(self, message: str, /, **fields: object) -> None:
        """Something happened as it should."""
        self._logger.info(Entry(message, {**self._fields, **fields}), stacklevel=2)

    def warning(self, message: str, /, **fields: object) -> None:
        """Something is not right, and is being dealt with."""
        self._logger.warning(Entry(message, {**self._fields, **fields}), stacklevel=2)

    def error(self, message: str, /, **fields: object) -> None:
        """Something is broken and needs somebody."""
        self._logger.error(Entry(message, {**self._fields, **fields}), stacklevel=2)

    def exception(self, message: str, /, **fields: object) -> None:
        """As `error`, with the traceback of the exception being handled, in the same entry."""
        entry = Entry(message, {**self._fields, **fields})
        # Not logging's exception(): before Python 3.11 that counts as a frame of its caller.
        self._logger.error(entry, exc_info=True, stacklevel=2)  # noqa: LOG014


def get(name: str, **fields: object) -> Logger:
    """The logger of a module (``log.get(__name__)``); ``fields`` go with each of its messages."""
    is_ours = name == "daosup" or name.startswith("daosup.")
    return Logger(name if is_ours else f"daosup.{name}", fields)


def setup(level: str, *, to_journal: bool | None = None, journal_path: str = JOURNAL_SOCKET) -> None:
    """Send what this process logs to one place; may be called again.

    Args:
        level: The least level of our own messages: debug, info, warning or error. Libraries log from warning on.
        to_journal: Whether to log to the journal, else to stderr; None: to the journal if stderr goes there.
        journal_path: The journal's datagram socket.

    Raises:
        UsageError: If there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(f"log level {level!r} is not one of {', '.join(LEVELS)}")
    if to_journal is None:
        to_journal = is_stderr_the_journal()
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(JournalHandler(journal_path) if to_journal else StderrHandler())
    root.setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """From now on, log from ``level`` on: debug, info, warning or error."""
    logging.getLogger("daosup").setLevel(LEVELS[level])


def is_stderr_the_journal() -> bool:
    """Whether systemd connected our stderr to the journal (and nobody redirected it since)."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Handler(logging.Handler):
    """Counts what could not be written and tells it when it can: the part that both destinations share."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.dropped:
                told = Entry("log entries were dropped: their destination was full or away", {"count": self.dropped})
                self._write(logging.LogRecord(__name__, logging.WARNING, __file__, 0, told, (), None, "emit"))
                self.dropped = 0
            self._write(record)
        except Exception:  # nothing that logging meets may reach the program that logs
            self.dropped += 1

    def _write(self, record: logging.LogRecord) -> None:
        """Write one entry whole, or raise."""
        raise NotImplementedError

    def _line_and_traceback(self, record: logging.LogRecord) -> tuple[str, str]:
        try:
            line = str(record.msg) if isinstance(record.msg, Entry) else _escaped(record.getMessage())
        except Exception:  # a library whose arguments do not fit its message
            line = _escaped(_text(record.msg))
        failure = record.exc_info
        return line, logging.Formatter().formatException(failure) if failure and failure[0] else ""


class StderrHandler(_Handler):
    """Writes lines to stderr; the lines of a traceback are indented, so that none looks like an entry."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._rest = b""
        self._send, self._release = _opened(fd)

    def close(self) -> None:
        """Close what was opened; stderr itself stays, and what is logged from now on is dropped."""
        self._release()
        self._send, self._release = _NOWHERE
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        line, traceback = self._line_and_traceback(record)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        lines = [f"{stamp}.{int(record.created * 1000) % 1000:03d}Z {record.levelname} {line}"]
        lines += [f"    {_escaped(each)}" for each in traceback.splitlines()]
        content = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        # A pipe may take a part of a line; its rest goes first, or the next line would be glued to the part.
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
            if self._rest:
                raise BlockingIOError(errno.EAGAIN, "stderr is full")
        self._rest = content[self._send(content) :]


class JournalHandler(_Handler):
    """Writes entries by the journal's own protocol, one datagram each, or one sealed memory file if it is large."""

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def close(self) -> None:
        """Close the socket; what is logged from now on is dropped."""
        self._socket.close()
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        line, traceback = self._line_and_traceback(record)
        pairs: list[tuple[str, object]] = [
            ("MESSAGE", f"{line}\n{_escaped(traceback, keep=chr(10))}" if traceback else line),
            ("PRIORITY", next((priority for least, priority in _PRIORITIES if record.levelno >= least), 7)),
            ("SYSLOG_IDENTIFIER", _IDENTIFIER),
            ("LOGGER", record.name),
            ("CODE_FILE", record.pathname),
            ("CODE_LINE", record.lineno),
            ("CODE_FUNC", record.funcName),
        ]
        if isinstance(record.msg, Entry):
            pairs += [(_journal_name(name), value) for name, value in record.msg.fields.items()]
        content = b"".join(journal_field(name, _text(value)) for name, value in pairs)
        try:
            # By path each time: the journal may have been started anew since.
            self._socket.sendto(content, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_large(content)

    def _send_large(self, content: bytes) -> None:
        memory = os.memfd_create("daosup-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(memory, view) :]
            # The journal reads it only if nobody can change it any more.
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _ALL_SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))
            self._socket.sendmsg([], [rights], 0, self._path)
        finally:
            os.close(memory)


def journal_field(name: str, text: str) -> bytes:
    """One field in the journal's encoding: ``NAME=text`` or, with line ends in the text, with its length before it."""
    content = text.encode("utf-8", "backslashreplace")
    if b"\n" not in content:
        return b"%s=%s\n" % (name.encode(), content)
    return b"%s\n%s%s\n" % (name.encode(), len(content).to_bytes(8, "little"), content)


def _journal_name(name: str) -> str:
    """A field's name as the journal takes it: A-Z, 0-9 and ``_``, a letter first, at most 64."""
    valid = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name.upper()).lstrip("_0123456789")
    return f"DAOSUP_{valid}"[:64] if valid in _TAKEN else valid[:64]


def _text(value: object) -> str:
    try:
        return value if isinstance(value, str) else str(value)
    except Exception:  # an object from outside that cannot even be shown
        return f"<{type(value).__name__} without text>"


def _escaped(text: str, keep: str = "") -> str:
    """``text`` without anything that is not printed: control characters, line ends, changes of direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _quoted(text: str) -> str:
    """A value: as it is if it is one plain word, else in quotes."""
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    return '"' + _escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _opened(fd: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """How to write to where ``fd`` leads without waiting, and how to give that up.

    The flags of ``fd`` are shared with other processes and stay as they are.
    """
    try:
        mode = os.fstat(fd).st_mode
        own = os.dup(fd)
    except OSError:
        # The number may soon be that of another file, so it is never written to.
        return _NOWHERE
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=own)
        return lambda content: connection.send(content, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL), connection.close
    if stat.S_ISREG(mode):
        return partial(os.write, own), partial(os.close, own)
    try:
        reopened = os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # somebody else's terminal or pipe
        return partial(_write_if_ready, own), partial(os.close, own)
    os.close(own)
    return partial(os.write, reopened), partial(os.close, reopened)


def _write_if_ready(fd: int, content: bytes) -> int:
    """Write to a descriptor that may block, at most what a pipe that has room takes at once."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not any(events & select.POLLOUT for _, events in poll.poll(0)):
        raise BlockingIOError(errno.EAGAIN, "stderr is full")
    return os.write(fd, content[: select.PIPE_BUF])


def _refuse(_content: bytes) -> int:
    raise OSError(errno.EBADF, "closed")


def _nothing() -> None:
    """Nothing was opened, so there is nothing to give up."""


_NOWHERE = (_refuse, _nothing)
