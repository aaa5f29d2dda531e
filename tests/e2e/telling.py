"""What daosup and systemd tell in the journal, by the message ids that stand for it."""

from __future__ import annotations

from daosup.core.notices import BY_NAME
from tests.e2e.lab import Entry, Host
from tests.waiting import wait_until

#: systemd's own: a unit failed (UNIT_RESULT says how), a unit was started anew (N_RESTARTS says how often).
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
UNIT_RESTARTS = "5eb03494b6584870a536b337290809b3"


def notice(name: str) -> str:
    """The message id of a notice of daosup, such as ``worker-died``."""
    return BY_NAME[name].message_id


def wait_for_notice(host: Host, name: str, since: str, timeout_s: float = 10.0, **fields: str) -> Entry:
    """Wait until daosup there told of something after ``since``, and return the newest such entry.

    Args:
        host: Whose journal.
        name: The notice's name.
        since: A cursor of that journal.
        timeout_s: How long.
        fields: What it must say.
    """
    entries = wait_until(
        lambda: host.journal(since=since, MESSAGE_ID=notice(name), SYSLOG_IDENTIFIER="daosup", **fields),
        timeout_s,
        f"{host.name} to tell {name} {fields}",
    )
    return entries[-1]
