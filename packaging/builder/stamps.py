"""Which steps need not be done again: a step's result bears the digest of what it was made from.

Invariant: a stamp is written after the step is complete, so a step that was broken off is done again from the start.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


def digest_of(*sources: object) -> str:
    """A digest of files (names, modes, contents; folders with all in them) and of anything else as text."""
    digest = hashlib.sha256()
    for source in sources:
        if not isinstance(source, Path):
            digest.update(repr(source).encode() + b"\0")
            continue
        for path in _files(source):
            digest.update(f"{path} {path.stat().st_mode}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files(source: Path) -> Iterable[Path]:
    if source.is_file():
        return [source]
    built = (".so", ".pyc")
    return sorted(path for path in source.rglob("*") if path.is_file() and path.suffix not in built)


def made(folder: Path, sources: str, make: Callable[[], None]) -> bool:
    """Have ``make`` fill ``folder``, unless it did so from the same sources; returns whether it did now."""
    stamp = folder.with_name(folder.name + ".stamp")
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == sources:
        return False
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()
    stamp.write_text(sources)
    return True
