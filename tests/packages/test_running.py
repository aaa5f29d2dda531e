"""That the packaged daosup runs, on each Python of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.packages.homes import PYTHONS, home_of, interpreter, present
from tests.waiting import wait_until

#: What a caller's environment could spoil.
HOSTILE = {"PYTHONPATH": "/nonexistent/hostile", "PYTHONHOME": "/nonexistent", "PYTHONSTARTUP": "/nonexistent"}
EVERYTHING = """\
import sys, numpy, numpy.fft, numpy.linalg, numpy.ma, numpy.polynomial, numpy.random, numpy.testing
import zmq, zmq.asyncio, redis, redis.asyncio, redis.sentinel, sdnotify, daosup, daoServer
import importlib, pkgutil
for module in pkgutil.walk_packages(daosup.__path__, "daosup."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert zmq.has("curve")
assert numpy.allclose(numpy.linalg.inv(numpy.eye(3) * 2), numpy.eye(3) / 2)
assert daosup.Segment and daosup.DaoServer
inside = sys.argv[1]
for module in ("numpy", "zmq", "redis", "sdnotify", "daosup"):
    assert sys.modules[module].__file__.startswith(inside), sys.modules[module].__file__
"""


@pytest.mark.parametrize("python", present())
def test_all_modules_can_be_imported(root: Path, tmp_path: Path, python: str) -> None:
    home = home_of(root, python, tmp_path)
    subprocess.run([home / "bin/python3", "-I", "-B", "-c", EVERYTHING, str(home)], check=True, cwd=tmp_path)


@pytest.mark.parametrize("python", present())
@pytest.mark.parametrize("program", ["daosupd", "daosupctl"])
def test_programs_run_whatever_the_caller_has_set(root: Path, tmp_path: Path, python: str, program: str) -> None:
    home = home_of(root, python, tmp_path)
    (tmp_path / "daosup.py").write_text("raise SystemExit('a file of the current folder')\n")
    command = [home / "bin/python3", "-I", "-B", home / "bin" / program, "--version"]
    said = subprocess.check_output(command, text=True, env={**os.environ, **HOSTILE}, cwd=tmp_path)
    site = root / f"usr/lib/daosup/python{python}/lib/python{python}/site-packages"
    assert f'"{said.split()[1]}"' in (site / "daosup/__init__.py").read_text()


@pytest.mark.parametrize("python", present())
def test_a_daemon_starts_renews_itself_and_stops(root: Path, tmp_path: Path, python: str) -> None:
    home = home_of(root, python, tmp_path)
    runtime = tmp_path / "run"
    runtime.mkdir()
    words = ["--set", f'runtime_folder="{runtime}"', "--set", f'state_folder="{tmp_path}"', "--redis-port", "1"]
    words += ["--set", 'redis.embedded="never"', "--set", f'segment_folder="{tmp_path}"', "--instance", "try"]
    python3 = [str(home / "bin/python3"), "-I", "-B"]
    environment = {**os.environ, **HOSTILE}
    daemon = subprocess.Popen([*python3, str(home / "bin/daosupd"), *words], env=environment)
    control = [*python3, str(home / "bin/daosupctl"), "--socket", str(runtime / "try.sock")]

    def status() -> dict[str, object]:
        told = subprocess.run([*control, "status", "--json"], capture_output=True, text=True, env=environment)
        return dict(json.loads(told.stdout)) if told.stdout else {}  # exit code 1: the registry is not there

    try:
        wait_until(lambda: bool(status()), 30, "the daemon")
        subprocess.run([*control, "reexec"], check=True, env=environment, stdout=subprocess.DEVNULL)
        wait_until(lambda: bool(status()), 30, "the daemon that took its place")
        assert daemon.poll() is None
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    finally:
        daemon.kill()
        daemon.wait()


def _launcher(root: Path, homes: Path, program: str = "daosupctl") -> Path:
    """The launcher, with its environments in another place."""
    path = homes / program
    path.write_text((root / "usr/bin" / program).read_text().replace("/usr/lib/daosup", str(homes)))
    path.chmod(0o755)
    return path


def _fake(homes: Path, python: str) -> None:
    program = homes / f"python{python}/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho {python} "$@"\n')
    program.chmod(0o755)


def test_the_newest_python_is_taken(root: Path, tmp_path: Path) -> None:
    launcher = _launcher(root, tmp_path)
    for python in PYTHONS:  # from the oldest on
        _fake(tmp_path, python)
        said = subprocess.check_output([launcher, "a b", "*"], text=True, cwd="/").split()
        assert said == [python, "-I", "-B", f"{tmp_path}/python{python}/bin/daosupctl", "a", "b", "*"]


def test_a_python_that_is_gone_is_passed_over(root: Path, tmp_path: Path) -> None:
    launcher = _launcher(root, tmp_path, "daosup-python")
    _fake(tmp_path, "3.9")
    (tmp_path / "python3.12/bin").mkdir(parents=True)
    (tmp_path / "python3.12/bin/python3").symlink_to("/nonexistent/python3.12")
    assert subprocess.check_output([launcher, "-c", "1"], text=True).split() == ["3.9", "-c", "1"]


def test_without_any_python_one_line_says_what_to_do(root: Path, tmp_path: Path) -> None:
    said = subprocess.run([_launcher(root, tmp_path)], capture_output=True, text=True)
    assert said.returncode == 69
    (line,) = said.stderr.splitlines()
    assert "/usr/bin/python3.9" in line
    assert "/usr/bin/python3.14" in line
    assert "apt-get install" in line


def test_a_program_of_ones_own_keeps_its_environment(root: Path, tmp_path: Path) -> None:
    python = max(present(), key=PYTHONS.index)
    home_of(root, python, tmp_path)
    code = "import sys, daosup, numpy; print(sys.executable, *sys.path)"
    launcher = _launcher(root, tmp_path, "daosup-python")
    environment = {**os.environ, "PYTHONPATH": "/nonexistent/mine"}
    said = subprocess.check_output([launcher, "-B", "-c", code], text=True, env=environment).split()
    assert said[0] == str(tmp_path / f"python{python}/bin/python3")
    assert "/nonexistent/mine" in said


def test_some_python_was_tried() -> None:
    assert interpreter(min(present(), key=PYTHONS.index)) is not None
