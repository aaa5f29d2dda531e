"""What systemd runs after the supervisor ended (ExecStopPost): a stop leaves nothing behind, a crash leaves all.

Invariants: after a stop, also one in which the supervisor hung until it was killed, no worker is left and no mirror;
after a crash every worker is left for the successor. Nothing is touched while a supervisor lives. It takes a bounded
time.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from daosup import log
from daosup.adapters.leftovers import MirrorLedger
from daosup.adapters.process_handle import ProcessHandle
from daosup.config import Config
from daosup.core.crew import STOP_TIMEOUT_S
from daosup.core.notices import running
from daosup.core.types import WorkerKind
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.workers.records import Record, living

#: ``$SERVICE_RESULT`` of a service that was to end, also if it had to be forced. All else is a crash.
STOPPED = ("success", "timeout")
_KILLED_S = 1.0

_log = log.get("daosup.after_stop")


def end_workers(config: Config, service_result: str) -> None:
    """Leave what must be left after a service ended with ``service_result``.

    Raises:
        UnavailableError: If a supervisor supervises these workers.
    """
    if service_result not in STOPPED:
        _log.notice(running.WORKERS_LEFT, service_result=service_result)
        return
    folder = WorkersFolder(config)
    if not folder.path.exists():
        return
    folder.take()
    records = list(living(folder.path))
    _end(records)
    remembered = folder.remembered()
    mirrored = {*remembered.by_operator, *remembered.by_others}
    mirrored |= {record.key.source for record in records if record.key.kind is WorkerKind.MIRROR}
    ledger = MirrorLedger(config.runtime_folder / f"{config.instance}.mirrors")
    for source in mirrored | set(ledger.find()):
        ledger.remove(source)
    ledger.close()
    folder.remove()
    with suppress(OSError):
        config.control.socket.unlink()
    if records:
        _log.notice(running.WORKERS_ENDED, count=len(records))


def _end(records: list[Record]) -> None:
    """TERM, and KILL for those who do not end in time."""
    handles = []
    for record in records:
        with suppress(ProcessLookupError):
            handles.append(ProcessHandle(record.pid, record.start_time))
    for number, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, _KILLED_S)):
        deadline = time.monotonic() + patience_s
        for handle in handles:
            handle.signal(number)
        for handle in handles:
            handle.wait(max(0.0, deadline - time.monotonic()))
        handles = [handle for handle in handles if handle.is_alive()]
