"""Shows what daosupd told the journal of systemd, of this host or of another.

Invariant: what is shown is journalctl's own, in whose place this process is put; what keeps it from showing anything is
told in one line.
"""

from __future__ import annotations

import os
import re

from daosup.errors import DeniedError, UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import NoReturn

    from daosup.ctl.arguments import Options

#: As journalctl calls them, the worst first; and what else they are called.
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_ALSO = {"error": "err", "errors": "err", "warn": "warning", "critical": "crit"}
_AGO = re.compile(r"(\d+(\.\d+)?\s*[A-Za-z]+\s*)+\Z")


def logs(options: Options) -> int:
    """Show entries; returns only if another host was asked, or raises."""
    if options.host is not None:
        from daosup.ctl.other_host import logs_of

        return logs_of(options.host, _passed_on(options))
    instance = _instance(options)
    own = ["journalctl", "-u", f"daosup-access@{instance}", "-u", f"daoserver@{instance}"]
    when = ["--since", _since(options.since)] if options.since is not None else []
    what = [*_shown(options), *_matches(options.name)]
    _check(own, when)
    _become([*own, *when, *what])


def _instance(options: Options) -> str:
    if options.socket is not None:
        raise UsageError("logs takes no --socket; name the daosupd by --instance")
    if options.instance is not None and not re.match(r"[A-Za-z0-9_.:-]+\Z", options.instance):
        raise UsageError(f"{options.instance!r} cannot be an instance; give a name like master")
    return options.instance or "*"


def _matches(name: str | None) -> list[str]:
    """What the journal is asked for about a segment."""
    if name is None:
        return []
    from daosup.core.types import Source, check_name, clean_name

    if ":" in name:
        return [f"SOURCE={Source.parse(name)}"]
    return [f"SEGMENT={check_name(clean_name(name))}"]


def _shown(options: Options) -> list[str]:
    """Which entries, and how."""
    shown = ["-o", "json"] if options.json else []
    if options.explain:
        shown.append("-x")
    if options.follow:
        shown.append("-f")
    if options.count is not None:
        shown += ["-n", str(options.count)]
    if options.level is not None:
        shown += ["-p", _level(options.level)]
    return shown


def _level(word: str) -> str:
    level = _ALSO.get(word, word)
    if level not in LEVELS and word not in map(str, range(len(LEVELS))):
        from daosup.ctl.arguments import nearest

        raise UsageError(f"there is no level {word!r}{nearest(word, ['error', 'warning', 'info', 'debug'])}")
    return level


def _since(when: str) -> str:
    """As journalctl has it, for whom 10min would be ten minutes from now."""
    return f"-{when}" if _AGO.match(when) else when


def _check(own: list[str], when: list[str]) -> None:
    """See that journalctl shows something.

    Raises:
        UnavailableError: If there is none, or nothing of ours.
        DeniedError: If we may not read the journal.
        UsageError: If it does not understand since when.
    """
    is_found, said = _ask([*own, *when])
    if is_found:
        return
    if re.search("insufficient permissions|not seeing messages from other users", said):
        raise DeniedError(
            "you may not read the journal; join its group (usermod -aG systemd-journal USER, then log in anew), "
            "or use sudo"
        )
    if "timestamp" in said:
        raise UsageError(f"--since {when[-1].lstrip('-')!r} is not a time; write 10min, 2h, today or 2026-11-20 12:00")
    if said and not re.search("No journal files were found|Failed to add filter for units: No data", said):
        raise UnavailableError(f"journalctl: {said.splitlines()[-1]}")
    if not when or not _ask(own)[0]:
        raise UnavailableError(
            f"the journal has nothing of {own[-1]}; a daosupd that was started by hand logs to its terminal "
            "(standard error)"
        )


def _ask(command: list[str]) -> tuple[bool, str]:
    """Whether it shows anything, and what it says on standard error."""
    import subprocess

    try:
        done = subprocess.run(  # not --quiet, which hides the hint at what we may not see
            [*command, "-n", "1", "-o", "cat", "--no-pager"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except OSError:
        raise _no_journalctl() from None
    is_found = any(not line.startswith(b"-- ") for line in done.stdout.splitlines())
    return is_found, done.stderr.decode("utf-8", "replace").strip()


def _become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)
    except OSError:
        raise _no_journalctl() from None


def _no_journalctl() -> UnavailableError:
    return UnavailableError(
        "there is no journalctl on this machine; daosupd logs to the standard error of whatever started it"
    )


def _passed_on(options: Options) -> list[str]:
    """The same command for another host."""
    words = ["daosupctl", "logs", *_shown_there(options)]
    if options.instance is not None or options.socket is not None:
        words += ["--instance", _instance(options)]
    if options.since is not None:
        words += [f"--since={options.since}"]
    if options.name is not None:
        _matches(options.name)  # a mistake is told here
        words += ["--", options.name]
    return words


def _shown_there(options: Options) -> list[str]:
    return ["--json" if word == "json" else word for word in _shown(options) if word != "-o"]
