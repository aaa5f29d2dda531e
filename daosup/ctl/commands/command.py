"""What a command of daosupctl is."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable

    from daosup.ctl.options import Options

SOURCE = "HOST:NAME"
NAME = "NAME"
SOME_NAME = "[NAME]"

# Which hosts a command can be about: this one only, another one by -H, or every one of the registry by --all.
HERE, ONE, EACH = "here", "one", "each"

# Of which segments an argument is one; a shell offers these.
REMOTE, MIRRORED, KNOWN, STOPPED, EVERY = "remote", "mirrored", "known", "stopped", "every"
_AMONG = {SOURCE: REMOTE, NAME: KNOWN, SOME_NAME: KNOWN}

ABOUT_NAME = """\
NAME is a segment of this host, then it is about its publisher; or HOST:NAME,
then it is about this host's mirror of that source. gate, unless a segment is
called so, is where nodes of DAO's network service find this host."""


class Command:
    """One command.

    Attributes:
        brief: What it does, in at most 26 characters, for the list of all.
        summary: The same in a few more words.
        arguments: What it takes, in this order: SOURCE, or NAME for a segment of this host as well, or another word in
            capitals; or the words to choose from, joined by ``|``. Those in brackets may be left out.
        options: Those that not every command has.
        hosts: Which hosts it can be about; with more than HERE, -H is one of its options, and with EACH --all, too.
        among: Which segments a shell offers for the first argument: REMOTE (by default for a SOURCE), MIRRORED, KNOWN
            (this host's own, and mirrored; by default for a NAME), STOPPED or EVERY (this host's own, and all REMOTE).
        more: What ``daosupctl COMMAND --help`` says beside, with examples.
    """

    def __init__(
        self,
        run: str,
        brief: str,
        summary: str,
        arguments: str = "",
        options: tuple[str, ...] = (),
        *,
        hosts: str = HERE,
        among: str = "",
        more: str,
    ) -> None:
        """``run`` names the function that does it, MODULE.FUNCTION below ``daosup.ctl``; imported when it is called."""
        self._run = run
        self.brief = brief
        self.summary = summary
        self.arguments = arguments.split()
        self.options = ({HERE: (), ONE: ("-H",), EACH: ("-H", "--all")}[hosts]) + options
        self.among = among or _AMONG.get(arguments.partition(" ")[0], "")
        self.more = more

    @property
    def least_arguments(self) -> int:
        """How many it must have."""
        return sum(not each.startswith("[") for each in self.arguments)

    def function(self) -> Callable[[Options], int]:
        """What does it; returns the exit code."""
        from importlib import import_module

        module, _, name = self._run.rpartition(".")
        function: Callable[[Options], int] = getattr(import_module(f"daosup.ctl.{module}"), name)
        return function


def choices_of(argument: str) -> list[str]:
    """The words to choose from for an argument; none if it can be anything."""
    return argument.strip("[]").split("|") if "|" in argument else []
