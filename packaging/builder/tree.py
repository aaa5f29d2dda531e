"""The tree of files that both packages are made from, as it will be below / on the machine that installs them.

Invariant: nothing in it depends on where, when, by whom or with which umask it was built: modes are 0644 and 0755,
times are all the same, equal files are hard-linked, and no path of this machine is in it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bundle import libraries
from hardlinks import link_equal_files
from scripts import filled
from settings import BUILD, PACKAGING, PYTHONS, ROOT, own_version, source_date
from stamps import digest_of, made
from wheels import own_wheel

HOME = "usr/lib/daosup"
DOCUMENTATION = "usr/share/doc/daosup"

#: Sources and where they go.
_FILES = {
    "systemd/daoserver@.service": "usr/lib/systemd/system/daoserver@.service",
    "systemd/daosup-access@.service": "usr/lib/systemd/system/daosup-access@.service",
    "systemd/daosup.slice": "usr/lib/systemd/system/daosup.slice",
    "systemd/daosup.sysusers": "usr/lib/sysusers.d/daosup.conf",
    "systemd/daosup.tmpfiles": "usr/lib/tmpfiles.d/daosup.conf",
    "systemd/daosup.catalog": "usr/lib/systemd/catalog/daosup.catalog",
    "systemd/realtime.conf": "usr/share/daosup/realtime.conf",
    "packaging/master.toml": "etc/daosup/master.toml",
    "packaging/minion.toml": "etc/daosup/minion.toml",
    "packaging/grafana-dashboard.json": "usr/share/daosup/grafana-dashboard.json",
    "packaging/copyright": f"{DOCUMENTATION}/copyright",
    "README.md": f"{DOCUMENTATION}/README.md",
}
#: The programs: how each is called, what Python is given before the caller's own arguments, and its text.
_ISOLATED = "-I -B "  # nothing of the caller's environment; no bytecode but what the package's installation makes
_PROGRAMS = {
    "daosupd": "import sys\n\nfrom daosup.daosupd import main\n\nsys.exit(main())\n",
    "daosupctl": "from daosup.ctl import program\n\nprogram()\n",
}


def tree(version: str) -> Path:
    """The tree of ``version``; of another version than the sources' own only what says it differs."""
    own = BUILD / "tree" / own_version()
    sources = [*(ROOT / name for name in _FILES), PACKAGING / "launcher.sh", PACKAGING / "manuals"]
    sources += [
        PACKAGING / "daosup-python.1",
        ROOT / "CHANGELOG.md",
        Path(__file__).parent,
        own_wheel(),
        *(PACKAGING / "locks").glob("*.txt"),
    ]
    digest = digest_of(*sources, source_date())
    made(own, digest, lambda: _fill(own))
    if version == own_version():
        return own
    other = BUILD / "tree" / version
    made(other, digest, lambda: _fill_other(own, other, version))
    return other


def _fill(root: Path) -> None:
    for source, target in _FILES.items():
        _copy(ROOT / source, root / target)
    for python in PYTHONS:
        _make_home(root / HOME / f"python{python}", python)
    _copy(own_wheel(), root / "usr/share/daosup" / own_wheel().name)
    for program in _PROGRAMS:
        _write(root / "usr/bin" / program, _launcher(program, f'{_ISOLATED}"$home/bin/{program}" '), 0o755)
    # People's own programs may use their own environment.
    _write(root / "usr/bin/daosup-python", _launcher("daosup-python", ""), 0o755)
    _add_manuals(root / "usr/share")
    changes = (ROOT / "CHANGELOG.md").read_bytes()
    _write(root / DOCUMENTATION / "CHANGELOG.md.gz", gzip.compress(changes, 9, mtime=0))
    _finish(root)


def _add_manuals(share: Path) -> None:
    """The manual pages, and the completions of shells: made by daosup itself, on the Python that builds."""
    _copy(PACKAGING / "daosup-python.1", share / "man/man1/daosup-python.1")
    environment = {
        **os.environ,
        "PYTHONPATH": str(libraries(f"{sys.version_info[0]}.{sys.version_info[1]}")),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(source_date()),
    }
    subprocess.run([sys.executable, PACKAGING / "manuals", share], env=environment, check=True)
    for page in list(share.glob("man/*/*")):
        _write(page.with_name(f"{page.name}.gz"), gzip.compress(page.read_bytes(), 9, mtime=0))
        page.unlink()


def _make_home(home: Path, python: str) -> None:
    """A virtual environment whose Python is /usr/bin/pythonX.Y, whether or not there is one where it is built."""
    site = home / f"lib/python{python}/site-packages"
    shutil.copytree(libraries(python), site, copy_function=os.link)
    _write(home / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n")
    (home / "bin").mkdir()
    (home / "bin/python3").symlink_to(f"../../../../bin/python{python}")
    for program, text in _PROGRAMS.items():
        _write(home / "bin" / program, text)


def _launcher(program: str, arguments: str) -> str:
    words = {
        "PROGRAM": program,
        "ARGUMENTS": arguments,
        "MINORS": " ".join(python.partition(".")[2] for python in reversed(PYTHONS)),
        "PYTHONS": " ".join(f"/usr/bin/python{python}" for python in PYTHONS),
    }
    return filled((PACKAGING / "launcher.sh").read_text(), words)


def _fill_other(own: Path, other: Path, version: str) -> None:
    shutil.rmtree(other)
    shutil.copytree(own, other, symlinks=True, copy_function=os.link)
    old = f'__version__ = "{own_version()}"'
    for site in other.glob(f"{HOME}/*/lib/*/site-packages"):
        said = site / "daosup/__init__.py"
        _write(said, said.read_text().replace(old, f'__version__ = "{version}"'))
        (metadata,) = site.glob("daosup-*.dist-info/METADATA")
        text = metadata.read_text()
        _write(metadata, text.replace(f"\nVersion: {own_version()}\n", f"\nVersion: {version}\n", 1))
        metadata.parent.rename(site / f"daosup-{version}.dist-info")
    _finish(other)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # may be linked to a file elsewhere
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def _finish(root: Path) -> None:
    """Give everything its mode and time, and link what is equal."""
    programs = root / "usr/bin"
    for path in sorted(root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent == programs else 0o644)
    root.chmod(0o755)
    link_equal_files(root / HOME)
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (source_date(), source_date()), follow_symlinks=False)
