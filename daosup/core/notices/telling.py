"""Notices of events on their way to other hosts, and of hooks that are run for them."""

from __future__ import annotations

from daosup.core.notices.notice import Notice
from daosup.core.notices.running import NOTHING

EVENTS_REFUSED = Notice(
    "events-refused",
    "9f99466106ea415caf157a9cf8eb4bd9",
    "warning",
    "events cannot be told to other hosts; they wait",
    "Redis answers but does not let this host add to the stream of events (daosup:events); REASON says why. All else "
    "goes on. It is tried again every few seconds.",
    "If REASON speaks of permissions, let daosupd's user of Redis write daosup:* with @stream.",
)
EVENTS_DROPPED = Notice(
    "events-dropped",
    "4f524b58ed3746e3894e3a388a65c411",
    "warning",
    "events were dropped: too many waited for the registry",
    "While Redis was away more happened than is kept for it; the COUNT oldest events are in this host's journal alone.",
    "See the journal of this host: daosupctl logs",
    is_event=True,
)
HOOK_OUTPUT = Notice(
    "hook-output",
    "9e383fbadc374f7bafb99190318b1661",
    "info",
    "output of a hook",
    "The program of a [[hook]], run for EVENT, wrote this. CUT_BYTES says how much more there was.",
    NOTHING,
)
HOOK_FAILED = Notice(
    "hook-failed",
    "cb9c628f3c1740238922015b47a58e06",
    "warning",
    "hook failed",
    "The program of a [[hook]], run for EVENT, could not be started, ended with an error or took too long; REASON says "
    "which. What it wrote is in this entry.",
    "Try it by hand as the service's user: daosupctl events -n 1 --exec 'PROGRAM'",
)
HOOKS_SKIPPED = Notice(
    "hooks-skipped",
    "f597d99d33454faa8cc56bb59baa5eee",
    "warning",
    "hooks were not run: too many events at once",
    "Few hooks run at the same time, and a bounded number waits; COUNT more were left out.",
    "Have fewer events run hooks (on, level, match in [[hook]]), or make the program quicker.",
)
