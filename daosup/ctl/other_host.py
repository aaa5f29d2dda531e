"""Runs a command of daosupctl on another host, by ssh as ``systemctl -H`` does.

Invariant: the host is called as the user's ssh calls it; only if nobody knows that name, it is looked up among the
hosts that our daemon knows.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control_client import ControlClient, find_socket
from daosup.errors import DaosupError, NotFoundError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}\Z")
#: What ssh itself, or the other host's shell, ends with.
_NOT_REACHED, _NO_COMMAND = 255, 127
_ASK_S = 5.0


def logs_of(host: str, words: Sequence[str]) -> int:
    """Run ``words`` on a host; returns the exit code it ended with.

    Raises:
        UsageError: If there can be no such host.
        NotFoundError: If nobody knows it.
        UnavailableError: If it cannot be reached, or has no daosupctl; or if this machine has no ssh.
    """
    import shlex

    if not _HOST.match(host):
        raise UsageError(f"{host!r} cannot be a host; write for example --host lab, or --host user@lab")
    try:
        address = _address_of(host)
        command = ["ssh", *address, "--", host, shlex.join(words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise UnavailableError("there is no ssh on this machine, by which other hosts are asked") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == _NOT_REACHED:
        why = said.splitlines()[-1] if said else "ssh says nothing"
        raise UnavailableError(f"{host} cannot be reached by ssh: {why.removeprefix('ssh: ')}")
    if done.returncode == _NO_COMMAND:
        raise UnavailableError(f"{host} has no daosupctl in the PATH of its shell: install daosup there")
    if said:
        print(said, file=sys.stderr)
    return done.returncode


def _address_of(host: str) -> list[str]:
    """What ssh must be told beside the name.

    Raises:
        NotFoundError: If nobody knows it.
    """
    name = host.rpartition("@")[2]
    told = subprocess.run(["ssh", "-G", "--", host], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    lines = told.stdout.decode("utf-8", "replace").splitlines()
    settings = {key: value for key, _, value in (line.partition(" ") for line in lines)}
    goes_elsewhere = settings.get("hostname", name).lower() != name.lower()
    if goes_elsewhere or settings.keys() & {"proxyjump", "proxycommand"} or _resolves(name):
        return []
    known = _known_hosts()
    if known is None:
        return []  # ssh will say what is wrong
    if name not in known:
        from daosup.core.nearest import did_you_mean

        raise NotFoundError(f"nobody knows a host {name!r}{did_you_mean(name, sorted(known))}")
    return ["-o", f"HostName={known[name]}"]


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


def _known_hosts() -> Optional[dict[str, str]]:
    """The addresses of the hosts that our daemon knows; None if it cannot be asked."""
    try:
        with ControlClient(find_socket(), _ASK_S) as client:
            machines: Any = client.call("machines")
        return {each["hostname"]: each["ip"] for each in machines if each["ip"]}
    except (DaosupError, TypeError, KeyError):
        return None
