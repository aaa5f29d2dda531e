"""The libraries for each Python: filled by pip from the lock, and relieved of what nobody runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from closure import reached, read_metadata
from settings import BUILD, LOCKS, platform_tags
from stamps import digest_of, made
from wheels import own_wheel, wheels_from_sources

#: Not needed at run time, as patterns below site-packages: tests, headers and libraries to compile against, type stubs,
#: tools that compile, texts for developers, programs (ours are the launchers).
_UNNEEDED = (
    "bin",
    "numpy/**/tests",
    # Not _multiarray_tests, which numpy 2.0 imports.
    "numpy/_core/_operand_flag_tests.*.so",
    "numpy/_core/_rational_tests.*.so",
    "numpy/_core/_struct_ufunc_tests.*.so",
    "numpy/_core/_umath_tests.*.so",
    "numpy/_core/_simd.*.so",  # instructions for tests; not what NumPy computes with
    "numpy/conftest.py",
    "numpy/f2py",
    "numpy/distutils",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/random/lib",
    "numpy/random/_examples",
    "numpy/_pyinstaller",
    "numpy/testing/print_coercion_tables.py",
    "numpy/ma/API_CHANGES.txt",
    "numpy/ma/README.rst",
    "zmq/tests",
    "**/*.pyi",
    "**/*.pxd",
    "**/*.pyx",
    "**/*.pxi",
    "**/*.a",
    "**/*.h",
    "**/*.c",
    "**/__pycache__",
)
#: Of the metadata only what pip noted for itself, of which RECORD would list what is not there. Licences stay.
_UNNEEDED_METADATA = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def pip_options(python: str) -> list[str]:
    """Have pip look for wheels for another Python than the one it runs on."""
    abi = "cp" + python.replace(".", "")
    options = ["--disable-pip-version-check", "--only-binary=:all:", "--python-version", python]
    options += ["--implementation", "cp", "--abi", abi, "--abi", "abi3", "--abi", "none"]
    for tag in platform_tags():
        options += ["--platform", tag]
    return options


def libraries(python: str) -> Path:
    """site-packages of ``python``, with daosup in it."""
    site = BUILD / "site" / python
    lock, wheels = LOCKS / f"python{python}.txt", [own_wheel(), *wheels_from_sources()]
    if not lock.exists():
        raise SystemExit(f"builder: there is no {lock}: make packages-lock")
    made(site, digest_of(lock, *wheels, Path(__file__)), lambda: _fill(site, python, lock, wheels))
    return site


def _fill(site: Path, python: str, lock: Path, wheels: list[Path]) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--target", str(site)]
    locked = [*pip, *pip_options(python), "--require-hashes", "-r", str(lock)]
    # --upgrade: only then pip puts something into a folder that is there already.
    ours = [*pip, *pip_options(python), "--upgrade", "--no-index", *map(str, wheels)]
    for command in (locked, ours):
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(
                f"builder: pip could not fill the libraries of Python {python} (see above). If it finds no wheel of a "
                f"version for this Python, renew the locks (make packages-lock) or limit packaging/locks/choices.txt"
            )
    known = read_metadata(site, python)
    _, lacking = reached(["daosup"], known, python)
    if lacking:
        raise SystemExit(f"builder: Python {python} lacks {', '.join(map(str, lacking))}: make packages-lock")
    _trim(site)


def _trim(site: Path) -> None:
    for pattern in _UNNEEDED:
        for path in list(site.glob(pattern)):
            if ".dist-info" in str(path.relative_to(site)):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for name in _UNNEEDED_METADATA:
        for path in list(site.glob(f"*.dist-info/{name}")):
            path.unlink()
