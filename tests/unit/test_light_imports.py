"""What starts often, or has to be there at once, imports nothing heavy that it has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "zmq"}


@pytest.mark.parametrize("program", ["daosup.supervisor.loop", "daosup.daosupd", "daosup.workers.echo", "daosup.shm"])
def test_who_handles_no_frames_starts_without_numpy_and_zmq(program: str) -> None:
    code = f"import sys, {program}; sys.exit(', '.join({HEAVY} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_segment_is_had_from_its_package_all_the_same() -> None:
    code = "import daosup.shm as shm; assert shm.Segment.__name__ == 'Segment'; shm.Sgment"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "module 'daosup.shm' has no attribute 'Sgment'" in done.stderr
