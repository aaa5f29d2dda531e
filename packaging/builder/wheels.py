"""The wheels that are built here: daosup's own, and those of libraries that publish sources alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from settings import BUILD, LOCKS, MACHINE, OWN_GLIBC, ROOT, source_date
from stamps import digest_of, made

_SOURCES = ("daosup", "daoServer.py", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
OWN = BUILD / "wheel"
FROM_SOURCES = BUILD / "wheels-from-sources"


def own_wheel() -> Path:
    """The wheel of daosup: one for every Python, checked."""
    sources = [ROOT / name for name in _SOURCES]
    made(OWN, digest_of(*sources, Path(__file__), ROOT / "packaging" / "tools.txt"), _build_own)
    return _only_wheel(OWN)


def _build_own() -> None:
    tag = f"manylinux_{OWN_GLIBC[0]}_{OWN_GLIBC[1]}_{MACHINE}"
    compiler = f"{sys.executable} -m ziglang cc -target {MACHINE}-linux-gnu.{OWN_GLIBC[0]}.{OWN_GLIBC[1]}"
    environment = {
        **os.environ,
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        # No debugging information: it would name the folders of this machine. Debian's pyconfig.h includes one that is
        # beside the headers of its own C library; searched last, that folder gives nothing else.
        "CFLAGS": "-g0 -idirafter /usr/include",
        "LDFLAGS": "-s",
        "SOURCE_DATE_EPOCH": str(source_date()),
    }
    with tempfile.TemporaryDirectory() as folder:
        # A copy: setuptools writes beside the sources, and would take up what earlier builds left there.
        source = Path(folder, "daosup")
        source.mkdir()
        for name in _SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
            else:
                shutil.copy2(ROOT / name, source / name)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(OWN)]
        _run([*command, f"-C--build-option=--plat-name={tag}", str(source)], environment)
    _check(_only_wheel(OWN), tag)


def _check(wheel: Path, tag: str) -> None:
    """End the build if it is not what its name says: for every Python from 3.9, and for C libraries this old."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"}
    command = [scripts / "auditwheel", "show", wheel]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if told.returncode != 0 or f'platform tag: "{tag}"' not in " ".join(told.stdout.split()):
        raise SystemExit(f"builder: {wheel.name} needs more of the system than {tag} has:\n{told.stdout}{told.stderr}")
    _run([str(scripts / "abi3audit"), "--strict", "--assume-minimum-abi3", "3.9", str(wheel)], environment)


def wheels_from_sources() -> list[Path]:
    """Wheels of the libraries in locks/from-sources.txt; pure Python, so the same for every Python."""
    lock = LOCKS / "from-sources.txt"

    def build() -> None:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--no-build-isolation", "--require-hashes", "--wheel-dir", str(FROM_SOURCES), "-r", str(lock)]
        _run([*command, *options], {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())})

    made(FROM_SOURCES, digest_of(lock), build)
    wheels = sorted(FROM_SOURCES.glob("*.whl"))
    for wheel in wheels:
        if not wheel.name.endswith("-none-any.whl"):
            raise SystemExit(f"builder: {wheel.name} was compiled here; only pure Python may be built from sources")
    return wheels


def _only_wheel(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"builder: {' '.join(command)} failed:\n{done.stdout}")
