"""Commands that change nothing: how things are, what there is."""

from __future__ import annotations

from daosup.ctl.asking import ask, ask_object, tell
from daosup.ctl.reports import is_well, machines_report, status_report
from daosup.errors import ProtocolError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from daosup.ctl.arguments import Options

NOT_WELL = 1
STATUS_S = 5.0
MACHINES_S = 10.0


def status(options: Options) -> int:
    """How this host is; 1 if not all is well."""
    found = ask_object(options, "status", STATUS_S)
    tell(options, found, lambda style, width: status_report(found, style, width))
    return 0 if is_well(found) else NOT_WELL


def ls(options: Options) -> int:
    """All hosts and what they have."""
    machines = ask(options, "machines", MACHINES_S)
    if not isinstance(machines, list):
        raise ProtocolError("daosupd answered with something else than a list of machines")
    tell(options, machines, lambda style, width: machines_report(machines, style, width))
    return 0


def doctor(options: Options) -> int:
    """What is wrong here, and what to do; 1 if there are warnings, 2 if there are problems."""
    from daosup.ctl.doctor import doctor as examine  # dear to import, and status does without

    return examine(options)
