"""Where log entries go: to the journal by its own protocol, or to stderr."""

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
from collections.abc import Callable, Iterable
from functools import partial

from daosup.core.notices import running
from daosup.core.repeats import Repeated, Repeats
from daosup.log.entries import Entry, escaped, notice_of, record_of, subject_of, text

JOURNAL_SOCKET = "/run/systemd/journal/socket"

_IDENTIFIER = "daosup"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
# Fields the journal itself, or we, give a meaning; a field of the same name gets a prefix.
_TAKEN = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "MESSAGE_ID", ""}
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Handler(logging.Handler):
    """Counts what is not written, and tells it: the part that both destinations share."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry, or count it."""
        now = time.monotonic()
        self._tell(self._repeats.due(now))
        try:
            subject = subject_of(record)
            is_written = subject is None or self._repeats.is_written(subject, now)
        except Exception:  # what is logged has an odd field or text: it is not limited
            is_written = True
        if is_written:
            self._try_to_write(record)

    def tell_repeated(self) -> None:
        """Tell of entries that were counted as long ago as it takes."""
        self.acquire()
        try:
            self._tell(self._repeats.due(time.monotonic()))
        finally:
            self.release()

    def close(self) -> None:
        """Tell what was counted."""
        self._tell(self._repeats.rest())
        super().close()

    def _tell(self, counts: Iterable[Repeated]) -> None:
        for each in counts:
            fields = {"notice": each.subject.kind, "repeated": each.count, **dict(each.subject.identity or ())}
            self._try_to_write(record_of(running.LOG_REPEATED, fields), each.count)

    def _try_to_write(self, record: logging.LogRecord, worth: int = 1) -> None:
        """``worth``: how many entries it stands for."""
        try:
            if self.dropped:
                self._write(record_of(running.LOG_DROPPED, {"count": self.dropped}))
                self.dropped = 0
            self._write(record)
        except Exception:  # nothing that logging meets may reach the program that logs
            self.dropped += worth

    def _write(self, record: logging.LogRecord) -> None:
        """Write one entry whole, or raise."""
        raise NotImplementedError

    def _line_and_body(self, record: logging.LogRecord) -> tuple[str, str]:
        try:
            line = str(record.msg) if isinstance(record.msg, Entry) else escaped(record.getMessage())
        except Exception:  # a library whose arguments do not fit its message
            line = escaped(text(record.msg))
        if record.exc_info and record.exc_info[0]:
            return line, logging.Formatter().formatException(record.exc_info)
        return line, record.msg.body if isinstance(record.msg, Entry) else ""


class StderrHandler(Handler):
    """Writes lines to stderr; further lines of an entry are indented, so that none looks like an entry."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._rest = b""
        self._send, self._release = _opened(fd)

    def close(self) -> None:
        """Close what was opened; stderr itself stays, and what is logged from now on is dropped."""
        super().close()
        self._release()
        self._send, self._release = _NOWHERE

    def _write(self, record: logging.LogRecord) -> None:
        line, body = self._line_and_body(record)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        lines = [f"{stamp}.{int(record.created * 1000) % 1000:03d}Z {record.levelname} {line}"]
        lines += [f"    {escaped(each)}" for each in body.splitlines()]
        content = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        # A pipe may take a part of a line; its rest goes first, or the next line would be glued to the part.
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
            if self._rest:
                raise BlockingIOError(errno.EAGAIN, "stderr is full")
        self._rest = content[self._send(content) :]


class JournalHandler(Handler):
    """Writes entries by the journal's own protocol, one datagram each, or one sealed memory file if it is large."""

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def close(self) -> None:
        """Close the socket; what is logged from now on is dropped."""
        super().close()
        self._socket.close()

    def _write(self, record: logging.LogRecord) -> None:
        line, body = self._line_and_body(record)
        pairs: list[tuple[str, object]] = [
            ("MESSAGE", f"{line}\n{escaped(body, keep=chr(10))}" if body else line),
            ("PRIORITY", next((priority for least, priority in _PRIORITIES if record.levelno >= least), 7)),
            ("SYSLOG_IDENTIFIER", _IDENTIFIER),
            ("LOGGER", record.name),
        ]
        notice = notice_of(record)
        if notice is not None:
            pairs += [("MESSAGE_ID", notice.message_id)]
        if notice is not None and notice is not running.LOG_REPEATED:
            pairs += [("NOTICE", notice.name)]
        if notice is None or notice is running.LIBRARY_MESSAGE:  # where a notice is logged tells nobody anything
            pairs += [("CODE_FILE", record.pathname), ("CODE_LINE", record.lineno), ("CODE_FUNC", record.funcName)]
        if isinstance(record.msg, Entry):
            pairs += [(_journal_name(name), value) for name, value in record.msg.fields.items()]
        content = b"".join(journal_field(name, text(value)) for name, value in pairs)
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
