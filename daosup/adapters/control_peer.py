"""Who is at the other end of the control socket, and whether he may change things.

Invariant: everybody may look; who is not known for sure to be root, the daemon's own user or in the control group may
only look. What counts is what the kernel noted when the connection was made, not what a caller says of himself.
"""

from __future__ import annotations

import grp
import os
import socket
import struct
from dataclasses import dataclass

#: pid, uid and gid.
_CREDENTIALS = struct.Struct("i2I")
#: Of asm-generic/socket.h; Python does not name it.
_SO_PEERGROUPS = 59
#: As many as Python's getsockopt has room for.
_MOST_GROUPS = 256


@dataclass(frozen=True)
class Caller:
    """Who asks for something.

    Attributes:
        name: What he is called in the log.
        refusal: Why he may change nothing, and what to do about it; empty if he may.
    """

    name: str
    refusal: str = ""

    @property
    def may_change(self) -> bool:
        """Whether he may do more than look."""
        return not self.refusal


class Gate:
    """Tells who may change things: root, this process's own user, and the members of one group.

    Args:
        group_id: That group.
    """

    def __init__(self, group_id: int) -> None:
        self._group_id = group_id
        self._refusal = _refusal(group_id)  # now, for the name of a group may be long in coming

    def caller_of(self, connection: socket.socket) -> Caller:
        """Who is at the other end of a connection that the control socket accepted."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, gid = _CREDENTIALS.unpack(raw)
        is_trusted = uid in (0, os.geteuid()) or self._group_id == gid or self._group_id in _groups(connection)
        return Caller(f"uid {uid}", "" if is_trusted else self._refusal)


def _groups(connection: socket.socket) -> tuple[int, ...]:
    """The other groups of who connected; a user of more than there is room for counts as being in none of them."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _refusal(group_id: int) -> str:
    if group_id == 0:
        return "you may look, but not change anything: only root may; use sudo"
    try:
        group = grp.getgrgid(group_id).gr_name
    except KeyError:
        group = str(group_id)
    return (
        f"you may look, but not change anything: join the group {group} (usermod -aG {group} USER, then log in "
        "anew), or use sudo"
    )
