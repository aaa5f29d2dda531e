"""A daemon whose workers misbehave when they are told to: ``python -m tests.integration.unruly --config FILE``.

Everything is as in the product, but that the process of each worker, when its loop next stamps its page, does what is
said in a file in its host's runtime folder. So no part of the product knows of it.
"""

from __future__ import annotations

import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Union

from daosup.workers import life
from daosup.workers.orders import MirrorOrder, PublisherOrder
from daosup.workers.statistics import StatisticsPage

LEAK_BYTES = 100_000_000
_leaked: list[bytearray] = []


def order_of(runtime: Path, kind: str, source: str) -> Path:
    """The file that holds what the worker of a host, whose runtime folder this is, is to do.

    ``spin`` once and for ever, ``sleep`` likewise, ``leak`` once, or ``die`` each time it begins.
    """
    host, _, name = source.partition(":")
    return runtime / f"{kind}.{host}.{name}.order"


def run_worker(order: Union[PublisherOrder, MirrorOrder], channel: Connection) -> None:
    """As the product's, with an ear for orders."""
    kind = order.key.kind.value
    said = order_of(order.page.parent.parent, kind, str(order.key.source))
    stamp = StatisticsPage.stamp

    def obeying(page: StatisticsPage) -> None:
        try:
            what = said.read_text()
        except OSError:
            what = ""
        if what == "die":
            raise ValueError("told to die")
        if what:
            said.unlink()
        while what == "spin":
            pass
        if what == "sleep":
            time.sleep(3600)
        if what == "leak":
            _leaked.append(bytearray(b"x") * LEAK_BYTES)
        stamp(page)

    StatisticsPage.stamp = obeying  # type: ignore[method-assign]
    life.run_worker(order, channel)


if __name__ == "__main__":  # each worker's process imports this module again: only what that needs stands above
    from daosup import daosupd
    from daosup.supervisor import loop

    loop.run_worker = run_worker
    sys.exit(daosupd.main())
