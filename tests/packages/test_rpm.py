"""The .rpm in a root of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(os.geteuid() != 0, reason="rpm --root is for root")
def test_it_installs_verifies_and_goes(rpm: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    command = ["rpm", "--root", str(root)]
    subprocess.run([*command, "--initdb"], check=True)
    install = [*command, "--install", "--nodeps", "--noscripts", "--notriggers", "--nosignature", str(rpm)]
    subprocess.run(install, check=True)
    verified = subprocess.run([*command, "--verify", "--nodeps", "daosup"], capture_output=True, text=True)
    assert (verified.returncode, verified.stdout) == (0, "")
    changed = root / "etc/daosup/master.toml"
    changed.write_text(changed.read_text() + "# changed\n")
    subprocess.run([*command, "--erase", "--nodeps", "--noscripts", "--notriggers", "daosup"], check=True)
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "rpm" not in path.parent.name}
    assert left == {"etc/daosup/master.toml.rpmsave"}


def test_it_needs_nothing_that_was_found_by_itself(rpm: Path) -> None:
    needed = subprocess.check_output(["rpm", "-qp", "--requires", rpm], text=True)
    assert ".so" not in needed
    assert "(python3 >= 3.9 or python3.9 or python39 " in needed
    offered = subprocess.check_output(["rpm", "-qp", "--provides", rpm], text=True)
    assert ".so" not in offered
