"""The .deb: the tree and what is in packaging/deb, packed by dpkg-deb."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from scripts import assembled
from settings import BUILD, DEBIAN_MACHINE, DIST, PACKAGING, source_date
from tree import tree

#: Not zstd, which Debian 11 cannot read; "fast" is for tests.
_COMPRESSION = {"small": ["-Zxz", "-z6"], "fast": ["-Zgzip", "-z1"]}
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def build(version: str, compression: str) -> Path:
    """Make dist/daosup_VERSION_MACHINE.deb."""
    root = tree(version)
    # dpkg-deb takes the control files from a folder in the tree, so a tree of links is made for it.
    packed = BUILD / "deb"
    shutil.rmtree(packed, ignore_errors=True)
    shutil.copytree(root, packed, symlinks=True, copy_function=_link)
    control = packed / "DEBIAN"
    control.mkdir()
    words = {
        "VERSION": version,
        "ARCHITECTURE": DEBIAN_MACHINE,
        "INSTALLED_SIZE": str(_size_kb(root)),
    }
    text = (PACKAGING / "deb/control").read_text()
    for word, meaning in words.items():
        text = text.replace(f"@{word}@", meaning)
    _write(control / "control", text)
    configuration = sorted(path for path in (root / "etc").rglob("*") if path.is_file())
    _write(control / "conffiles", "".join(f"/{path.relative_to(root)}\n" for path in configuration))
    _write(control / "md5sums", _md5sums(root))
    _write(control / "triggers", (PACKAGING / "deb/triggers").read_text())
    for name in _SCRIPTS:
        if (PACKAGING / "deb" / name).exists():
            _write(control / name, assembled(PACKAGING / "deb" / name), 0o755)
    DIST.mkdir(exist_ok=True)
    package = DIST / f"daosup_{version}_{DEBIAN_MACHINE}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *_COMPRESSION[compression], "--build", packed, package],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date())},
        check=True,
    )
    shutil.rmtree(packed)
    return package


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.write_text(text)
    path.chmod(mode)


def _size_kb(root: Path) -> int:
    seen = {path.lstat().st_ino: path.lstat().st_size for path in root.rglob("*")}
    return sum(-(-size // 1024) for size in seen.values())


def _md5sums(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    lines = []
    for path in files:
        name = str(path.relative_to(root))
        if not name.startswith("etc/"):
            lines.append(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {name}\n")
    return "".join(lines)
