"""The maintainer scripts: each with the functions it shares with the others in front, so that each stands alone."""

from __future__ import annotations

from pathlib import Path

from settings import PACKAGING, PYTHONS

_LINE = "# functions.sh\n"


def assembled(script: Path) -> str:
    """The script, with functions.sh where it asks for it."""
    text = script.read_text()
    if text.count(_LINE) != 1:
        raise SystemExit(f"builder: {script} must have one line {_LINE!r}")
    minors = " ".join(python.partition(".")[2] for python in reversed(PYTHONS))
    functions = (PACKAGING / "scripts/functions.sh").read_text().replace("@MINORS@", minors)
    return text.replace(_LINE, functions)
