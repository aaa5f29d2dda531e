"""``make faults`` and ``make soak`` work: one fault is injected once, and a soak of a few seconds goes well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120)


def test_a_fault_is_injected_timed_and_written_down(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    done = run("tests.faults", "--repeats", "1", "--write", str(page), "mirror killed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("healed") == 2
    assert "| mirror killed | direct | SIGKILL to the mirror's worker |" in page.read_text()


def test_a_fault_that_nobody_knows_is_refused() -> None:
    done = run("tests.faults", "no such fault")
    assert done.returncode == 2
    assert "no fault is called 'no such fault'" in done.stderr


def test_a_soak_checks_frames_and_what_processes_need() -> None:
    done = run("tests.faults.soak", "--minutes", "0.1", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "no gap that nobody owns up to" in done.stdout
    assert "processes before" in done.stdout
