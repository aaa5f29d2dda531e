"""Renewing the locks: which versions of the libraries go into the packages, with the hash of each wheel.

A lock is complete, so that nothing is resolved when packages are built: pip installs what it lists and nothing else.
What publishes no wheels is in locks/from-sources.txt, which is kept by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

from bundle import pip_options
from closure import Metadata, needs, reached
from packaging.utils import canonicalize_name
from settings import LOCKS, PYTHONS, ROOT
from wheels import FROM_SOURCES, wheels_from_sources

_HEAD = "# Made by `make packages-lock`. Why not always the newest: choices.txt\n"


def renew() -> None:
    """Write the locks of all Pythons anew."""
    root: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wheels_from_sources()
    for python in PYTHONS:
        (LOCKS / f"python{python}.txt").write_text(_HEAD + "".join(_resolve(root, python)))


def _resolve(root: list[str], python: str) -> list[str]:
    """The lock's lines for ``python``."""
    asked = [text.partition(";")[0] for text in root if ";" not in text]
    while True:
        known, lines = _ask_pip(asked, python)
        names, lacking = reached(root, known, python)
        if not lacking:
            return [lines[name] for name in sorted(names) if name in lines]
        # What pip left out, because the Python that runs it does not need it, is asked for by name.
        more = [f"{each.name}{each.specifier}" for each in lacking]
        if set(more) <= set(asked):
            raise SystemExit(f"builder: pip finds no {', '.join(more)} for Python {python}")
        asked += more


def _ask_pip(asked: list[str], python: str) -> tuple[dict[str, Metadata], dict[str, str]]:
    """What pip would install: the metadata of all, and the lines of a lock for what comes from the index."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--find-links", str(FROM_SOURCES), *pip_options(python), "--target", "/nonexistent"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.writelines(f"{each.name}{each.specifier}\n" for each in needs(_choices(), python))
        constraints.flush()
        told = subprocess.run([*command, "--constraint", constraints.name, *asked], stdout=subprocess.PIPE, check=False)
    if told.returncode != 0:
        raise SystemExit(f"builder: pip finds no set of wheels for Python {python} (see above)")
    known: dict[str, Metadata] = {}
    lines: dict[str, str] = {}
    report: dict[str, Any] = json.loads(told.stdout)
    for each in report["install"]:
        fields, origin = each["metadata"], each["download_info"]
        name = canonicalize_name(fields["name"])
        known[name] = (fields["version"], fields.get("requires_dist", []))
        if not origin["url"].startswith(FROM_SOURCES.as_uri()):
            sha256 = origin["archive_info"]["hashes"]["sha256"]
            lines[name] = f"{name}=={fields['version']} --hash=sha256:{sha256}\n"
    return known, lines


def _choices() -> list[str]:
    lines = (LOCKS / "choices.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
