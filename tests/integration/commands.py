"""daosupctl as a process, on hosts of a fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

from tests.integration.fleet import Host

DEADLINE_S = 40.0
#: A user who is nobody to the daemons.
NOBODY = 65534

# Only the connection is that user's, for the interpreter itself may be where nobody else gets at it.
_AS_SOMEBODY = """
import grp, os, sys
from daosup import ctl
from daosup.adapters import control_client

user, groups, connect = int(sys.argv.pop(1)), [int(each) for each in sys.argv.pop(1).split()], control_client.connect

def connect_as_user(path, timeout_s):
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(user)
    os.seteuid(user)
    try:
        return connect(path, timeout_s)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)

control_client.connect = connect_as_user
sys.exit(ctl.main())
"""


def daosupctl(
    host: Host, *arguments: str, user: Optional[int] = None, groups: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run it on a host; as another ``user``, which only root can, who is in these ``groups`` beside his own."""
    program = ["-m", "daosup.ctl"]
    if user is not None:
        program = ["-c", _AS_SOMEBODY, str(user), " ".join(map(str, groups))]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env={**os.environ, "DAOSUP_SOCKET": str(host.socket), "NO_COLOR": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
    )
