"""The commands of README's section on installing, so that what is tested is what people are told to do.

Each line of its ``console`` blocks begins with who types it: ``rts#`` is root on the host that runs Redis, ``lab#``
root on another host, ``lab$`` a person there who is in group dao. The tests' hosts and segment have other names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"
HEADING = "## Install"
NAMES = {"rts": "alpha", "lab": "beta", "wfs": "cam", "USER": "observer"}


class Command(NamedTuple):
    """One line that a person types."""

    host: str
    is_root: bool
    text: str


def commands() -> list[Command]:
    """All of them, in their order, with the names of the tests."""
    text = README.read_text(encoding="utf-8")
    _, found, section = text.partition(f"\n{HEADING}\n")
    assert found, f"README.md has no section {HEADING!r}"
    section = re.split(r"\n## ", section, maxsplit=1)[0]
    lines = [line for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    return [_command(line) for line in lines]


def _command(line: str) -> Command:
    found = re.fullmatch(r"(rts|lab)([#$]) (.*?)(?:\s+# .*)?", line)
    assert found, f"README.md: who types {line!r}?"
    host, mark, text = found.groups()
    for name, ours in NAMES.items():
        text = re.sub(rf"\b{name}\b", ours, text)
    return Command(NAMES[host], mark == "#", text)


def typed(*, starting: str) -> list[Command]:
    """Those whose text begins like that; there must be one."""
    found = [each for each in commands() if each.text.startswith(starting)]
    assert found, f"README.md has no command that begins with {starting!r}"
    return found
