"""What no key decides alone: defaults that depend on the machine, and keys that must fit together.

Invariant: only values that passed their own check come here, so one mistake is never told twice; what is settled
here satisfies the same checks as what an operator writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from daosup.config.kinds import HOST, Refused, found

LAST_PORT = 65535
USUAL_PORT_COUNT = 2000
# sockaddr_un.sun_path is 108 bytes with its closing zero.
SOCKET_PATH_BYTES = 107


def settle_ports(values: dict[str, object], places: Mapping[str, str], mistakes: list[str], usual_base: int) -> None:
    """``network.port_count`` ports exist from ``network.base_pub_port`` on."""
    base = cast(int, values.get("network.base_pub_port", usual_base))
    available = LAST_PORT - base + 1 if base else LAST_PORT
    count = cast(int, values.setdefault("network.port_count", min(USUAL_PORT_COUNT, available)))
    if count > available:
        mistakes.append(
            f"{places['network.port_count']}: network.port_count is {count}, not a whole number from 1 to {available}, "
            f"the ports there are from network.base_pub_port = {base} on"
        )


def settle_names(values: dict[str, object], places: Mapping[str, str], mistakes: list[str], instance: str) -> None:
    """This host has a name, a runtime folder and a control socket that can be bound."""
    machine = os.uname().nodename.partition(".")[0]
    try:
        values.setdefault("host", HOST.read(machine))
    except Refused:
        if "host" not in values:
            mistakes.append(f"host: this machine's name is {found(machine)}, not {HOST.allowed}; set host")
    values.setdefault("state_folder", _usual_state_folder())
    folder = cast(Path, values.setdefault("runtime_folder", _usual_runtime_folder()))
    socket = cast(Path, values.setdefault("control.socket", folder / f"{instance}.sock"))
    size = len(os.fsencode(socket))
    if size > SOCKET_PATH_BYTES:
        place = places.get("control.socket") or places.get("runtime_folder") or "default"
        mistakes.append(
            f"{place}: control.socket is {found(str(socket))}, {size} bytes, not at most {SOCKET_PATH_BYTES} bytes; "
            "set control.socket or a shorter runtime_folder"
        )


def _usual_state_folder() -> Path:
    from_systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if from_systemd.startswith("/"):
        return Path(from_systemd)
    of_user = os.environ.get("XDG_STATE_HOME", "")
    if not of_user.startswith("/"):
        of_user = os.path.join(os.path.expanduser("~"), ".local", "state")
    if os.geteuid() == 0 or not of_user.startswith("/"):  # a user without a home has nothing else to try
        return Path("/var/lib/daosup")
    return Path(of_user) / "daosup"


def _usual_runtime_folder() -> Path:
    from_systemd = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if from_systemd.startswith("/"):
        return Path(from_systemd)
    if os.geteuid() == 0:
        return Path("/run/daosup")
    of_session = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(of_session) / "daosup" if of_session.startswith("/") else Path(f"/tmp/daosup-{os.geteuid()}")
