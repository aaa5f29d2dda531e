"""What the packages are made for and of: Pythons, platforms, folders."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

#: The CPythons that there are libraries for, oldest first.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
#: The machine they run on, as Python, Debian and Zig call it; rpm calls it as Python does.
MACHINE = os.environ.get("MACHINE", "x86_64")
DEBIAN_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
#: The oldest C library of a target (Rocky 8) decides which wheels are taken. pip wants every tag by name.
LIBRARIES_GLIBC = (2, 28)
#: Our own extension is content with an older one, for it also serves people's own environments.
OWN_GLIBC = (2, 17)

#: The project has no address of its own; .invalid says so to programs.
MAINTAINER = "The daosup authors <maintainers@daosup.invalid>"

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
LOCKS = PACKAGING / "locks"
#: Everything between sources and packages; may be deleted at any time.
BUILD = ROOT / "build" / f"packages-{MACHINE}"
DIST = Path(os.environ.get("DIST", ROOT / "dist")).resolve()


def platform_tags() -> list[str]:
    """The wheel platforms that every target can load, newest first."""
    tags = [f"manylinux_2_{minor}_{MACHINE}" for minor in range(LIBRARIES_GLIBC[1], OWN_GLIBC[1] - 1, -1)]
    return [*tags, f"manylinux2014_{MACHINE}"]


def own_version() -> str:
    """The version of the sources."""
    text = (ROOT / "daosup" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit('builder: daosup/__init__.py has no line __version__ = "…"')
    return found[1]


@cache
def source_date() -> int:
    """The Unix time that everything in the packages bears: $SOURCE_DATE_EPOCH, else the last commit's."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    told = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(told.stdout) if told.returncode == 0 else int((ROOT / "CHANGELOG.md").stat().st_mtime)
