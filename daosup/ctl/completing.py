"""Shell completion of daosupctl: the scripts that make a shell ask, and what it is answered.

Invariant: the answer comes from the tables of commands and options, and from the daemon; what of it does not answer
within ASK_S is left out.
"""

from __future__ import annotations

import os
import sys
import time

from daosup import completing
from daosup.completing import Line
from daosup.errors import DaosupError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from daosup.completing import Words
    from daosup.ctl.commands import Command
    from daosup.ctl.options import Options

#: Who has pressed Tab waits for no daemon longer than this, seconds.
ASK_S = 0.2


def print_script(options: Options) -> int:
    """What a shell is to read."""
    sys.stdout.write(script(options.name or ""))
    return 0


def script(shell: str) -> str:
    """The script for ``bash`` or ``zsh``; it completes daosupctl and daosupd."""
    with open(os.path.join(os.path.dirname(__file__), f"completion.{shell}"), encoding="utf-8") as file:
        return file.read()


def offers(words: list[str], commands: Mapping[str, Command]) -> Words:
    """What can stand in place of the last of ``words``."""
    from daosup.ctl.arguments import options_for

    *before, typed = words
    every = {option: about for name in commands for option, about in options_for(commands, name).items()}
    line = Line(before, every)
    name = line.arguments[0] if line.arguments else None
    options = options_for(commands, name)
    kinds = {
        "FILE": completing.files,
        "PATH": completing.files,
        "INSTANCE": _instances,
        "HOST": lambda: [(host, "") for host in _hosts(_Daemon(line))],
    }
    if line.pending or typed.startswith("-"):
        return completing.next_words(line, typed, options, kinds)
    if name is None:
        return [(each, command.summary) for each, command in commands.items()]
    if name not in commands:
        return ()
    if 0 < len(line.arguments) <= len(commands[name].arguments):
        return _arguments(commands[name], line, kinds)
    return completing.next_words(line, "-", options, kinds)


def _instances() -> Words:
    from daosup.adapters.control_find import instances

    return {**dict(completing.configured_instances()), **dict.fromkeys(instances(), "runs")}.items()


def _arguments(command: Command, line: Line, kinds: Mapping[str, Callable[[], Words]]) -> Words:
    from daosup.ctl.commands.command import choices_of

    argument = command.arguments[len(line.arguments) - 1]
    if choices_of(argument):
        return [(word, "") for word in choices_of(argument)]
    if argument.strip("[]") in kinds:
        return kinds[argument.strip("[]")]()
    segments = _SEGMENTS.get(command.among)
    return sorted(segments(_Daemon(line))) if segments else ()


class _Daemon:
    """The daemon that the line is about; asked no longer than ASK_S, whatever it is asked."""

    def __init__(self, line: Line) -> None:
        self._instance = line.values.get("--instance")
        self._socket = line.values.get("--socket")
        self._deadline = time.monotonic() + ASK_S

    def ask(self, command: str) -> Any:
        """What it answers; an empty object if it does not."""
        from daosup.adapters.control_client import ControlClient, find_socket

        try:
            left_s = max(self._deadline - time.monotonic(), 0.001)
            with ControlClient(find_socket(self._instance, self._socket), left_s) as client:
                return client.call(command)
        except DaosupError:
            return {}


def _hosts(daemon: _Daemon) -> list[str]:
    return sorted(str(machine["hostname"]) for machine in daemon.ask("machines"))


def _remote(daemon: _Daemon) -> Words:
    """Segments of other hosts."""
    own = daemon.ask("status").get("host")
    return [
        (f"{machine['hostname']}:{each['name']}", _form(each))
        for machine in daemon.ask("machines")
        if machine["hostname"] != own
        for each in machine["segments"]
    ]


def _mirrored(daemon: _Daemon) -> Words:
    """Sources of this host's mirrors."""
    return [
        (each["source"], f"mirror, {each['state']}") for each in daemon.ask("status")["workers"] if _is_mirror(each)
    ]


def _known(daemon: _Daemon) -> Words:
    """This host's own segments, its gate, and sources of its mirrors."""
    status = daemon.ask("status")
    workers = [each for each in status["workers"] if each["kind"] != "publisher"]
    others = [(_name_of(each), f"{each['kind']}, {each['state']}") for each in workers]
    return [*((each["name"], _form(each)) for each in status["segments"]), *others]


def _every(daemon: _Daemon) -> Words:
    """This host's own segments, and those of other hosts."""
    own = [(each["name"], _form(each)) for each in daemon.ask("status")["segments"]]
    return [*own, *_remote(daemon)]


def _stopped(daemon: _Daemon) -> Words:
    """What `start` starts."""
    stopped = [each for each in daemon.ask("status")["workers"] if each["state"] == "stopped"]
    return [(_name_of(each), each["kind"]) for each in stopped]


def _name_of(worker: Any) -> str:
    return str(worker["source"] if _is_mirror(worker) else worker["source"].partition(":")[2])


def _is_mirror(worker: Any) -> bool:
    return bool(worker["kind"] == "mirror")


def _form(segment: Any) -> str:
    from daosup.ctl.units import shape

    return f"{shape(segment['shape'])} {segment['dtype']}"


#: By `Command.among`.
_SEGMENTS = {"remote": _remote, "mirrored": _mirrored, "known": _known, "stopped": _stopped, "every": _every}
