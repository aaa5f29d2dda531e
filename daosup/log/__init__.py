"""Logging with fields: to the journal of systemd, or to stderr as ``TIME LEVEL message key=value``.

What an operator is told is one of a fixed list of notices (core/notices); free text is for debugging alone.

Invariant: a call that logs returns at once and raises nothing, whatever became of the journal, of stderr or of the
values; what could not be written is counted, and the count is the first thing written when writing works again.
An entry is one entry: no text from outside can end a line, begin another or move a terminal's cursor. One that says the
same again and again is counted instead of written (core/repeats.py), and the count is told.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from daosup.core.notices.notice import Notice
from daosup.errors import UsageError
from daosup.log.entries import LEVELS, Entry
from daosup.log.handlers import JOURNAL_SOCKET, Handler, JournalHandler, StderrHandler


class Logger:
    """Logs messages with fields, whose names are lower case."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, name: str, fields: Mapping[str, object]) -> None:
        self._logger = logging.getLogger(name)
        self._fields = fields

    def debug(self, message: str, /, **fields: object) -> None:
        """What helps to find a fault."""
        self._logger.debug(Entry(message, {**self._fields, **fields}), stacklevel=2)

    def notice(self, notice: Notice, body: str = "", /, **fields: object) -> None:
        """What an operator is told. ``body``: lines that belong to it."""
        self._logger.log(LEVELS[notice.level], Entry(notice.text, {**self._fields, **fields}, notice, body))

    def failure(self, notice: Notice, /, **fields: object) -> None:
        """As `notice`, with the traceback of the exception being handled."""
        entry = Entry(notice.text, {**self._fields, **fields}, notice)
        self._logger.log(LEVELS[notice.level], entry, exc_info=True)


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
    close()
    root = logging.getLogger()
    root.addHandler(JournalHandler(journal_path) if to_journal else StderrHandler())
    root.setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """From now on, log from ``level`` on: debug, info, warning or error."""
    logging.getLogger("daosup").setLevel(LEVELS[level])


def tick() -> None:
    """Tell what is due of entries that were counted; to be called now and then."""
    for handler in _handlers():
        handler.tell_repeated()


def close() -> None:
    """Tell what is left to tell; what is logged from now on goes nowhere."""
    for handler in _handlers():
        logging.getLogger().removeHandler(handler)
        handler.close()


def _handlers() -> list[Handler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Handler)]


def is_stderr_the_journal() -> bool:
    """Whether systemd connected our stderr to the journal (and nobody redirected it since)."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
