"""Who has a segment of this machine open, which semaphore each waits on, and who is too slow.

Invariant: the daemon and we look, each with its own rights, and what either may see is shown; what neither may see is
counted and said.
"""

from __future__ import annotations

import os

from daosup.core.types import SEGMENT_SUFFIX
from daosup.ctl.asking import ask_object, tell
from daosup.ctl.tables import Column, Style, safe, table, wrapped
from daosup.ctl.units import UNKNOWN, count, duration, quantity, shape
from daosup.errors import NotFoundError, ProtocolError, UnavailableError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

ASK_S = 10.0
#: Where DAO programs have their segments, if no daemon says otherwise.
_USUAL_FOLDER = "/tmp"
#: A reader that a frame waits for so often is too slow for all of them.
_LATE = 0.5
_COLUMNS = (
    Column("PID", is_number=True),
    Column("USER"),
    Column("COMMAND", is_name=True),
    Column("OPEN TO"),
    Column("SEMAPHORE"),
    Column("ASLEEP", is_number=True),
    Column("LATE", is_number=True),
    Column("BEHIND", is_number=True),
)


def who(options: Options) -> int:
    """Who has a segment open."""
    name = options.name or ""
    if options.host is not None:
        found = ask_object(options, "who", ASK_S, {"name": name})
    elif "/" in name:
        found = _own_look(name)
    else:
        found = _here(options, name)
    try:
        tell(options, found, lambda style, width: who_report(found, style, width))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"{options.host or 'daosupd'} tells it otherwise than this version: {error!r}") from None
    return 0


def _here(options: Options, name: str) -> dict[str, Any]:
    """What the daemon sees, and what we see beside."""
    try:
        theirs = ask_object(options, "who", ASK_S, {"name": name})
    except UnavailableError as error:
        path = os.path.join(_USUAL_FOLDER, name + SEGMENT_SUFFIX)
        if isinstance(error, NotFoundError) or ":" in name or not os.path.exists(path):
            raise
        return _own_look(path) | {"daemon_error": str(error)}
    return theirs if is_whole(theirs) else merged(theirs, _own_look(str(theirs["path"])))


def is_whole(theirs: dict[str, Any]) -> bool:
    """Whether the daemon may see everything, so that a look of our own would find nothing more."""
    is_all_seen = not theirs["is_hidden"] and not theirs["unseen"] and theirs["counter"] is not None
    return is_all_seen and all(each["is_exact"] for each in theirs["processes"])


def _own_look(path: str) -> dict[str, Any]:
    from daosup.adapters.segment_users import look_at_users
    from daosup.shm.glance import facts_between, glance_or_none

    path = os.path.abspath(path)
    if not os.path.lexists(path):
        raise NotFoundError(f"{path}: there is no such file")
    before = glance_or_none(path)
    use = look_at_users(path)
    name = os.path.basename(path)
    told = use.as_json()
    for process in told["processes"]:
        process.update(worker=None, worker_source=None, behind=None)
    return {
        "host": None,
        "name": name[: -len(SEGMENT_SUFFIX)] if name.endswith(SEGMENT_SUFFIX) else name,
        "source": None,
        "path": path,
        **facts_between(before, glance_or_none(path)),
        **told,
    }


def merged(theirs: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What two looks at one segment of one machine tell together, with the names that the first one has."""
    processes = {each["pid"]: each for each in own["processes"]}
    for each in theirs["processes"]:
        mine = processes.get(each["pid"])
        seen = mine if mine is not None and (mine["is_exact"] or not each["is_exact"]) else each
        processes[each["pid"]] = seen | {key: each[key] for key in ("worker", "worker_source", "behind")}
    may_not = {each["pid"] for each in theirs["unseen"]}

    def is_unseen(process: dict[str, Any]) -> bool:
        if process["user"] == theirs["seen_as"]:
            return process["pid"] in may_not
        return theirs["is_hidden"] or process["pid"] in may_not

    known = theirs if own["counter"] is None else own
    facts = ("shape", "dtype", "layout", "depth", "nbytes", "rate_hz", "age_s", "counter", "user", "semaphores")
    return {
        **theirs,
        **{key: known[key] for key in facts},
        "semaphores": own["semaphores"] or theirs["semaphores"],
        "processes": sorted(processes.values(), key=lambda each: each["pid"]),
        "unseen": [each for each in own["unseen"] if is_unseen(each) and each["pid"] not in processes],
        "is_hidden": theirs["is_hidden"] and own["is_hidden"],
        "seen_as": own["seen_as"],
    }


def who_report(found: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The lines of ``daosupctl who``."""
    lines = _about(found, style, width)
    processes = found["processes"]
    if processes:
        lines += ["", *table(_COLUMNS, map(_row, processes), style, width)]
    else:
        lines += ["", "nobody has it open, as far as is seen"]
    told = [*(_trouble(each) for each in processes), *_sleepers_unseen(found), _unseen(found)]
    if found.get("daemon_error"):
        told.append(f"no daemon was asked: {found['daemon_error']}")
    return lines + [style(line, "doubtful") for each in told if each for line in wrapped(each, width, "")]


def _about(found: dict[str, Any], style: Style, width: int | None) -> list[str]:
    is_mirror = found["source"] and not str(found["source"]).endswith(f":{found['name']}")
    name = f"{found['name']}, mirror of {found['source']}" if is_mirror else str(found["source"] or found["name"])
    if found["shape"] is None:
        what = "may not be read by you"
    else:
        depth = f" x{found['depth']}" if found["depth"] != 1 else ""
        what = f"{shape(found['shape'])} {safe(found['dtype'])}, {safe(found['layout'])}{depth}"
        what += f", {quantity(found['nbytes'], 'B')}, of user {safe(found['user'])}"
    written = "never written"
    if found["age_s"] is not None:
        ago = "just now" if found["age_s"] < 1 else f"{duration(found['age_s'])} ago"
        written = f"frame {found['counter']} written {ago}, {quantity(found['rate_hz'], 'Hz')}"
    return [style(safe(name), "strong"), *wrapped(what, width), f"  {safe(found['path'])}", f"  {written}"]


def _row(process: dict[str, Any]) -> tuple[str, ...]:
    command = f"{process['worker']} {process['worker_source']}" if process.get("worker") else process["command"]
    waits = ", ".join(str(each["semaphore"]) for each in process["waits"])
    if not waits and len(process["semaphores"]) == 1:
        waits = str(process["semaphores"][0])
    unsure = "?" if waits and not process["is_exact"] else ""
    asleep = max((each["asleep"] for each in process["waits"]), default=0.0 if waits else None)
    return (
        str(process["pid"]),
        process["user"],
        command,
        process["access"],
        (waits or UNKNOWN) + unsure,
        _percent(asleep),
        _percent(process["late"]),
        count(process.get("behind")),
    )


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.0%}"


def _trouble(process: dict[str, Any]) -> str:
    """What is not as it should be; empty if nothing."""
    who = f"{process['command']} ({process['pid']})"
    if process["is_replaced"]:
        return f"{who} has one that was removed or made anew since, and sees no frame of this one: restart it"
    if process["is_stopped"]:
        return f"{who} stands still, by a signal or in a debugger; kill -CONT {process['pid']} lets it go on"
    if (process["late"] or 0.0) >= _LATE:
        return f"{who} is too slow: a frame waited for it {process['late']:.0%} of the time"
    return ""


def _sleepers_unseen(found: dict[str, Any]) -> list[str]:
    """Semaphores on which more sleep than was seen; also who was killed in its sleep still counts there."""
    seen: dict[int, int] = {}
    for process in found["processes"]:
        for wait in process["waits"]:
            seen[wait["semaphore"]] = seen.get(wait["semaphore"], 0) + 1
    return [
        f"semaphore {each['number']}: {each['sleepers']} sleep on it, as it counts, and {seen.get(each['number'], 0)} "
        "were seen"
        for each in found["semaphores"]
        if each["sleepers"] > seen.get(each["number"], 0)
    ]


def _unseen(found: dict[str, Any]) -> str:
    """Whom we may not look into."""
    name = f"{found['host']}: " if found.get("host") else ""
    sudo = f"; all are seen with: sudo daosupctl who {found['name']}" if found["seen_as"] != "root" else ""
    if found["is_hidden"]:
        return f"{name}only processes of user {found['seen_as']} are seen, others are hidden{sudo}"
    if not found["unseen"]:
        return ""
    users: dict[str, int] = {}
    for each in found["unseen"]:
        users[each["user"]] = users.get(each["user"], 0) + 1
    told = ", ".join(f"{number} of {user}" for user, number in sorted(users.items()))
    what = "process" if len(found["unseen"]) == 1 else "processes"
    return f"{len(found['unseen'])} {what} may not be looked into ({told}){sudo}"
