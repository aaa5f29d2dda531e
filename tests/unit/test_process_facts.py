"""What the kernel says of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from daosup.adapters.process_facts import cpu_ns, own_memory_bytes, resident_bytes, shared_out_bytes


def test_cpu_time_is_that_of_the_whole_process() -> None:
    before_ns, asked_ns = time.process_time_ns(), cpu_ns(os.getpid())
    assert asked_ns is not None
    assert before_ns <= asked_ns <= time.process_time_ns()


def test_cpu_time_is_that_of_another_process_too() -> None:
    burning = "import time\nwhile time.process_time() < 0.1: pass\nprint(time.process_time_ns(), flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", burning], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told_ns = int(child.stdout.readline())
        asked_ns = cpu_ns(child.pid)
        assert asked_ns is not None
        assert told_ns <= asked_ns < told_ns + 1_000_000_000
        child.kill()


def test_memory_is_told_in_three_ways() -> None:
    own, resident, shared_out = (tell(os.getpid()) for tell in (own_memory_bytes, resident_bytes, shared_out_bytes))
    assert resident is not None
    assert shared_out is not None
    assert 1_000_000 < own < resident
    assert 1_000_000 < shared_out <= resident


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child.wait()
    assert (cpu_ns(child.pid), resident_bytes(child.pid), shared_out_bytes(child.pid)) == (None, None, None)
    assert own_memory_bytes(child.pid) == 0
