"""What is the matter: pure functions over the facts, one for each check.

Invariant: nothing here looks at anything but its arguments, and each check says at least one thing, if only that all is
well; what all workers or hosts have in common is one line.
"""

from __future__ import annotations

from daosup.ctl.doctor.facts import Facts
from daosup.ctl.doctor.findings import Finding
from daosup.ctl.doctor.judging import daemon, dnet, machine, registry, segments, streams

CHECKS = (*daemon.CHECKS, *registry.CHECKS, *streams.CHECKS, *dnet.CHECKS, *segments.CHECKS, *machine.CHECKS)


def judge(facts: Facts) -> list[Finding]:
    """Everything that there is to say, in the order in which causes come before what they cause."""
    return [finding for check in CHECKS for finding in check(facts)]
