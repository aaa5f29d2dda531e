"""What one log entry is, as text and as fields.

Invariant: no text from outside can end a line, begin another entry or move a terminal's cursor.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Optional

from daosup.core.notices import running
from daosup.core.notices.notice import Notice
from daosup.core.repeats import Subject

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

#: By these fields notices of one kind are told from each other when they repeat.
_IDENTIFYING = ("segment", "source", "worker_kind", "peer", "file", "hook")
_MAX_SUBJECT_LENGTH = 200


class Entry:
    """A message and its fields, as one `logging` message; its text is ``message key=value ...`` on one line.

    ``body``: lines that follow it within the entry. ``notice``: which notice it is, unless it is for debugging.
    """

    __slots__ = ("body", "fields", "message", "notice")

    def __init__(
        self, message: str, fields: Mapping[str, object], notice: Optional[Notice] = None, body: str = ""
    ) -> None:
        self.message = message
        self.fields = fields
        self.notice = notice
        self.body = body

    def __str__(self) -> str:
        pairs = (f" {escaped(name)}={quoted(text(v))}" for name, v in self.fields.items())
        return escaped(text(self.message)) + "".join(pairs)


def record_of(notice: Notice, fields: Mapping[str, object]) -> logging.LogRecord:
    """An entry that no logger was asked for."""
    entry = Entry(notice.text, fields, notice)
    return logging.LogRecord(__name__, LEVELS[notice.level], __file__, 0, entry, (), None)


def notice_of(record: logging.LogRecord) -> Optional[Notice]:
    """Which notice a record is; None if it is for debugging."""
    if isinstance(record.msg, Entry):
        return record.msg.notice
    return running.LIBRARY_MESSAGE if record.levelno >= logging.WARNING else None


def subject_of(record: logging.LogRecord) -> Optional[Subject]:
    """What an entry is about; None if it is not limited."""
    notice = notice_of(record)
    if notice is None or not notice.is_limited:
        return None
    if not isinstance(record.msg, Entry):
        return Subject(notice.name, (("logger", record.name), ("text", text(record.msg)[:_MAX_SUBJECT_LENGTH])))
    fields = record.msg.fields
    identity = tuple((name, text(fields[name])[:_MAX_SUBJECT_LENGTH]) for name in _IDENTIFYING if name in fields)
    return Subject(notice.name, identity)


def text(value: object) -> str:
    """A value as text, whatever it is."""
    try:
        return value if isinstance(value, str) else str(value)
    except Exception:  # an object from outside that cannot even be shown
        return f"<{type(value).__name__} without text>"


def escaped(text: str, keep: str = "") -> str:
    """``text`` without anything that is not printed: control characters, line ends, changes of direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def quoted(text: str) -> str:
    """A value: as it is if it is one plain word, else in quotes."""
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
