"""The daemon itself: whether it is there, what it was told, its workers."""

from __future__ import annotations

from collections.abc import Iterator

from daosup.ctl.doctor.facts import Facts, Presence
from daosup.ctl.doctor.findings import Finding, few, ok, plural, problem, skipped, warning
from daosup.ctl.units import duration


def daemon(facts: Facts) -> Iterator[Finding]:
    """Whether it answers, and is the version that is installed."""
    journal = f"its log: journalctl -u {facts.unit}"
    if facts.presence is Presence.ABSENT:
        yield problem("daemon", facts.told, journal)
    elif facts.presence is Presence.SILENT:
        yield problem("daemon", facts.told, f"if it stays so: systemctl kill -s KILL {facts.unit}; streams go on")
    elif facts.presence is Presence.DENIED:
        yield warning("daemon", facts.told, "what only it knows is not checked")
    elif facts.status.get("version") != facts.told:
        yield warning(
            "daemon",
            f"it is version {facts.status.get('version')}, installed is {facts.told}",
            "`daosupctl reexec` has the installed one take over, streams go on",
        )
    else:
        uptime = duration(facts.status.get("uptime_s"))
        yield ok("daemon", f"pid {facts.status.get('pid')} answers, up {uptime}, version {facts.told}")


def configuration(facts: Facts) -> Iterator[Finding]:
    """Whether what is on disk is right, and in force."""
    file = facts.config_file or "no configuration file, all is default"
    said = facts.status.get("config", {})
    if facts.config_mistakes:
        effect = "refused at the next reload, and then no daemon starts" if facts.has_daemon else "no daemon starts"
        for mistake in facts.config_mistakes:
            yield problem("configuration", f"{mistake} ({effect})", "correct it, then `daosupctl reload`")
    elif said.get("mistakes"):
        yield warning(
            "configuration",
            f"the last reload was refused: {said['mistakes'][0]}; the one before is in force",
            "on disk it is right by now: `daosupctl reload`"
            if not facts.config_unread
            else "`daosupctl reload` says more",
        )
    elif facts.config_unread:
        yield skipped("configuration", f"{facts.config_file} cannot be read by you: {facts.config_unread}", "use sudo")
    else:
        yield ok("configuration", f"{file}: right")
    if said.get("needs_restart"):
        yield warning(
            "configuration",
            f"not in force before a restart: {few(said['needs_restart'])}",
            f"when it suits: systemctl restart {facts.unit}",
        )
    if facts.status.get("state_error"):
        yield problem(
            "configuration",
            f"what is kept and stopped is not known: {facts.status['state_error']}",
            "mend that file, then restart daosupd",
        )


def workers(facts: Facts) -> Iterator[Finding]:
    """Whether all run that should; waiting mirrors are the mirrors' check."""
    if not facts.has_daemon:
        return
    rows = facts.workers()
    is_well = True
    for row in rows:
        told = f"{row.get('kind')} {row.get('source')}"
        if row.get("state") in ("failed", "restarting"):
            is_well = False
            next_try = f", next try in {duration(row['next_try_s'])}" if row.get("next_try_s") is not None else ""
            yield problem(
                "workers",
                f"{told} {row['state']} after {plural(int(row.get('restarts') or 0), 'restart')}: "
                f"{row.get('reason') or row.get('last_exit') or 'reason unknown'}{next_try}",
                "its last words: `daosupctl status`; when the cause is mended: "
                f"`daosupctl restart {_named(row, facts)}`",
            )
        elif row.get("warning"):
            is_well = False
            yield warning("workers", f"{told}: {row['warning']}", "mend that, then `daosupctl restart` it")
    for what, field, advice in (
        ("died since the daemon began", "restarts", "why, is in the log: journalctl -u " + facts.unit),
        ("dropped messages that are none of ours", "rejected", "find out who else sends to those ports"),
    ):
        some = [row for row in rows if row.get(field) and row.get("state") not in ("failed", "restarting")]
        if some:
            is_well = False
            names = few(f"{row.get('kind')} {row.get('source')} ({row[field]}x)" for row in some)
            yield warning("workers", f"{plural(len(some), 'worker')} {what}: {names}", advice)
    if is_well:
        stopped = sum(row.get("state") == "stopped" for row in rows)
        running = sum(row.get("state") == "running" for row in rows)
        yield ok("workers", f"{running} of {len(rows)} run, {stopped} are stopped on purpose")


def _named(row: object, facts: Facts) -> str:
    assert isinstance(row, dict)
    own = f"{facts.status.get('host')}:"
    return str(row.get("source")) if row.get("kind") == "mirror" else str(row.get("source")).removeprefix(own)


CHECKS = (daemon, configuration, workers)
