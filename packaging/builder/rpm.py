"""The .rpm: the same tree, packed by rpmbuild."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from scripts import filled, with_functions
from settings import BUILD, DIST, MACHINE, MAINTAINER, PACKAGING, source_date
from tree import DOCUMENTATION, HOME, tree

#: As rpm calls them. Not zstd, for the same everywhere; "fast" is for tests.
_COMPRESSION = {"small": "w6T0.xzdio", "fast": "w1.gzdio"}
#: Folders of ours: those that other packages have, too, are not listed.
_OWN_FOLDERS = ("etc/daosup", HOME, "usr/share/daosup", DOCUMENTATION)


def build(version: str, compression: str) -> Path:
    """Make dist/daosup-VERSION-1.MACHINE.rpm."""
    root = tree(version)
    work = BUILD / "rpm"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    DIST.mkdir(parents=True, exist_ok=True)
    words = {
        "VERSION": version,
        "MAINTAINER": MAINTAINER,
        "DATE": time.strftime("%a %b %d %Y", time.gmtime(source_date())),
        "PAYLOAD": _COMPRESSION[compression],
        "TREE": str(root),
        "FILES": "".join(_entries(root)),
    }
    text = with_functions(PACKAGING / "rpm/daosup.spec", lambda functions: functions.replace("%", "%%"))
    specification = work / "daosup.spec"
    specification.write_text(filled(text, words))
    name_format = "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"
    defines = {"_topdir": work, "_rpmdir": DIST, "_build_name_fmt": name_format}
    command = ["rpmbuild", "-bb", "--quiet", "--target", MACHINE]
    for name, value in defines.items():
        command += ["--define", f"{name} {value}"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())}
    done = subprocess.run(
        [*command, specification], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"builder: rpmbuild failed:\n{done.stdout.decode(errors='replace')}")
    shutil.rmtree(work)
    return DIST / f"daosup-{version}-1.{MACHINE}.rpm"


def _entries(root: Path) -> list[str]:
    """The spec's list of files, each with mode and owner."""
    lines = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            lines.append(f'"/{name}"\n')
        elif path.is_dir():
            if any(name == own or name.startswith(f"{own}/") for own in _OWN_FOLDERS):
                lines.append(f'%dir %attr(755, root, root) "/{name}"\n')
        else:
            kind = ""
            if name.startswith("etc/"):
                kind = "%config(noreplace) "
            elif name.startswith(("usr/share/doc/", "usr/share/man/")):
                kind = "%doc "
            lines.append(f'{kind}%attr({path.stat().st_mode & 0o777:o}, root, root) "/{name}"\n')
    return lines
