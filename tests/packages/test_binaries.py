"""What the compiled parts of the packages ask of the system they are installed on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.packages.homes import MACHINE, PYTHONS, ROOT

TOOLS = ROOT / ".venv-packaging/bin"
#: Of Rocky 8, the oldest target: versions of symbols, and libraries of the packages that ours depend on.
NEWEST = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (8, 0, 0)}
OF_THE_SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libgcc_s|libz|libstdc\+\+|ld-linux-x86-64)\.so\.\d")


def _read(option: str, path: Path) -> str:
    return subprocess.check_output(["readelf", "--wide", option, path], text=True)


def _libraries(root: Path) -> list[Path]:
    return [path for path in root.glob("usr/lib/daosup/**/*.so*") if path.is_file()]


def _wheel(root: Path) -> Path:
    (wheel,) = (root / "usr/share/daosup").glob("*.whl")
    return wheel


def test_the_oldest_target_has_every_symbol(root: Path) -> None:
    libraries = _libraries(root)
    assert len(libraries) > 10 * len(PYTHONS)
    for path in libraries:
        for family, text in re.findall(r"Name: (\w+?)_([\d.]+) ", _read("--version-info", path)):
            if family in NEWEST:
                assert tuple(map(int, text.split("."))) <= NEWEST[family], f"{path} needs {family}_{text}"


def test_every_library_is_bundled_or_of_the_system(root: Path) -> None:
    bundled = {path.name for path in _libraries(root)}
    for path in _libraries(root):
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", _read("--dynamic", path)):
            assert name in bundled or OF_THE_SYSTEM.fullmatch(name), f"{path} needs {name}"


def test_our_own_wheel_needs_an_old_system_only(root: Path) -> None:
    told = subprocess.check_output(
        [TOOLS / "auditwheel", "show", _wheel(root)], env={"PATH": f"{TOOLS}:/usr/bin:/bin"}, text=True
    )
    assert f'platform tag: "manylinux_2_17_{MACHINE}"' in " ".join(told.split())


def test_our_own_wheel_is_for_every_python(root: Path) -> None:
    if not (TOOLS / "abi3audit").exists():
        pytest.fail("packaging/prepare-tools has not run: make packages-test")
    subprocess.run(
        [TOOLS / "abi3audit", "--strict", "--assume-minimum-abi3", "3.9", _wheel(root)], check=True, capture_output=True
    )


def test_our_own_extension_is_one_file_for_all(root: Path) -> None:
    found = list(root.glob("usr/lib/daosup/*/lib/*/site-packages/daosup/shm/_native*"))
    assert len(found) == len(PYTHONS)
    assert {path.name for path in found} == {"_native.abi3.so"}
    assert len({path.stat().st_ino for path in found}) == 1
    assert not re.search(r"GLIBC_2\.(1[89]|[2-9]\d)", _read("--version-info", found[0]))
