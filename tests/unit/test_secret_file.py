"""The file with the secret: who else could know it makes it none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daosup.adapters.secret_file import read_secret
from daosup.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("  " + "s" * 32 + "\n")
    path.chmod(0o640)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o440])
def test_the_secret_is_what_is_in_the_file(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_secret(file) == b"s" * 32


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o642, 0o666])
def test_one_that_others_could_read_or_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}.*take a new secret"):
        read_secret(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("owner", [(4321, -1), (-1, 4321)])
def test_one_that_belongs_to_somebody_else_is_refused(file: Path, owner: tuple[int, int]) -> None:
    os.chown(file, *owner)
    with pytest.raises(ConfigError, match="4321"):
        read_secret(file)


@pytest.mark.parametrize("content", ["", "s" * 31, " " * 40, "s" * 5000])
def test_one_of_another_length_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError, match="bytes"):
        read_secret(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="is not a file"):
            read_secret(path)
