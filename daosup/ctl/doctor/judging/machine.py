"""What the machine gives: folders and their space, limits of the daemon's process."""

from __future__ import annotations

from collections.abc import Iterator

from daosup.adapters.machine_look import UNLIMITED, FolderLook
from daosup.ctl.doctor.facts import Facts
from daosup.ctl.doctor.findings import Finding, ok, plural, problem, skipped, warning
from daosup.ctl.units import quantity

_MEMORY = ("tmpfs", "ramfs", "hugetlbfs")
_KEYS = {"segments": "segment_folder", "runtime": "runtime_folder", "state": "state_folder"}
_WHAT = {
    "segments": "the segment folder",
    "semaphores": "the folder of semaphores",
    "runtime": "the runtime folder",
    "state": "the state folder",
}
#: Less than this, and the next segment may not fit.
_LITTLE_BYTES = 16 * 1024 * 1024
_LITTLE_PART = 0.05
#: What a small file may need at least.
_NOTHING_BYTES = 64 * 1024
#: The supervisor itself, its connections and those of operators.
_FILES_BESIDE = 64


def folders(facts: Facts) -> Iterator[Finding]:
    """Whether each folder is there, may be used, has room, and is in memory where that matters."""
    for what, look in facts.folders.items():
        found = list(_of(what, look, facts))
        yield from found
        if not found:
            room = f"{quantity(look.free_bytes, 'B')} of {quantity(look.size_bytes, 'B')} free"
            yield ok("folders", f"{_WHAT[what]} {look.path}: {look.file_system or 'unknown file system'}, {room}")


def _of(what: str, look: FolderLook, facts: Facts) -> Iterator[Finding]:
    name, key = f"{_WHAT[what]} {look.path}", _KEYS.get(what, "")
    if look.error is not None or not look.is_folder:
        is_made_later = what in ("runtime", "state") and look.error == "No such file or directory"
        if is_made_later and (what == "state" or not facts.has_daemon):
            return  # it is made when it is needed
        why = look.error or "it is no folder"
        if look.error == "Permission denied":
            yield skipped("folders", f"{name} may not be seen by you", "use sudo")
        else:
            yield problem("folders", f"{name}: {why}", f"make it, or correct {key}" if key else "mount a tmpfs there")
        return
    if look.is_others:
        yield problem(
            "folders",
            f"the daemon sees another {look.path} than you: it has mounts of its own",
            "take PrivateTmp= and the like out of its unit, or have segments in another folder",
        )
    if look.may_write is False:
        uid = facts.process.uid if facts.process else "?"
        yield problem(
            "folders",
            f"{name}: the daemon (uid {uid}) may not make files there (mode {look.mode:04o})",
            f"chmod or chown it for that user{f', or correct {key}' if key else ''}",
        )
    if what in ("segments", "semaphores") and look.mode & 0o1002 == 0o002:
        yield warning(
            "folders", f"{name}: anybody may remove anybody's files (mode {look.mode:04o})", f"chmod +t {look.path}"
        )
    if what in ("segments", "semaphores") and look.file_system and look.file_system not in _MEMORY:
        yield warning(
            "folders",
            f"{name} is on {look.file_system}, not in memory: writing back to disk can hold frames up",
            f"mount a tmpfs there{f', or correct {key}' if key else ''}",
        )
    yield from _room(what, name, look, facts)


def _room(what: str, name: str, look: FolderLook, facts: Facts) -> Iterator[Finding]:
    largest = max((int(each.get("nbytes") or 0) for each in facts.status.get("segments", ())), default=0)
    least = max(_LITTLE_BYTES, largest) if what == "segments" else _NOTHING_BYTES
    free = f"{quantity(look.free_bytes, 'B')} of {quantity(look.size_bytes, 'B')} free"
    advice = f"remove what nobody uses: du -a {look.path} | sort -n | tail"
    if look.file_system in _MEMORY:
        advice += f"; or: mount -o remount,size=... {look.path}"
    if look.size_bytes and look.free_bytes < min(least, look.size_bytes // 2):
        yield problem("folders", f"{name} is as good as full: {free}", advice)
    elif look.size_bytes and look.free_bytes < _LITTLE_PART * look.size_bytes:
        yield warning("folders", f"{name} is filling up: {free}", advice)
    if look.inodes and not look.free_inodes:
        yield problem("folders", f"{name} can hold no more files (inodes)", advice)


def limits(facts: Facts) -> Iterator[Finding]:
    """Whether the daemon's process may do what its configuration and its number of workers ask for."""
    process, settings = facts.process, facts.settings
    if not facts.has_daemon or settings is None:
        return
    if process is None:
        yield skipped("limits", "the limits of the daemon's process cannot be seen", "ask on its host, or use sudo")
        return
    is_well = True
    count = len(facts.workers())
    wanted = max((process.open_files or 0), count + _FILES_BESIDE)
    if process.most_files != UNLIMITED and wanted > 0.8 * process.most_files:
        is_well = False
        yield (problem if wanted >= process.most_files else warning)(
            "limits",
            f"{plural(count, 'worker')} need about {wanted} open files, of {process.most_files} allowed",
            "set LimitNOFILE=65536 in its unit",
        )
    wants_fifo = settings.fifo_priority > process.most_rtprio != UNLIMITED
    if wants_fifo and not process.may_use_real_time:
        is_well = False
        yield problem(
            "limits",
            f"fifo_priority {settings.fifo_priority} is configured, but only {process.most_rtprio} is allowed",
            f"set LimitRTPRIO={settings.fifo_priority} and RestrictRealtime=no in its unit",
        )
    if settings.lock_memory and not process.may_lock_memory:
        is_well = False
        yield problem(
            "limits",
            f"lock_memory is configured, but only {quantity(process.most_memlock_bytes, 'B')} may be locked",
            "set LimitMEMLOCK=infinity in its unit",
        )
    if is_well:
        files = "unlimited" if process.most_files == UNLIMITED else process.most_files
        yield ok("limits", f"open files: about {wanted} needed, {files} allowed; what is configured is allowed")


CHECKS = (folders, limits)
