"""The options of daosupctl's commands, and what the command line says by them.

Invariant: an option means the same in every command that has it.
"""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: For a program that waits for nothing longer than this, seconds.
LONGEST_WAIT_S = 86400


#: Nobody reads faster, and a daemon has other things to do.
SHORTEST_INTERVAL_S = 0.1


class Options(argparse.Namespace):
    """What the command line says. ``words`` are what is no option: the command, then its arguments."""

    words: list[str]
    instance: str | None
    socket: str | None
    host: str | None
    all: bool
    json: bool
    wait: float | None
    keep: bool
    called: str | None
    write_back: bool
    transport: str | None
    frames: str | None
    rate: str | None
    roi: str | None
    stride: str | None
    compress: str | None
    depth: int | None
    watch: float | None
    verbose: bool
    config: str | None
    port: int | None
    follow: bool
    count: int | None
    level: str | None
    explain: bool
    since: str | None
    program: str | None
    once: bool
    png: str | None
    version: bool
    help: bool

    @property
    def command(self) -> str | None:
        """What is to be done."""
        return self.words[0] if self.words else None

    @property
    def name(self) -> str | None:
        """The command's first argument, mostly a segment."""
        return self.words[1] if len(self.words) > 1 else None

    @property
    def second(self) -> str | None:
        """The command's second argument, mostly a file."""
        return self.words[2] if len(self.words) > 2 else None


class Option:
    """One option.

    Attributes:
        forms: How it is written, the short form first.
        dest: Attribute of ``Options``.
        value: What it is followed by, if anything. A shell offers what it knows of FILE, PATH, HOST, INSTANCE and of
            words to choose from that are joined by ``|``. In brackets: it may be left out.
        about: What it does, as help says it.
        read: Makes the value of its text; what it raises is told.
        bare: The text of its value, a number, if that is left out.
    """

    def __init__(
        self, forms: str, dest: str, value: str, about: str, read: Callable[[str], Any] = str, *, bare: str = ""
    ) -> None:
        self.forms = forms.split(", ")
        self.dest = dest
        self.value = value
        self.about = about
        self.read = read
        self.bare = bare

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Have a parser understand it."""
        if self.value:
            parser.add_argument(*self.forms, dest=self.dest, metavar=self.value, type=self.read)
        else:
            parser.add_argument(*self.forms, dest=self.dest, action="store_true")

    def is_given(self, options: Options) -> bool:
        """Whether the command line has it."""
        return getattr(options, self.dest) not in (None, False)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {LONGEST_WAIT_S}")
    return seconds


def _interval(text: str) -> float:
    seconds = _seconds(text)
    if seconds < SHORTEST_INTERVAL_S:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {SHORTEST_INTERVAL_S} s")
    return seconds


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _transport(text: str) -> str:
    if text not in ("auto", "direct", "zmq"):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, direct or zmq")
    return text


def _depth(text: str) -> int:
    from daosup.core.layout import check_depth  # only who asks for it pays for the import
    from daosup.errors import UsageError

    try:
        return check_depth(int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _delivered(key: str) -> Callable[[str], str]:
    """What an owner is told by ``key``, as it is told."""

    def read(text: str) -> str:
        from daosup.core.delivery import Delivery  # only who asks for it pays for the import
        from daosup.errors import ProtocolError

        try:
            Delivery.parse([f"{key}={text}"])
        except ProtocolError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return f"{key}={text}"

    return read


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of entries")
    return int(text)


#: Of every command.
COMMON = (
    Option("--instance", "instance", "INSTANCE", "the daosupd to ask, if several run here"),
    Option("--socket", "socket", "PATH", "its control socket (default: $DAOSUP_SOCKET, or found)"),
    Option("--json", "json", "", "print the result as JSON"),
    Option("--version", "version", "", "print the version"),
    Option("-h, --help", "help", "", "print this, or of a command its options and examples"),
)
#: Of single commands, by the form that is told.
OWN: dict[str, Option] = {
    "-H": Option("-H, --host", "host", "HOST", "ask that host of the registry"),
    "--all": Option("--all", "all", "", "ask every host of the registry"),
    "--wait": Option("--wait", "wait", "S", "wait up to S seconds until it is so", _seconds),
    "--keep": Option("--keep", "keep", "", "for good, over restarts"),
    "--as": Option("--as", "called", "NAME", "what the mirror is called"),
    "--write-back": Option("--write-back", "write_back", "", "what is written into it goes to its source"),
    "--transport": Option("--transport", "transport", "auto|direct|zmq", "how its frames come", _transport),
    "--frames": Option("--frames", "frames", "newest|every", "which come", _delivered("mode")),
    "--rate": Option("--rate", "rate", "HZ", "at most so many frames a second", _delivered("rate")),
    "--roi": Option("--roi", "roi", "Y0:Y1,X0:X1", "only this part of each frame", _delivered("roi")),
    "--stride": Option("--stride", "stride", "SY,SX", "of each axis every so manyth", _delivered("stride")),
    "--compress": Option("--compress", "compress", "none|lz4", "pack frames for the way", _delivered("compress")),
    "--depth": Option("--depth", "depth", "N", "how many frames it keeps", _depth),
    "--watch": Option("--watch", "watch", "[S]", "again every S seconds (default 1); q ends", _interval, bare="1"),
    "-v": Option("-v, --verbose", "verbose", "", "more: times of day, what is fine"),
    "-f": Option("-f, --follow", "follow", "", "go on with what happens from now on"),
    "-n": Option("-n", "count", "N", "the last N entries", _count),
    "-p": Option("-p", "level", "error|warning|info|debug", "only this level and worse"),
    "-x": Option("-x", "explain", "", "with what it means, and what to do"),
    "--since": Option("--since", "since", "WHEN", "10min, 2h, today, 2026-11-20 12:00"),
    "--exec": Option("--exec", "program", "CMD", "run CMD for each, with the event as JSON on its input"),
    "--once": Option("--once", "once", "", "show one, and end"),
    "--png": Option("--png", "png", "FILE", "write one as a picture into FILE, and end"),
    "--port": Option("--port", "port", "PORT", "the TCP port to try (default 6379)", _port),
    "--config": Option("--config", "config", "FILE", "the configuration of a daemon that does not run"),
}
