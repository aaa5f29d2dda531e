"""Which address other hosts are told, on hosts with and without a way out; each a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

_ASK = "from daosup.adapters.own_address import own_address; print(own_address('localhost'))"
_ALONE = ["ip", "link", "set", "lo", "up"]
_IN_A_NETWORK = [
    ["ip", "link", "add", "lan0", "type", "bridge"],
    ["ip", "address", "add", "10.77.0.1/24", "dev", "lan0"],
    ["ip", "link", "set", "lan0", "up"],
]
_WITH_A_WAY_OUT = [
    ["ip", "link", "add", "wan0", "type", "bridge"],
    ["ip", "address", "add", "10.78.0.5/24", "dev", "wan0"],
    ["ip", "link", "set", "wan0", "up"],
    ["ip", "route", "add", "default", "via", "10.78.0.1"],
]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"),
    reason="takes root, iproute2 and util-linux",
)


def _told(*commands: list[str]) -> str:
    """The address that a host tells on which these commands were run."""
    steps = "import subprocess, sys\n" + "".join(
        f"subprocess.run({each!r}, check=True)\n" for each in (_ALONE, *commands)
    )
    asked = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", steps + _ASK], text=True, capture_output=True, timeout=20
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


def test_a_host_alone_has_only_itself() -> None:
    assert _told() == "127.0.0.1"


def test_a_host_of_a_network_without_a_way_out_is_told_by_its_address_there() -> None:
    assert _told(*_IN_A_NETWORK) == "10.77.0.1"


def test_a_way_out_comes_first() -> None:
    assert _told(*_IN_A_NETWORK, *_WITH_A_WAY_OUT) == "10.78.0.5"
