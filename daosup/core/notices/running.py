"""Notices of the supervisor itself: its life, its configuration, what it keeps, its log."""

from __future__ import annotations

from daosup.core.notices.notice import Notice

NOTHING = "Nothing."

SUPERVISOR_STARTED = Notice(
    "supervisor-started",
    "12f9fb1201e843df8defb88b16f967ac",
    "info",
    "supervisor started",
    "The daosupd of this host began to work. VERSION is its version and REGISTRY the Redis server that it uses.",
    NOTHING,
    is_event=True,
)
SUPERVISOR_STOPPED = Notice(
    "supervisor-stopped",
    "04f2f52cc67044998b0f2806b1675a37",
    "info",
    "supervisor stopped",
    "The daosupd of this host ended as it was told to, and its workers with it; its mirrors are removed.",
    "Nothing, if somebody stopped it. It starts with: systemctl start daoserver@INSTANCE",
    is_event=True,
)
SUPERVISOR_REPLACED = Notice(
    "supervisor-replaced",
    "a463689ed8e74bb69081faa3daaf3c0c",
    "info",
    "supervisor is replaced",
    "The installed version of daosupd takes over in the same process (daosupctl reexec). Streams go on.",
    "Nothing; 'supervisor started' follows with the new version.",
    is_event=True,
)
SUPERVISOR_FAILED = Notice(
    "supervisor-failed",
    "74d62ef0458d49e8be1c357d07685d70",
    "error",
    "supervisor failed",
    "daosupd met something that its authors did not foresee, and ended. Streams go on without it; systemd starts it "
    "again and it takes them over.",
    "Report it with this entry, whose traceback says where it happened. If it repeats, see what was changed last.",
)
SUPERVISOR_CANNOT_SERVE = Notice(
    "supervisor-cannot-serve",
    "1344e21b6a864d42a21b2719e70b5bc1",
    "error",
    "supervisor cannot serve here",
    "daosupd ended because something that it needs is not to be had: its control socket, its host name, or the role "
    "that it is configured with. REASON says which, and who has it.",
    "Do what REASON advises: stop the other daemon, or change the name or role of one of the two.",
)
CONFIGURATION_READ = Notice(
    "configuration-read",
    "3261974b2b054149ad06994d3b301ca1",
    "info",
    "configuration read anew",
    "A reload put the configuration file in force. CHANGED names the keys that differ; only what they concern was "
    "touched.",
    NOTHING,
    is_event=True,
)
CONFIGURATION_REFUSED = Notice(
    "configuration-refused",
    "b9424b1247454c3ba33972ff0ba7e50c",
    "error",
    "configuration refused; the one before stays in force",
    "A reload found a mistake in the configuration file, so nothing of it was taken. MISTAKE says where and what.",
    "Correct the file and reload again: systemctl reload daoserver@INSTANCE",
    is_event=True,
)
CONFIGURATION_WRONG = Notice(
    "configuration-wrong",
    "3fbde196e91b4ed1b77f49e9fc2b2bba",
    "error",
    "configuration is wrong; daosupd does not start",
    "daosupd ended with exit code 78 because of a mistake in its configuration. systemd does not start it again. "
    "MISTAKE says where and what.",
    "Correct the file, then: systemctl start daoserver@INSTANCE",
)
CONFIGURATION_NEEDS_RESTART = Notice(
    "configuration-needs-restart",
    "f5c8a1a0cd7f45ea9be372cd00c678f4",
    "warning",
    "a changed key needs a restart",
    "The configuration file was read, but KEYS take effect only when daosupd starts; their old values stay in force.",
    "Restart when it suits: systemctl restart daoserver@INSTANCE. Streams stop for a moment.",
    is_event=True,
)
KEPT_UNKNOWN = Notice(
    "kept-unknown",
    "ea1423785076486c90087e37b91a7020",
    "error",
    "kept mirrors and stopped segments are not known",
    "The file in which they are kept cannot be read. Until it can, this host mirrors only what its configuration names "
    "and what programs ask for, and it publishes segments that were stopped.",
    "Mend what REASON says, then restart daosupd; the file is not overwritten meanwhile.",
)
KEPT_FORGOTTEN = Notice(
    "kept-forgotten",
    "21a5032450364d21a6cc6e060fa502c7",
    "error",
    "kept mirrors and stopped segments are forgotten: their file is none of this version; it is set aside",
    "The file is damaged, or was written by a newer version. It is kept under the name FILE.",
    "Keep and stop what is to last once more (daosupctl keep, daosupctl stop), or go back to the version that "
    "wrote it.",
)
PORTS_UNKNOWN = Notice(
    "ports-unknown",
    "8625baf4f3ab43c8870aebff649cafa6",
    "warning",
    "ports of former publishers are not known",
    "The file in which daosupd keeps the ports of published segments cannot be read, so publishers take other ports.",
    "Mend what REASON says. Hosts that run the existing daemon may have to ask for their streams again.",
)
PORTS_NOT_KEPT = Notice(
    "ports-not-kept",
    "b6b454185c9f4797984c5338fe230742",
    "warning",
    "ports of publishers are not kept over a restart",
    "The file for them cannot be written. Streams are not concerned; after the next start they may have other ports.",
    "See that the state folder has room and may be written by the service's user.",
)
MIRRORS_NOT_WRITTEN_DOWN = Notice(
    "mirrors-not-written-down",
    "de3d2154dae04aa293dd92003ac24235",
    "warning",
    "what is mirrored would be forgotten in a crash",
    "daosupd cannot write down in its runtime folder what is mirrored, as it does for a successor after a crash.",
    "See that the runtime folder has room and may be written by the service's user.",
)
MIRROR_NOT_WRITTEN_DOWN = Notice(
    "mirror-not-written-down",
    "b5a66a9a5e3641f4b0644e9857ec0c0b",
    "warning",
    "a crash would leave a mirror behind: it cannot be written down",
    "daosupd notes each mirror's file before it is made, so that nothing is left of it after a crash. It could not.",
    "See that the runtime folder has room and may be written by the service's user.",
)
METRICS_SERVED = Notice(
    "metrics-served",
    "47e73d7220964affa2538712e39b7550",
    "info",
    "metrics are served",
    "Prometheus finds the metrics of this host at LISTEN, as the configuration says.",
    NOTHING,
)
METRICS_NOT_SERVED = Notice(
    "metrics-not-served",
    "47b339fed0634050bcfa2d4f3e532cc8",
    "warning",
    "metrics cannot be served there; it is tried again",
    "The address in LISTEN cannot be had: another program uses the port, or this host has no such address. REASON says "
    "which. Nothing else is concerned, and metrics are served as soon as it can be had.",
    "See who has the port (ss -ltnp), or choose another: listen in [metrics] of the configuration, then reload.",
)
WORKERS_LEFT = Notice(
    "workers-left",
    "83169e19e60043acb385223cc2f0756e",
    "info",
    "workers are left to the next daosupd",
    "daosupd did not end in order (SERVICE_RESULT says how). Its workers go on and the next daosupd takes them over.",
    "See the entries before this one for why it ended.",
)
WORKERS_ENDED = Notice(
    "workers-ended",
    "b43089405b2147e384bb8223624411c9",
    "warning",
    "workers that were left by a stop were ended",
    "daosupd was stopped but did not come to end its workers, so this was done after it. COUNT says how many.",
    "If it happens often, see with journalctl why a stop takes so long.",
)
LOG_REPEATED = Notice(
    "log-repeated",
    "bdda89cbfaf44b5684b14f0828a7aafd",
    "info",
    "the same entry came again and again and was not written each time",
    "Entries that differ in nothing that identifies them are written five times within 30 s; REPEATED says how many "
    "more there were, NOTICE of what, and the other fields about whom.",
    "Look at the entries that were written; they say what goes on.",
    is_limited=False,
    is_event=True,
)
LOG_DROPPED = Notice(
    "log-dropped",
    "45ef2a233abd4d08a97455ddb5e95c19",
    "warning",
    "log entries were dropped: their destination was full or away",
    "Nothing in daosupd waits for its log, so COUNT entries are lost.",
    "See whether systemd-journald runs and its disk has room: journalctl --disk-usage",
    is_limited=False,
)
LIBRARY_MESSAGE = Notice(
    "library-message",
    "7dd3e520fbec403ab325896273ed7e19",
    "warning",
    "message of a library",
    "A library that daosupd uses logged this; LOGGER says which. MESSAGE is its own text.",
    "Judge by its text. One of asyncio is a fault of daosupd: report it.",
)
