"""The .deb: the tree and what is in packaging/deb, packed by dpkg-deb."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from email.utils import formatdate
from pathlib import Path

from scripts import filled, with_functions
from settings import BUILD, DEBIAN_MACHINE, DIST, MAINTAINER, PACKAGING, source_date
from tree import DOCUMENTATION, tree

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
    _add_debians_own(packed, version)
    control = packed / "DEBIAN"
    control.mkdir()
    words = {
        "VERSION": version,
        "MAINTAINER": MAINTAINER,
        "ARCHITECTURE": DEBIAN_MACHINE,
        "INSTALLED_SIZE": str(_size_kb(packed)),
    }
    _write(control / "control", filled((PACKAGING / "deb/control").read_text(), words))
    configuration = sorted(path for path in (root / "etc").rglob("*") if path.is_file())
    _write(control / "conffiles", "".join(f"/{path.relative_to(root)}\n" for path in configuration))
    _write(control / "md5sums", _md5sums(packed))
    _write(control / "triggers", (PACKAGING / "deb/triggers").read_text())
    for name in _SCRIPTS:
        if (PACKAGING / "deb" / name).exists():
            _write(control / name, with_functions(PACKAGING / "deb" / name), 0o755)
    DIST.mkdir(parents=True, exist_ok=True)
    package = DIST / f"daosup_{version}_{DEBIAN_MACHINE}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *_COMPRESSION[compression], "--build", packed, package],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date())},
        check=True,
    )
    shutil.rmtree(packed)
    return package


def _add_debians_own(packed: Path, version: str) -> None:
    """What Debian wants in a package, and others do not."""
    changes = (
        f"daosup ({version}) stable; urgency=medium\n\n"
        f"  * What is new, for those who run it: /{DOCUMENTATION}/CHANGELOG.md.gz\n\n"
        f" -- {MAINTAINER}  {formatdate(source_date())}\n"
    )
    _write(packed / DOCUMENTATION / "changelog.gz", gzip.compress(changes.encode(), 9, mtime=0))
    overrides = packed / "usr/share/lintian/overrides/daosup"
    overrides.parent.mkdir(parents=True)
    _write(overrides, (PACKAGING / "deb/lintian-overrides").read_text())
    for path in (overrides, *overrides.parents[:3], packed / DOCUMENTATION / "changelog.gz", packed / DOCUMENTATION):
        os.utime(path, (source_date(), source_date()))
        if path.is_dir():
            path.chmod(0o755)


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)


def _write(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def _size_kb(root: Path) -> int:
    seen = {path.lstat().st_ino: path.lstat().st_size for path in root.rglob("*") if "DEBIAN" not in path.parts}
    return sum(-(-size // 1024) for size in seen.values())


def _md5sums(root: Path) -> str:
    files = sorted(
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    )
    lines = []
    for path in files:
        name = str(path.relative_to(root))
        if not name.startswith("etc/"):
            lines.append(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {name}\n")
    return "".join(lines)
