"""The environments of an unpacked package, tried with the Pythons that this machine has, wherever they are."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
MACHINE = "x86_64"


@cache
def interpreter(python: str) -> Path | None:
    """A CPython of this minor version; None if there is none that runs."""
    name = f"python{python}"
    found = [shutil.which(name), f"/usr/bin/{name}", *Path.home().glob(f".pyenv/versions/{python}.*/bin/{name}")]
    for path in (Path(each) for each in found if each is not None and Path(each).exists()):
        said = subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if said.returncode == 0:
            return Path(said.stdout.strip()).resolve()
    return None


def present() -> list[str]:
    """The Pythons to try."""
    return [python for python in PYTHONS if interpreter(python) is not None]


def home_of(root: Path, python: str, folder: Path) -> Path:
    """The package's environment for ``python``, but with the interpreter that this machine has."""
    found = interpreter(python)
    assert found is not None
    packaged, home = root / f"usr/lib/daosup/python{python}", folder / f"python{python}"
    (home / "bin").mkdir(parents=True)
    (home / "lib").symlink_to(packaged / "lib")
    for program in ("daosupd", "daosupctl"):
        (home / "bin" / program).symlink_to(packaged / "bin" / program)
    configuration = (packaged / "pyvenv.cfg").read_text()
    (home / "pyvenv.cfg").write_text(configuration.replace("home = /usr/bin", f"home = {found.parent}"))
    (home / "bin/python3").symlink_to(found)
    return home
