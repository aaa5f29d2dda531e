"""Shows what daosupd told the journal of systemd, of this host or of others.

Invariant: of this host what is shown is journalctl's own, in whose place this process is put; what keeps it from
showing anything is told in one line.
"""

from __future__ import annotations

import os
import re

from daosup.adapters.journal_reading import complaint_in, level_of, matches_of, no_journalctl, since_of, units_of
from daosup.errors import UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import NoReturn

    from daosup.ctl.options import Options


def logs(options: Options) -> int:
    """Show entries; returns only if other hosts were asked, or raises."""
    if options.host is not None or options.all:
        _shown(options)  # a mistake is told here
        matches_of(options.name)
        from daosup.ctl.logs_of_hosts import logs_of_hosts

        return logs_of_hosts(options)
    own = ["journalctl", *units_of(_instance(options))]
    when = ["--since", since_of(options.since)] if options.since is not None else []
    what = [*_shown(options), *matches_of(options.name)]
    _check(own, when)
    _become([*own, *when, *what])


def passed_on(options: Options) -> list[str]:
    """The same command for a shell on another host."""
    words = ["daosupctl", "logs", *("--json" if word == "json" else word for word in _shown(options) if word != "-o")]
    if options.instance is not None:
        words += ["--instance", _instance(options)]
    if options.since is not None:
        words += [f"--since={options.since}"]
    if options.name is not None:
        words += ["--", options.name]
    return words


def _instance(options: Options) -> str:
    if options.socket is not None:
        raise UsageError("logs takes no --socket; name the daosupd by --instance")
    if options.instance is not None and not re.match(r"[A-Za-z0-9_.:-]+\Z", options.instance):
        raise UsageError(f"{options.instance!r} cannot be an instance; give a name like master")
    return options.instance or "*"


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
    level = level_of(word)
    if level is None:
        from daosup.ctl.arguments import nearest

        raise UsageError(f"there is no level {word!r}{nearest(word, ['error', 'warning', 'info', 'debug'])}")
    return level


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
    complaint = complaint_in(said, when[-1].lstrip("-") if when else None)
    if complaint is not None:
        raise complaint
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
        raise no_journalctl() from None
    is_found = any(not line.startswith(b"-- ") for line in done.stdout.splitlines())
    return is_found, done.stderr.decode("utf-8", "replace").strip()


def _become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)
    except OSError:
        raise no_journalctl() from None
