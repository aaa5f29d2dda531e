"""Notices of worker processes: publishers and mirrors, and the fork server that they come from."""

from __future__ import annotations

from daosup.core.notices.notice import Notice
from daosup.core.notices.running import NOTHING

WORKER_READY = Notice(
    "worker-ready",
    "75f79b285d3b42c8866599f744b85b4d",
    "info",
    "worker ready",
    "A publisher sends its segment, or a mirror's segment can be read.",
    NOTHING,
    is_event=True,
)
WORKER_ADOPTED = Notice(
    "worker-adopted",
    "87928708ace347478597a68c25c00fac",
    "info",
    "worker adopted",
    "A worker that an earlier daosupd started was found alive and goes on without a gap.",
    NOTHING,
)
WORKER_OUTDATED = Notice(
    "worker-outdated",
    "5e9cbcb409ad41bdb56de18a83318c6e",
    "info",
    "worker found that was told otherwise; it is replaced",
    "A worker that an earlier daosupd started does not do what the present configuration says.",
    "Nothing; its stream stops for a moment.",
)
WORKER_STOPPED = Notice(
    "worker-stopped",
    "dc3610665c33408ca71f971cfaae42b2",
    "info",
    "worker stopped",
    "A worker that is not needed any more has ended. CAUSE says how.",
    NOTHING,
    is_event=True,
)
WORKER_RESTARTED = Notice(
    "worker-restarted",
    "56f1f7b4757842a3b57f9f1916a6ca48",
    "info",
    "worker stopped; it is started anew",
    "A worker was ended because somebody asked for a restart or it is to do something else; another one follows.",
    NOTHING,
    is_event=True,
)
WORKER_DIED = Notice(
    "worker-died",
    "5a509254fe324d4b96392ea84fb2f150",
    "error",
    "worker died; it is started again",
    "The process of a publisher or mirror ended by itself or was killed; CAUSE says how. Another one is started after "
    "DELAY_S seconds. No other stream is concerned.",
    "If it repeats, look at what else has the same CAUSE_ID: its last words are there. daosupctl status shows the "
    "count.",
    is_event=True,
)
WORKER_GAVE_UP = Notice(
    "worker-gave-up",
    "7add70542a704f4b8028a072f8ea1b5a",
    "error",
    "worker failed too often; it is tried again slowly",
    "A worker died young nine times in a row. It is tried again about once a minute, and at once when its segment is "
    "made anew or its owner is back.",
    "See CAUSE and the entries with the same CAUSE_ID. When the cause is mended: daosupctl restart NAME",
    is_event=True,
)
WORKER_UNSTARTABLE = Notice(
    "worker-unstartable",
    "1eb409d0446046b5a07ba6c808ce39d7",
    "error",
    "worker cannot be started; it is tried again",
    "There is no process for this worker; CAUSE says why: mostly no room for another process or no memory.",
    "See the limits of the service (systemctl show -p TasksMax daoserver@INSTANCE) and the memory of this host.",
    is_event=True,
)
WORKER_HUNG = Notice(
    "worker-hung",
    "6c3a1ecc6132406c90eaa3458ba530d4",
    "error",
    "worker hung; it is killed",
    "The process of a worker is there, but its loop stood still; CAUSE says for how long.",
    "If it repeats, see whether this host is overloaded or its disk or network file system hangs.",
    is_event=True,
)
WORKER_GREW = Notice(
    "worker-grew",
    "3ed396b2bd5c4521b14c946b0693f6bb",
    "error",
    "worker grew too big; it is stopped",
    "A worker has more memory of its own than memory_limit_mb allows; it is replaced.",
    "If it repeats, raise the limit, or report what the worker does.",
    is_event=True,
)
WORKER_REPLACED = Notice(
    "worker-replaced",
    "a5b0e02c7ef343fe85c2dab27b9b8c3e",
    "warning",
    "worker has ended as it had to; it is started again",
    "A worker that hung or grew too big is gone, and another one is started after DELAY_S seconds.",
    "See the entry of the same CAUSE_ID before this one.",
    is_event=True,
)
WORKER_TRIED_AGAIN = Notice(
    "worker-tried-again",
    "1afba7f47c6c4551b2475670465feba2",
    "info",
    "worker is tried again",
    "What made the worker fail may be over (WHY), so it is tried at once.",
    NOTHING,
)
RENEWAL_ENDED = Notice(
    "renewal-ended",
    "5515cc4cc49f421082667db848395ed9",
    "error",
    "the new worker died; the others are not renewed",
    "After an upgrade workers are replaced one by one. The first new one died, so the LEFT others stay as they are.",
    "See CAUSE. Go back to the version before, or mend it and run daosupctl reexec again.",
    is_event=True,
)
WORKER_LIMIT_REFUSED = Notice(
    "worker-limit-refused",
    "8223bfe6bfef403bb38106be56ae8796",
    "warning",
    "a limit of a worker cannot be set",
    "The configuration gives the worker a CPU, priority, locked memory or the like that the system refuses; WARNING "
    "says which. It works without.",
    "Correct the key, or allow the service what it needs (the drop-in realtime.conf; AllowedCPUs).",
)
WORKER_TRACEBACK = Notice(
    "worker-traceback",
    "8c8bf3828db941c9af62bec26a38fd08",
    "error",
    "traceback of a worker",
    "A worker met something unforeseen. The traceback says where; if it died of that, 'worker died' follows.",
    "Report it with this entry, unless its last line says what to mend.",
)
WORKER_OUTPUT = Notice(
    "worker-output",
    "fc8ee42bf92c4bddb4a1203a9d6fc8f2",
    "warning",
    "output of a worker",
    "A worker, or a library in it, wrote this to its standard output or error. CUT_BYTES says how much more there was.",
    "Judge by its text. What comes just before 'worker died' mostly says why.",
    is_limited=False,
)
FORK_SERVER_OUTPUT = Notice(
    "fork-server-output",
    "0d9357a02e364779a21b6a5bcdfb94a7",
    "warning",
    "output of the fork server",
    "The process from which workers are started wrote this to its standard output or error.",
    "Report it; if workers cannot be started, it says why.",
    is_limited=False,
)
