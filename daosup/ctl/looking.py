"""Commands that change nothing: how things are, what there is."""

from __future__ import annotations

from functools import partial

from daosup.ctl.asking import show
from daosup.ctl.reports import is_fine, is_well, status_report

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

NOT_WELL = 1
STATUS_S = 5.0


def status(options: Options) -> int:
    """How this host is, or one of its workers; 1 if not all is well."""
    if options.name is not None:
        return _worker(options)
    report = partial(status_report, is_verbose=options.verbose)
    return show(options, "status", STATUS_S, report, exit_code=_exit_code, is_named=True)


def _exit_code(status: dict[str, Any]) -> int:
    return 0 if is_well(status) else NOT_WELL


def _worker(options: Options) -> int:
    from daosup.ctl.worker_report import worker_report  # the table of all does without

    report = partial(worker_report, is_verbose=options.verbose)
    return show(options, "worker", STATUS_S, report, {"name": options.name}, _exit_code_of_worker)


def _exit_code_of_worker(found: dict[str, Any]) -> int:
    return 0 if is_fine(found.get("worker") or {}) else NOT_WELL


def doctor(options: Options) -> int:
    """What is wrong here, and what to do; 1 if there are warnings, 2 if there are problems."""
    from daosup.ctl.doctor import doctor as examine  # dear to import, and status does without

    return examine(options)
