"""All that daosupd tells an operator: the fixed list of notices.

Invariant: a name and a message id mean the same for ever; one that is told no longer keeps its line in the frozen list
of tests/unit/test_notices.py, so that neither is given to something else. What varies is not in a text but in fields.
"""

from __future__ import annotations

from daosup.core.notices import dnet, fleet, running, streams, telling, workers
from daosup.core.notices.notice import Notice

#: By what they are about, in the order in which documents have them.
SECTIONS = {
    "The supervisor": running,
    "Registry, master, hosts": fleet,
    "Segments, mirrors, readers": streams,
    "Nodes of DAO's network service": dnet,
    "Workers": workers,
    "Events and hooks": telling,
}
BY_SECTION: dict[str, tuple[Notice, ...]] = {
    title: tuple(each for each in vars(module).values() if isinstance(each, Notice))
    for title, module in SECTIONS.items()
}
ALL: tuple[Notice, ...] = tuple(each for section in BY_SECTION.values() for each in section)
#: Those that all hosts can see, as events of the fleet.
EVENTS: tuple[Notice, ...] = tuple(each for each in ALL if each.is_event)
BY_NAME: dict[str, Notice] = {each.name: each for each in ALL}
