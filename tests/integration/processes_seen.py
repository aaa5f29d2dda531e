"""Processes as the kernel tells of them."""

from __future__ import annotations

import os
from pathlib import Path


def processes_of_session(session: int) -> list[int]:
    """All processes that live in a session."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_of(int(entry))
            if fields and int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry))
    return found


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (state, parent, group, session …); empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def child_of(parent: int, name: str) -> int:
    """The one child of a process that has this name."""
    (found,) = children_of(parent, name)
    return found


def children_of(parent: int, name: str) -> list[int]:
    """The children of a process that have this name."""
    children = (int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return [child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == name]


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    fields = stat_of(pid)
    return bool(fields) and fields[0] != "Z"
