"""A run of ``python -m bench`` that is ended in its midst."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys, types
from bench import __main__ as bench
from bench.figures import Row

def measure(plan):
    yield Row("quick one", "ms", (1.0, 2.0))
    os.kill(os.getpid(), signal.SIGINT)
    yield Row("never", "ms", (3.0,))

bench.MEASUREMENTS["two"] = types.SimpleNamespace(measure=measure, __doc__="")
sys.exit(bench.main(["two", "--json", sys.argv[1], "--write", sys.argv[2]]))
"""


def test_what_was_measured_is_told_and_kept_and_no_page_is_made_of_it(tmp_path: Path) -> None:
    file, page = tmp_path / "result.json", tmp_path / "page.md"
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), str(page)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 130, ended.stderr
    assert "interrupted" in ended.stderr
    assert "quick one" in ended.stdout
    rows = json.loads(file.read_text())["measurements"]["two"]
    assert [(row["what"], row["samples"]) for row in rows] == [("quick one", [1.0, 2.0])]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json"]
