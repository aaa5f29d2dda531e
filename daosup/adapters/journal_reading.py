"""The journal of systemd, as journalctl tells it: which entries, and why there are none.

Invariant: journalctl is given no word of a user's but as the value of an option or a field, and what it says is read up
to a bound, within a bounded time.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time

from daosup.errors import DaosupError, DeniedError, NoAnswerError, UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else for daosupctl
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: As journalctl calls them, the worst first; and what else they are called.
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
ALSO = {"error": "err", "errors": "err", "warn": "warning", "critical": "crit"}
MOST_ENTRIES = 5000
MOST_BYTES = 4 << 20
_MOST_READ_BYTES = 32 << 20
_MOST_SAID_BYTES = 4096
_READ_S = 10.0
_AGO = re.compile(r"(\d+(\.\d+)?\s*[A-Za-z]+\s*)+\Z")
_CURSOR = re.compile(r"[A-Za-z0-9=;-]{1,300}\Z")


def units_of(instance: str) -> list[str]:
    """What journalctl is asked for entries of an instance, ``*`` for all."""
    return ["-u", f"daosup-access@{instance}", "-u", f"daoserver@{instance}"]


def matches_of(name: str | None) -> list[str]:
    """What journalctl is asked for entries about a segment, or HOST:NAME.

    Raises:
        UsageError: If there can be none of that name.
    """
    if name is None:
        return []
    from daosup.core.types import Source, check_name, clean_name

    if ":" in name:
        return [f"SOURCE={Source.parse(name)}"]
    return [f"SEGMENT={check_name(clean_name(name))}"]


def level_of(word: str) -> str | None:
    """A level as journalctl calls it; None if there is no such."""
    level = ALSO.get(word, word)
    return level if level in LEVELS or word in map(str, range(len(LEVELS))) else None


def since_of(when: str) -> str:
    """As journalctl has it, for whom 10min would be ten minutes from now."""
    return f"-{when}" if _AGO.match(when) else when


def read_entries(
    instance: str,
    *,
    name: str | None = None,
    level: str | None = None,
    since: str | None = None,
    after: str | None = None,
    count: int = 1000,
) -> list[dict[str, Any]]:
    """The last entries of an instance, oldest first, each with the journal's fields; blocks.

    Args:
        instance: Of the service.
        name: Only what is about this segment, or HOST:NAME.
        level: Only of this level and worse.
        since: Only from then on.
        after: Only what comes after the entry with this ``__CURSOR``.
        count: At most so many, and never more than go into `MOST_BYTES`.

    Raises:
        DaosupError: Why there can be none.
    """
    command = ["journalctl", "--no-pager", "--all", "-o", "json", *units_of(instance)]
    command += [f"--lines={min(max(count, 0), MOST_ENTRIES)}"]
    if level is not None:
        known = level_of(level)
        if known is None:
            raise UsageError(f"there is no level {level[:40]!r}; use one of error, warning, info, debug")
        command.append(f"--priority={known}")
    if since is not None:
        command.append(f"--since={since_of(since)}")
    if after is not None:
        if not _CURSOR.match(after):
            raise UsageError(f"{after[:80]!r} is no cursor of the journal")
        command.append(f"--after-cursor={after}")
    lines, said = _run([*command, *matches_of(name)])
    complaint = complaint_in(said, since)
    if complaint is not None and not lines:
        raise complaint
    return _entries(lines)


def complaint_in(said: str, since: str | None = None) -> DaosupError | None:
    """What journalctl says on standard error, if that is why it shows nothing."""
    if re.search("insufficient permissions|not seeing messages from other users", said):
        return DeniedError(
            "you may not read the journal; join its group (usermod -aG systemd-journal USER, then log in anew), "
            "or use sudo"
        )
    if "timestamp" in said:
        return UsageError(f"--since {str(since)!r} is not a time; write 10min, 2h, today or 2026-11-20 12:00")
    if said and not re.search("No journal files were found|Failed to add filter for units: No data", said):
        return UnavailableError(f"journalctl: {said.splitlines()[-1]}")
    return None


def no_journalctl() -> UnavailableError:
    """There is none."""
    return UnavailableError(
        "there is no journalctl on this machine; daosupd logs to the standard error of whatever started it"
    )


def _run(command: Sequence[str]) -> tuple[list[bytes], str]:
    """The entries that it shows, and what it says on standard error."""
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError:
            raise no_journalctl() from None
        with process:
            try:
                shown = _read(process)
            finally:
                process.kill()
        told.seek(0)
        said = told.read(_MOST_SAID_BYTES).decode("utf-8", "replace").strip()
    return [line for line in shown.splitlines() if line.startswith(b"{")], said


def _read(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    shown = bytearray()
    deadline = time.monotonic() + _READ_S
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise NoAnswerError(f"journalctl takes longer than {_READ_S:g} s; ask for less (-n, --since)")
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        if not chunk:
            return bytes(shown)
        shown += chunk
        if len(shown) > _MOST_READ_BYTES:
            raise UnavailableError(
                f"there are more than {_MOST_READ_BYTES >> 20} MB to read; ask for less (-n, --since)"
            )


def _entries(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """As many of the last ones as go into an answer."""
    import json

    kept: list[dict[str, Any]] = []
    left = MOST_BYTES
    for line in reversed(lines):
        left -= len(line)
        if left < 0:
            break
        kept.append(json.loads(line))
    return kept[::-1]
