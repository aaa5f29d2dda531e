"""The segments: what is none, what is old, and who waits on the same semaphore."""

from __future__ import annotations

from collections.abc import Iterator

from daosup.adapters.semaphore_look import SemaphoreLook
from daosup.core.layout import Layout
from daosup.ctl.doctor.facts import Facts
from daosup.ctl.doctor.findings import Finding, few, ok, plural, problem, warning

_OLD = {Layout.V0.value: "before April 2026", Layout.SEMREG.value: "the branch of January 2026"}


def refused(facts: Facts) -> Iterator[Finding]:
    """Files that are named like segments and are none, or cannot be read."""
    for name, reason in sorted(facts.refused.items()):
        if "Permission denied" in reason:
            uid = f"its user (uid {facts.process.uid})" if facts.process else "the user it runs as"
            advice = (
                f"daosupd needs to read and write it: systemctl start {_access(facts)} lets it at all of them; "
                f"or let {uid} at it, or publish.exclude it"
            )
        elif "not a DAO segment" in reason:
            advice = "its writer makes it anew; remove it if nobody writes it, or publish.exclude it"
        else:
            advice = "rename or remove it"
        yield problem("segments", f"{name} is not served: {reason}", advice)
    if not facts.refused:
        yield ok("segments", f"{plural(len(facts.segments), 'segment')} here, no file that is refused")


def layouts(facts: Facts) -> Iterator[Finding]:
    """Segments that DAO's present library does not read."""
    has_old = False
    for layout, since in _OLD.items():
        names = sorted(name for name, each in facts.segments.items() if each == layout)
        if names:
            has_old = True
            yield warning(
                "layouts",
                f"{few(names)}: of the old layout {layout} ({since}), which programs with a newer libdao do not read",
                "build their writers with the libdao that all others have; for mirrors see mirrors.layout",
            )
    if not has_old:
        yield ok("layouts", "no segment of an old layout")


def semaphores(facts: Facts) -> Iterator[Finding]:
    """Semaphores that two wait on: each post wakes only one of them."""
    is_well = True
    for look in facts.semaphores:
        finding = _of(look, facts)
        if finding is not None:
            is_well = False
            yield finding
    if facts.locked_semaphores:
        is_well = False
        yield warning(
            "semaphores",
            f"{few(facts.locked_semaphores)}: daosupd may not wait on its semaphore, and polls instead",
            f"systemctl start {_access(facts)}, let its user read and write /dev/shm/sem.NAME_*, or run daosupd as the "
            "writer's user",
        )
    if is_well:
        yield ok("semaphores", "none is waited on by two")


def _access(facts: Facts) -> str:
    """The service that lets the daemon at other users' segments."""
    return facts.unit.replace("daoserver@", "daosup-access@")


def _of(look: SemaphoreLook, facts: Facts) -> Finding | None:
    name = f"/{look.base}_sem{look.number:02d}"
    own = facts.settings.semaphore if facts.settings else 9
    workers = {row.get("pid"): row.get("kind") for row in facts.workers()}  # mirrors that are written back wait, too
    who = few(f"{workers.get(each.pid, each.command)} (pid {each.pid})" for each in look.waiters)
    advice = "let each wait on a semaphore of its own"
    if look.number == own:
        advice = f"let that program wait on one of 0 to 8: {own} is daosup's (publish.semaphore)"
    if not look.is_exact:
        if look.sleepers < 2 or len(look.waiters) < 2:
            return None
        return warning(
            "semaphores",
            f"{name} seems to be waited on by {look.sleepers} threads; {who} have it open",
            "`sudo daosupctl doctor` sees who waits",
        )
    if look.thread_count >= 2:
        is_one = len(look.waiters) == 1
        what = f"{look.thread_count} threads of one process" if is_one else f"{len(look.waiters)} processes"
        return problem("semaphores", f"{name} is waited on by {what}, who steal each other's frames: {who}", advice)
    if look.thread_count and look.number == own and not any(each.pid in workers for each in look.waiters):
        return warning(
            "semaphores", f"{name} is waited on by {who}; so will the publisher when {look.base} is read", advice
        )
    return None


CHECKS = (refused, layouts, semaphores)
