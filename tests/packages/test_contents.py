"""What is in the packages."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from daosup import __version__
from tests.packages.homes import PYTHONS, ROOT


def _listed(deb: Path) -> list[tuple[str, str, str]]:
    """Mode, owner and name of everything in the package."""
    told = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
    words = [line.split(maxsplit=5) for line in told.splitlines()]
    return [(mode, owner, name) for mode, owner, _, _, _, name in words]


def test_everything_is_roots_and_has_one_of_two_modes(deb: Path) -> None:
    for mode, owner, name in _listed(deb):
        assert owner == "root/root", name
        programs = name.startswith("./usr/bin/") and not name.endswith("/")
        expected = {"d": "rwxr-xr-x", "l": "rwxrwxrwx"}.get(mode[0], "rwxr-xr-x" if programs else "rw-r--r--")
        assert mode[1:] == expected, name


def test_there_is_no_bytecode(deb: Path) -> None:
    assert not [name for _, _, name in _listed(deb) if "__pycache__" in name or name.endswith(".pyc")]


def test_all_that_was_agreed_is_where_it_was_agreed(root: Path) -> None:
    for name in (
        "usr/bin/daosupd",
        "usr/bin/daosupctl",
        "usr/bin/daosup-python",
        "usr/lib/systemd/system/daoserver@.service",
        "usr/lib/systemd/system/daosup-access@.service",
        "usr/lib/systemd/system/daosup.slice",
        "usr/lib/systemd/catalog/daosup.catalog",
        "usr/lib/sysusers.d/daosup.conf",
        "usr/lib/tmpfiles.d/daosup.conf",
        "usr/share/man/man8/daosupd.8.gz",
        "usr/share/man/man1/daosupctl.1.gz",
        "usr/share/man/man5/daosup.toml.5.gz",
        "usr/share/bash-completion/completions/daosupctl",
        "usr/share/daosup/grafana-dashboard.json",
        "usr/share/doc/daosup/copyright",
        "etc/daosup/master.toml",
        "etc/daosup/minion.toml",
    ):
        assert (root / name).is_file(), name
    assert len(list((root / "usr/share/daosup").glob("daosup-*-cp39-abi3-manylinux_2_17_*.whl"))) == 1


def test_configuration_is_kept_on_upgrade(deb: Path, rpm: Path) -> None:
    files = {"/etc/daosup/master.toml", "/etc/daosup/minion.toml"}
    told = subprocess.run(["dpkg-deb", "--info", deb, "conffiles"], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) == files
    query = ["rpm", "--query", "--package", "--queryformat", r"[%{FILENAMES} %{FILEFLAGS:fflags}\n]", rpm]
    flags = dict(line.split(" ", 1) for line in subprocess.check_output(query, text=True).splitlines() if line)
    assert {name for name, flag in flags.items() if flag == "cn"} == files  # configuration, not to be replaced


def test_no_path_of_the_machine_that_built_it_is_in_it(root: Path) -> None:
    traces = [str(ROOT).encode(), str(Path.home()).encode() + b"/."]
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink <= len(PYTHONS):
            content = path.read_bytes()
            assert not [trace for trace in traces if trace in content], path
        if path.is_symlink():
            assert not os.readlink(path).startswith("/"), path


def test_equal_files_are_one(root: Path) -> None:
    seen: dict[str, int] = {}
    for path in (root / "usr/lib/daosup").rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 0:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert seen.setdefault(digest, path.stat().st_ino) == path.stat().st_ino, path


def test_the_licences_of_what_is_bundled_are_in_it(root: Path) -> None:
    described = (root / "usr/share/doc/daosup/copyright").read_text()
    metadata = list(root.glob("usr/lib/daosup/*/lib/*/site-packages/*.dist-info"))
    assert len(metadata) >= 5 * len(PYTHONS)
    for folder in metadata:
        name = folder.name.partition("-")[0]
        assert [path for path in folder.rglob("*") if re.match(r"LICEN[CS]E|COPYING", path.name)], folder
        assert name == "daosup" or f"site-packages/{name}" in described, name


def test_compression_is_one_that_the_oldest_targets_read(deb: Path, rpm: Path) -> None:
    members = subprocess.check_output(["ar", "t", deb], text=True).split()
    assert [name for name in members if name.startswith(("data", "control"))]
    assert not [name for name in members if name.endswith(".zst")]
    query = ["rpm", "--query", "--package", "--queryformat", "%{PAYLOADCOMPRESSOR}", rpm]
    assert subprocess.check_output(query, text=True) in ("xz", "gzip")


def test_both_packages_have_the_same_files(deb: Path, rpm: Path) -> None:
    of_deb = {name[1:].rstrip("/") for mode, _, name in _listed(deb) if mode[0] != "d"}
    of_deb = {name.partition(" ")[0] for name in of_deb}
    of_rpm = set(subprocess.check_output(["rpm", "-qpl", rpm], text=True).split())
    debians = {"/usr/share/doc/daosup/changelog.gz", "/usr/share/lintian/overrides/daosup"}
    assert of_deb - of_rpm == debians
    assert not of_rpm - of_deb - {str(Path(name).parent) for name in of_rpm}


def test_the_version_is_the_same_everywhere(root: Path, deb: Path) -> None:
    version = subprocess.check_output(["dpkg-deb", "--field", deb, "Version"], text=True).strip()
    for python in PYTHONS:
        site = root / f"usr/lib/daosup/python{python}/lib/python{python}/site-packages"
        assert f'__version__ = "{version}"' in (site / "daosup/__init__.py").read_text()
        assert (site / f"daosup-{version}.dist-info/METADATA").is_file()
    assert version.startswith(__version__[:2])
