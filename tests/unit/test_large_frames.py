"""Large frames are not compared with the segment but watched while they are copied, the largest by two threads: none is
torn for that."""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 3
PARTS = ["frames", "copying", "quiet_thread", "semaphores", "guard"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bin") / "library_writer"
    shm = ROOT / "daosup" / "shm"
    sources = [ROOT / "tests" / "native" / "library_writer.c", *(shm / f"{part}.c" for part in PARTS)]
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    subprocess.run(
        [*compiler, "-std=c11", "-O2", f"-I{shm}", "-o", made, *sources, "-pthread", "-lrt", "-ldl"], check=True
    )
    return made


@pytest.mark.parametrize("frame_bytes", [300_001, 1_000_000, 6_000_000])
def test_none_that_is_written_in_the_library_order_is_torn(program: Path, tmp_path: Path, frame_bytes: int) -> None:
    done = subprocess.run(
        [program, str(SECONDS), tmp_path / "segment", str(frame_bytes)],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    whole, _, torn, _ = done.stdout.split()
    assert int(whole) > 0
    assert torn == "0"
