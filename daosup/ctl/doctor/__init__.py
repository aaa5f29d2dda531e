"""``daosupctl doctor``: what is wrong on this host, why, and what to do about it.

Facts are gathered first (``gathering``, by the looks of ``adapters/*_look.py``), then judged (``judging``, pure).
"""

from __future__ import annotations

from typing import Any, Optional

from daosup import __version__
from daosup.ctl.asking import show, tell
from daosup.ctl.doctor.facts import Facts
from daosup.ctl.doctor.findings import Finding, Level
from daosup.ctl.doctor.gathering import Asked, gather
from daosup.ctl.doctor.judging import judge
from daosup.ctl.options import Options
from daosup.ctl.tables import Style, safe
from daosup.errors import ProtocolError, UsageError

#: How long the doctors of other hosts may take, seconds.
OTHERS_S = 25.0
#: As ``daosupctl --help`` says.
EXIT_CODES = {Level.OK: 0, Level.SKIPPED: 0, Level.WARNING: 1, Level.PROBLEM: 2}
_COLOURS = {Level.OK: "good", Level.SKIPPED: "faint", Level.WARNING: "doubtful", Level.PROBLEM: "bad"}
_WORDS = {Level.OK: "fine", Level.SKIPPED: "not checked"}


def doctor(options: Options) -> int:
    """Examine this host, or others; 1 if something is not as it should be, 2 if data do not flow or soon will not."""
    if options.host is not None or options.all:
        return _of_others(options)
    facts = gather(Asked(options.instance, options.socket, options.config))
    findings = judge(facts)
    host = str(facts.settings.host if facts.settings else facts.status.get("host", "this host"))
    tell(options, as_json(facts, findings), lambda style, width: report(host, findings, style, options.verbose))
    return max(EXIT_CODES[finding.level] for finding in findings)


def as_json(facts: Facts, findings: list[Finding]) -> dict[str, Any]:
    """For programs: all findings, and how many there are of each level."""
    return {
        "host": facts.settings.host if facts.settings else facts.status.get("host"),
        "instance": facts.settings.instance if facts.settings else facts.status.get("instance"),
        "version": __version__,
        "findings": [finding.as_json() for finding in findings],
        "counts": {level.value: _count(findings, level) for level in Level},
    }


def _of_others(options: Options) -> int:
    """What the daemons of other hosts have their doctors say."""
    if options.config is not None:
        raise UsageError("--config is for a daemon of this host that does not run; other hosts are asked by theirs")

    def lines(found: Any, style: Style, width: Optional[int]) -> list[str]:
        return report(str(found.get("host")), _findings_in(found), style, options.verbose)

    def exit_code(found: Any) -> int:
        return max((EXIT_CODES[finding.level] for finding in _findings_in(found)), default=0)

    return show(options, "doctor", OTHERS_S, lines, exit_code=exit_code, is_named=True)


def _findings_in(found: Any) -> list[Finding]:
    try:
        return [
            Finding(str(each["check"]), Level(each["level"]), str(each["message"]), str(each["advice"]))
            for each in found["findings"]
        ]
    except (KeyError, TypeError, ValueError):
        raise ProtocolError("a doctor of another version says what this one does not understand") from None


def report(host: str, findings: list[Finding], style: Style, is_verbose: bool) -> list[str]:
    """For people: what is wrong, worst first, and how much is right; if ``is_verbose``, that too."""
    shown = [each for each in findings if is_verbose or each.level in (Level.WARNING, Level.PROBLEM)]
    order = list(Level)
    shown.sort(key=lambda each: -order.index(each.level))
    lines = []
    for each in shown:
        advice = f": {safe(each.advice)}" if each.advice else ""
        level = style(f"{each.level.value:8}", _COLOURS[each.level])
        lines.append(f"{level} {safe(each.check):13} {safe(each.message)}{style(advice, 'strong')}")
    counts = [(_count(findings, level), _WORDS.get(level, level.value)) for level in reversed(order)]
    told = ", ".join(
        f"{count} {word}{'s' if word in ('problem', 'warning') and count != 1 else ''}" for count, word in counts
    )
    hint = "" if is_verbose else "; -v shows all"
    return [*lines, f"{safe(host)}: {told}{hint}"]


def _count(findings: list[Finding], level: Level) -> int:
    return sum(finding.level is level for finding in findings)
