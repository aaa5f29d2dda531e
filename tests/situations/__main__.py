"""``python -m tests.situations [NUMBER ...]``: play situations, print them, and write docs/operators.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.mounts import make_shm_private
from tests.situations import catalogue
from tests.situations.stage import SITUATIONS, Shown, Situation, played

_HEAD = """\
# Situations

<!-- Written by `make situations` from real runs; edit tests/situations/catalogue.py. -->

What an operator meets, what it looks like, why, and what to do. All that is shown was printed by real daemons: two
hosts on one machine (hence 127.0.0.1 everywhere), in a terminal of 80 columns. When in doubt, `daosupctl doctor` on the
host in question says what is wrong there and what to do about it; `daosupctl logs -x -p warning` says what happened,
and [journal.md](journal.md) what each entry means. `-H HOST` asks another host, `--all` all of them.
"""


def main() -> int:
    """Play those named, or all; returns the exit code."""
    assert SITUATIONS, f"{catalogue.__name__} has none"
    options = argparse.ArgumentParser(prog="python -m tests.situations", description=(__doc__ or "").partition(":")[2])
    options.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help="of the situation, from 1 on")
    options.add_argument("--write", type=Path, metavar="FILE", help="write the page")
    given = options.parse_args()
    make_shm_private()
    tempfile.tempdir = "/dev/shm"  # where hosts have their segments in memory, as they should
    parts, failed = [_HEAD], []
    for number, each in enumerate(SITUATIONS, 1):
        if given.numbers and number not in given.numbers:
            continue
        try:
            parts.append(section(number, each, played(each)))
            print(parts[-1], flush=True)
        except AssertionError as error:
            failed.append(each.title)
            print(f"{number}. {each.title}: {error}", file=sys.stderr)
    if given.write and not failed:
        contents = [f"{n}. [{each.title}](#{anchor(n, each.title)})" for n, each in enumerate(SITUATIONS, 1)]
        given.write.write_text("\n".join([parts[0], *contents, "", *parts[1:]]), "utf-8")
    return int(bool(failed))


def anchor(number: int, title: str) -> str:
    """What a heading is called in a link."""
    words = f"{number} {title}".lower()
    return "".join(letter if letter.isalnum() else "-" for letter in words if letter.isalnum() or letter in " -")


def section(number: int, each: Situation, shown: tuple[Shown, ...]) -> str:
    """One situation as the page has it."""
    screens = "\n\n".join(one.text for one in shown)
    seen = f"```console\n{screens}\n```"
    return f"## {number}. {each.title}\n\n{seen}\n\n**Why.** {each.why}\n\n**What to do.**\n\n{each.todo}\n"


if __name__ == "__main__":
    sys.exit(main())
