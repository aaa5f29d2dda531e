"""The demonstration as its user has it: real daemons, real processes; what it leaves behind is for the leak check."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daosup.shm import Segment
from tests.integration.terminals import Terminal
from tests.waiting import wait_until

ENDED_WITHIN_S = 30.0
DEMO = [sys.executable, "-m", "daosup.demo"]


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if key != "DAOSUP_REDIS"}
    with subprocess.Popen(
        [*DEMO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What is printed up to the line that contains ``text``."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} was not printed, but {read}")


def folder_in(output: str) -> Path:
    found = re.search(r"removing (\S+) \.\.\.", output)
    assert found is not None, output
    return Path(found[1])


def test_it_ends_by_itself_and_all_workers_have_run() -> None:
    with demo("--seconds", "3") as process:
        output, _ = process.communicate(timeout=ENDED_WITHIN_S)
    assert process.returncode == 0, output
    last = output.split("\nafter ")[-1]
    assert "rts:wfs 240x240 uint16" in last
    for kind, host in (("publisher", "rts"), ("mirror", "lab")):
        for source in ("rts:wfs", "rts:dm"):
            assert re.search(rf"^{host} +{kind} +{source} +running +\d+ ", last, re.MULTILINE), output
    assert "\033" not in output
    assert not folder_in(output).exists()


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("starting a Redis", signal.SIGINT),
        ("starting the simulator", signal.SIGTERM),
        ("daemon of lab", signal.SIGHUP),
        ("asking lab", signal.SIGINT),
        ("after", signal.SIGTERM),
        ("after", signal.SIGHUP),
    ],
)
def test_a_signal_at_any_step_ends_it_in_order(step: str, number: signal.Signals) -> None:
    with demo() as process:
        before = read_until(process, step)
        process.send_signal(number)
        process.send_signal(number)
        output, _ = process.communicate(timeout=ENDED_WITHIN_S)
    assert process.returncode == 0, before + output
    assert output.endswith("everything is stopped and removed ...\n")
    assert not folder_in(output).exists()


def test_a_reader_that_goes_away_ends_it() -> None:
    with demo() as process:
        read_until(process, "after")
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(ENDED_WITHIN_S) == 0


def test_a_daemons_death_is_shown_with_the_end_of_its_log() -> None:
    with demo() as process:
        read_until(process, "after")
        os.kill(child_of(process.pid, "lab.toml"), signal.SIGKILL)
        output, _ = process.communicate(timeout=ENDED_WITHIN_S)
    assert process.returncode == 1
    assert "lab-daosupd was killed by SIGKILL; the end of its log:\n  " in output
    assert not folder_in(output).exists()


def child_of(parent: int, word: str) -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            is_child = int(stat.read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and word in (stat.parent / "cmdline").read_text():
                return int(stat.parent.name)
        except OSError:
            continue
    raise AssertionError(f"process {parent} has no child {word}")


def test_a_redis_that_is_not_there_is_told() -> None:
    with demo("--redis-url", "redis://127.0.0.1:1/0") as process:
        read_until(process, "asking lab")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=ENDED_WITHIN_S)
    assert process.returncode == 0, output


@pytest.mark.parametrize("key", ["\x03", "q"])
def test_on_a_terminal_it_draws_and_restores_the_screen(key: str) -> None:
    with Terminal(DEMO, environment={"DAOSUP_REDIS": None}) as terminal:
        terminal.wait_for("▀", ENDED_WITHIN_S)
        assert terminal.is_alternate
        assert not terminal.has_cursor
        assert "running" in terminal.text
        terminal.type(key)
        assert terminal.wait_end(ENDED_WITHIN_S) == 0
        assert terminal.is_restored
        assert "everything is stopped and removed" in terminal.text


@pytest.mark.parametrize(("module", "shape"), [("camera", (240, 240)), ("deformable_mirror", (97, 1))])
def test_a_simulator_writes_until_told_and_removes_its_segment(
    module: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / f"simulated_{module}.im.shm"
    with subprocess.Popen([sys.executable, "-m", f"daosup.demo.{module}", str(path)]) as process:
        wait_until(path.exists, ENDED_WITHIN_S, "the segment")
        with Segment.open(path) as segment:
            assert segment.shape == shape
            first = segment.wait(timeout_s=ENDED_WITHIN_S)
            wait_until(lambda: segment.counter > first + 20, what="20 more frames")
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDED_WITHIN_S) == 0
    assert not path.exists()


def test_nothing_that_it_started_outlives_a_demonstration_that_is_killed() -> None:
    with demo() as process:
        read_until(process, "after")
        names = ("rts.toml", "lab.toml", "demo.camera", "deformable_mirror")
        processes = [Path(f"/proc/{child_of(process.pid, name)}") for name in names]
        config = Path((processes[0] / "cmdline").read_text().split("\0")[-2])
        process.kill()
        process.wait()
    wait_until(lambda: not any(map(Path.exists, processes)), ENDED_WITHIN_S, "their end")
    shutil.rmtree(config.parent)
