"""Shows what the journals of other hosts have of daosupd, merged in the order in which it happened.

Invariants: the daemons read their journals for us; only where one host's cannot, its journal is read by ssh. What comes
is printed as one line, or as indented ones, whatever is in it. While entries are followed, a host that does not answer
is told once and asked again.
"""

from __future__ import annotations

import json
import sys
import time

from daosup.ctl.asking import ask_hosts, error_in, safe_lines, style_of
from daosup.ctl.tables import Style, safe
from daosup.errors import DaosupError, NotFoundError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

    Entry = dict[str, Any]

ASK_S = 15.0
POLL_S = 1.0
#: A host that did not answer is asked again after this time, seconds.
PAUSE_S = 30.0
#: As journalctl -f does.
FIRST_COUNT = 10
USUAL_COUNT = 1000
_COLOURS = {"0": "bad", "1": "bad", "2": "bad", "3": "bad", "4": "doubtful", "7": "faint"}


def logs_of_hosts(options: Options) -> int:
    """Show entries of one host, or of all; returns the exit code, 69 if one did not answer."""
    if options.host is not None and "@" in options.host:
        return _by_ssh(options)
    reading = _Reading(options)
    try:
        reading.read()
    except NotFoundError as error:
        return _by_ssh(options, error)  # ssh may know it by another name
    except UsageError:
        raise
    except DaosupError as error:
        if options.host is None:
            raise
        return _by_ssh(options, error)
    while options.follow:
        time.sleep(POLL_S)
        reading.read()
    return reading.exit_code


def _by_ssh(options: Options, error: DaosupError | None = None) -> int:
    """The same by ssh; if that fails, too, what failed first is told beside."""
    from daosup.ctl.logs import passed_on
    from daosup.ctl.other_host import logs_of

    assert options.host is not None
    try:
        return logs_of(options.host, passed_on(options))
    except DaosupError as failed:
        if error is None:
            raise
        raise type(failed)(f"{failed}; by the registry: {error}") from None


class _Reading:
    """What was read of each host so far."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._style = style_of()
        self._after: dict[str, dict[str, Any]] = {}
        self._silent_until: dict[str, float] = {}
        self._hosts: list[str] | None = [options.host] if options.host is not None else None
        self._began = f"@{time.time():.0f}"
        self.exit_code = 0
        usual = FIRST_COUNT if options.follow and options.since is None else USUAL_COUNT
        self._first = {"count": usual if options.count is None else options.count, "since": options.since}

    def read(self) -> None:
        """Ask for what is new, and print it.

        Raises:
            DaosupError: If our own daemon does not answer, or the one host that is to be asked.
        """
        now = time.monotonic()
        hosts = self._hosts
        if hosts is not None:
            hosts = [host for host in hosts if self._silent_until.get(host, 0.0) <= now]
            if not hosts:
                return
        what = {"name": self._options.name, "level": self._options.level}
        usual = {**what, **self._first} if not self._after else {**what, "count": USUAL_COUNT, "since": self._began}
        answers = ask_hosts(self._options, hosts, "logs", ASK_S, usual, self._after)
        entries: list[tuple[float, str, Entry]] = []
        for host, answer in answers.items():
            entries += self._take(host, answer)
        if self._hosts is None:
            self._hosts = sorted(answers)
        for _, host, entry in sorted(entries, key=lambda each: each[0]):
            self._print(host, entry)
        sys.stdout.flush()

    def _take(self, host: str, answer: dict[str, Any]) -> list[tuple[float, str, Entry]]:
        """The entries of an answer, each with the time by Redis's clock at which it was written."""
        result = answer.get("result") if answer.get("ok") is True else None
        if not isinstance(result, dict):
            self._miss(host, answer)
            return []
        self._silent_until.pop(host, None)
        offset_s = result.get("clock_offset_s")
        offset_s = float(offset_s) if isinstance(offset_s, (int, float)) else 0.0
        entries = [entry for entry in result.get("entries") or () if isinstance(entry, dict)]
        if entries and isinstance(entries[-1].get("__CURSOR"), str):
            self._after[host] = {"after": entries[-1]["__CURSOR"], "since": None}
        else:
            # Nothing yet: what comes from now on, by that host's clock.
            self._after.setdefault(host, {"after": None, "since": f"@{time.time() + offset_s:.0f}"})
        return [(_stamp_s(entry) - offset_s, host, entry) for entry in entries]

    def _miss(self, host: str, answer: dict[str, Any]) -> None:
        error = error_in(host, answer)
        if self._options.host is not None and not self._after:
            raise error
        if host not in self._silent_until:
            print(f"daosupctl: {error}", file=sys.stderr)
        self._silent_until[host] = time.monotonic() + PAUSE_S
        self.exit_code = max(self.exit_code, error.exit_code)

    def _print(self, host: str, entry: Entry) -> None:
        if self._options.json:
            print(json.dumps({**entry, "HOST": host}))
            return
        print("\n".join(lines_of(host, entry, self._style, is_explained=self._options.explain)))


def lines_of(host: str, entry: Entry, style: Style, *, is_explained: bool = False) -> list[str]:
    """An entry as people read it: as journalctl has it."""
    when = time.strftime("%b %d %H:%M:%S", time.localtime(_stamp_s(entry)))
    who = f"{safe(entry.get('SYSLOG_IDENTIFIER') or '?')}[{safe(entry.get('_PID') or '?')}]"
    first, *further = safe_lines(_text(entry.get("MESSAGE")))
    colour = _COLOURS.get(str(entry.get("PRIORITY")), "")
    lines = [f"{when} {style(safe(host), 'strong')} {who}: {style(first, colour)}"]
    lines += [f"    {style(line, colour)}" for line in further]
    return lines + (_explanation(entry) if is_explained else [])


def _explanation(entry: Entry) -> list[str]:
    from daosup.core.notices import BY_NAME

    notice = BY_NAME.get(str(entry.get("NOTICE")))
    return [f"    {notice.explanation}", f"    What to do: {notice.advice}"] if notice else []


def _stamp_s(entry: Entry) -> float:
    text = str(entry.get("__REALTIME_TIMESTAMP"))
    return int(text) / 1e6 if text.isdigit() and len(text) < 17 else 0.0


def _text(message: object) -> str:
    """A field's text; the journal has one that is not UTF-8 as a list of bytes."""
    if isinstance(message, list):
        return bytes(each & 255 for each in message if isinstance(each, int)).decode("utf-8", "replace")
    return str(message)
