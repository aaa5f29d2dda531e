"""The packages in dist/, unpacked once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages.homes import DIST


def _newest(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        pytest.fail(f"there is no {DIST / pattern}: make deb rpm")
    return found[-1]


@pytest.fixture(scope="session")
def deb() -> Path:
    return _newest("daosup_*.deb")


@pytest.fixture(scope="session")
def rpm() -> Path:
    return _newest("daosup-*.rpm")


@pytest.fixture(scope="session")
def root(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be / with the .deb unpacked. Tests do not write below it."""
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "--extract", deb, folder], check=True)
    return folder
