"""Writing back as programs and operators ask for it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

OPEN = """
import sys
import numpy as np
import daosup
with daosup.open(sys.argv[1], write_back=True) as dm:
    for value in range(1, 6):
        dm.write(np.full(dm.shape, value, dm.dtype), wait=True)
print("written")
"""
DAO = """
import sys
import time
import numpy as np
from daoServer import DaoServer
server = DaoServer(redis_host="127.0.0.1", redis_port=int(sys.argv[2]))
host, name = sys.argv[1].split(":")
dm = server.get_remote_shm(host, name, bidirectional=True)
dm.set_data(np.full((6, 7), 9, "int32"))
sys.stdin.read()
server.release_remote_shm(host, name)
server.stop()
"""


def run(hosts: Fleet, code: str, source: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, source, str(hosts.redis.port)],
        env={**os.environ, "DAOSUP_SOCKET": str(hosts.lab.socket)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def source(hosts: Fleet) -> str:
    segment = hosts.rts.create("asked", (6, 7), "int32")
    segment.write(np.zeros((6, 7), "int32"))
    segment.close()
    return "rts:asked"


def newest(hosts: Fleet) -> int:
    with Segment.open(hosts.rts.path("asked"), writable=False) as segment:
        return int(segment.read().max())


def test_a_program_opens_a_segment_of_another_host_for_writing(hosts: Fleet, source: str) -> None:
    said, error = run(hosts, OPEN, source).communicate(timeout=30)
    assert said == "written\n", error
    assert newest(hosts) == 5


def test_a_program_for_the_existing_daemon_writes_as_it_always_did(hosts: Fleet, source: str) -> None:
    program = run(hosts, DAO, source)
    try:
        wait_until(lambda: newest(hosts) == 9 or program.poll() is not None, 15.0, "what the program writes")
    finally:
        _, error = program.communicate("", timeout=30)
    assert (program.returncode, newest(hosts)) == (0, 9), error
    wait_until(lambda: hosts.lab.mirrored() == [], 10.0, "the mirror to be released")


def test_an_operator_has_a_mirror_written_back_and_sees_it(hosts: Fleet, source: str) -> None:
    def daosupctl(*arguments: str) -> str:
        command = [sys.executable, "-m", "daosup.ctl", "--socket", str(hosts.lab.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    daosupctl("mirror", source, "--write-back")
    assert "rts (written)" in daosupctl("status")
    with Segment.open(hosts.lab.path("remote_rts_asked"), writable=True) as mirror:
        mirror.write(np.full((6, 7), 3, "int32"), wait=True)
    assert newest(hosts) == 3
    daosupctl("release", source)
