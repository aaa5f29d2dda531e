"""What sends frames, under sanitizers: directly, among readers that are slow, stand still, die or send garbage; and
frames that are lent to libzmq, or what stands for it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVERS = ["direct_driver", "lending_driver"]
PARTS = [
    "direct_sender",
    "direct_readership",
    "direct_frames",
    "direct_hearing",
    "direct_finisher",
    "direct_form",
    "direct_former",
    "cut",
    "packing",
    "shuffle",
    "liblz4",
    "quiet_thread",
    "direct_reader",
    "direct_input",
    "frame_pool",
    "frame_lending",
    "frames",
    "frames_waiting",
    "copying",
    "huge_pages",
    "semaphores",
    "guard",
    "latency",
    "statistics",
    "pump",
    "messages",
    "pickles",
    "libzmq",
]
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}
#: Two threads copy the larger ones of what the drivers send.
SHARED = "-DCOPYING_LEAST_BYTES=131072"
SECONDS = 2


@pytest.mark.parametrize("name", SANITIZERS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_no_sanitizer_finds_fault_with_it(driver: str, name: str, tmp_path: Path) -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    program = tmp_path / "driver"
    shm = ROOT / "daosup" / "shm"
    flags = ["-std=c11", "-g", "-O1", *SANITIZERS[name], f"-I{shm}", SHARED]
    sources = [ROOT / "tests" / "native" / f"{driver}.c", *(shm / f"{part}.c" for part in PARTS)]
    built = subprocess.run(
        [*compiler, *flags, "-o", program, *sources, "-pthread", "-lrt", "-ldl"], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [program, str(SECONDS), tmp_path / "segment"],
        capture_output=True, text=True, timeout=100, env={**os.environ, "TSAN_OPTIONS": "halt_on_error=1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" frames\n")
