"""What both ends of the control socket agree on: limits, and how an error travels.

Invariant: every error of ours that may cross the socket has exactly one kind, and each kind becomes one error
class again at the other end. One request or reply is one line of JSON in UTF-8.

    {"id": 1, "command": "status"}
    {"id": 1, "ok": true, "result": {...}}
    {"id": 1, "ok": false, "error": {"kind": "not_found", "message": "..."}}

Replies may come in another order than their requests. This module imports nothing but the errors, because
daosupctl reads it at every start.
"""

from __future__ import annotations

from daosup import errors

MAX_REQUEST_BYTES = 1 << 20
MAX_REPLY_BYTES = 16 << 20
MAX_PATH_BYTES = 107
"""The longest path that a Unix socket's address (``sun_path``) holds, without its final zero."""

INTERNAL = "internal"

# A class comes before the one it derives from, for kind_of takes the first that fits.
ERROR_OF_KIND: dict[str, type[errors.DaosupError]] = {
    "usage": errors.UsageError,
    "config": errors.ConfigError,
    "not_found": errors.NotFoundError,
    "no_answer": errors.NoAnswerError,
    "unavailable": errors.UnavailableError,
    "unsupported": errors.UnsupportedError,
    "denied": errors.DeniedError,
    INTERNAL: errors.DaosupError,
}


def kind_of(error: errors.DaosupError) -> str:
    """The kind under which ``error`` crosses the socket."""
    return next(kind for kind, error_class in ERROR_OF_KIND.items() if isinstance(error, error_class))


def error_of(kind: str, message: str) -> errors.DaosupError:
    """The error that ``kind`` stands for; a kind that this version does not know is a plain DaosupError."""
    return ERROR_OF_KIND.get(kind, errors.DaosupError)(message)
