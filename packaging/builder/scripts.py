"""Texts with places to fill in; above all the maintainer scripts, so that each of them stands alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from settings import PACKAGING, PYTHONS

_LINE = "# functions.sh\n"


def with_functions(script: Path, escape: Callable[[str], str] = str) -> str:
    """The script, with functions.sh wherever it asks for it."""
    text = script.read_text()
    if _LINE not in text:
        raise SystemExit(f"builder: {script} has no line {_LINE!r}")
    minors = " ".join(python.partition(".")[2] for python in reversed(PYTHONS))
    functions = (PACKAGING / "scripts/functions.sh").read_text().replace("@MINORS@", minors)
    return text.replace(_LINE, escape(functions))


def filled(text: str, words: dict[str, str]) -> str:
    """The text with each ``@WORD@`` replaced."""
    for word, meaning in words.items():
        text = text.replace(f"@{word}@", meaning)
    return text
