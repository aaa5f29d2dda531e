"""Where situations are played: hosts on this machine, and what a terminal of 80 columns shows of them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

from bench.children import camera
from tests.integration import commands, terminals
from tests.integration.fleet import Fleet, Host
from tests.waiting import wait_until

_COLUMNS = 80
_REPOSITORY = str(Path(__file__).parents[2])
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Shown:
    """A command, and what it printed."""

    prompt: str
    output: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it stands on the screen."""
        return "\n".join([self.prompt, *self.output])


class Stage:
    """The hosts of one situation.

    Attributes:
        hosts: They and their registry.
        stack: What is to be ended with the situation.
    """

    def __init__(self, hosts: Fleet, stack: ExitStack) -> None:
        self.hosts = hosts
        self.stack = stack

    def film(self, name: str, rate_hz: float, side: int = 120, depth: int = 1) -> ExitStack:
        """Have a program write a segment of rts; what is returned ends it."""
        filming = self.stack.enter_context(ExitStack())
        filming.enter_context(camera(self.hosts.rts.path(name), rate_hz=rate_hz, side=side, depth=depth))
        self.hosts.rts.wait_for_segment(name)
        return filming

    def stream(self, name: str = "wfs", rate_hz: float = 100) -> ExitStack:
        """The same, mirrored on lab; returns when frames come steadily."""
        filming = self.film(name, rate_hz)
        self.hosts.lab.mirror(f"rts:{name}").close()
        self.until(lambda: self.row(self.hosts.lab, f"rts:{name}")["rate_hz"] > 0.9 * rate_hz, "frames on lab")
        return filming

    @staticmethod
    def row(host: Host, source: str) -> dict[str, object]:
        """A worker's row in status; empty if there is none."""
        return next((each for each in host.status()["workers"] if each["source"] == source), {"rate_hz": 0.0})

    @staticmethod
    def until(is_so: Callable[[], object], what: str) -> None:
        """Wait until the situation is there."""
        wait_until(is_so, PATIENCE_S, what)

    def seen(self, host: Host, *words: str) -> Shown:
        """What a command leaves on a terminal."""
        with terminals.Terminal(
            ["daosupctl", *words], _COLUMNS, 200, {"DAOSUP_SOCKET": str(host.socket), "NO_COLOR": "1"}
        ) as terminal:
            terminal.wait_end()
            # Before folders are told otherwise, lines that the terminal broke are made whole.
            whole = re.sub(rf"(?<=^.{{{_COLUMNS}}})\n", "", "\n".join(terminal.lines), flags=re.MULTILINE)
        lines = [line[at : at + _COLUMNS] for line in self._short(whole).split("\n") for at in _breaks(line)]
        return Shown(f"{host.name}$ daosupctl {_quoted(words)}", tuple(lines))

    def told(self, host: Host, *words: str) -> Shown:
        """The one line that a command ends with."""
        done = commands.daosupctl(host, *words)
        return self.said(f"{host.name}$ daosupctl {_quoted(words)}", done.stdout + done.stderr)

    def said(self, prompt: str, text: str) -> Shown:
        """What a program printed, folded as a terminal does but between words."""
        lines = [
            each
            for line in self._short(text).splitlines()
            for each in textwrap.wrap(line, _COLUMNS, break_long_words=False)
        ]
        return Shown(prompt, tuple(lines))

    def _short(self, text: str) -> str:
        """Without the folders that stand for those of hosts of their own."""
        folder = re.escape(str(self.hosts.folder))
        text = re.sub(rf"{folder}/\w+/segments", "/tmp", text)
        text = re.sub(rf"{folder}/\w+/(\w+\.toml)", r"/etc/daosup/\1", text)
        text = re.sub(rf"{folder}/\w+/run", "/run/daosup", text)
        return text.replace(f"{_REPOSITORY}/", ".../")


def _breaks(line: str) -> range:
    """Where a terminal breaks a line."""
    return range(0, max(1, len(line)), _COLUMNS)


def _quoted(words: tuple[str, ...]) -> str:
    return " ".join(f"'{word}'" if re.search(r"[*?\[]", word) else word for word in words)


@contextmanager
def staged() -> Iterator[Stage]:
    """A stage without hosts yet."""
    hosts = Fleet()
    with ExitStack() as stack:
        stack.callback(hosts.close)
        yield Stage(hosts, stack.enter_context(ExitStack()))


Play = Callable[[Stage], Iterator[Shown]]


@dataclass(frozen=True)
class Situation:
    """One situation.

    Attributes:
        title: What an operator would say of it.
        play: Brings it about, and shows it.
        why: What is behind it.
        todo: What to do, as Markdown.
        signs: What has to be in the output, as regular expressions, or the page would be wrong.
    """

    title: str
    play: Play
    why: str
    todo: str
    signs: tuple[str, ...]


SITUATIONS: list[Situation] = []


def situation(title: str, *, why: str, todo: str, signs: tuple[str, ...]) -> Callable[[Play], Play]:
    """Make a function that plays one a situation."""

    def add(play: Play) -> Play:
        SITUATIONS.append(Situation(title, play, cleandoc(why), cleandoc(todo), signs))
        return play

    return add


def played(each: Situation) -> tuple[Shown, ...]:
    """What was shown when it was played.

    Raises:
        AssertionError: If it did not look as it should.
    """
    with staged() as stage:
        shown = tuple(each.play(stage))
    text = "\n".join(one.text for one in shown)
    for sign in each.signs:
        assert re.search(sign, text), f"{each.title}: there is no {sign!r} in\n{text}"
    return shown
