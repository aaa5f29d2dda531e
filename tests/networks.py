"""Networks that only this thread and the processes that it starts see; root alone can make them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

takes_networks = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="takes root and iproute2")


@contextmanager
def own_network() -> Iterator[None]:
    """Nothing but a loopback that is up, meanwhile."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            ip("link set lo up")
            yield
        finally:
            _check(_LIBC.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


def ip(arguments: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *arguments.split()], check=True, timeout=20)


def add_interface(name: str, address: str) -> None:
    """Make an interface that is up and has this address."""
    ip(f"link add {name} type bridge")
    ip(f"address add {address}/24 dev {name}")
    ip(f"link set {name} up")


def _check(returned: int) -> None:
    if returned != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
