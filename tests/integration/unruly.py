"""A daemon whose workers misbehave when they are told to: ``python -m tests.integration.unruly --config FILE``.

Everything is as in the product, but that the process of each worker, when its loop next stamps its page, does what is
said in a file in its host's runtime folder. So no part of the product knows of it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from daosup.workers import fork_server, life
from daosup.workers.orders import Request
from daosup.workers.statistics import StatisticsPage

LEAK_BYTES = 100_000_000
_leaked: list[bytearray] = []


def order_of(runtime: Path, kind: str, source: str) -> Path:
    """The file that holds what the worker of a host, whose runtime folder this is, is to do.

    ``spin`` once and for ever, ``sleep`` likewise, ``leak`` once, ``say`` what follows once, as a program written in C
    does, ``rage`` (say a lot each time), ``abort`` after having said what follows, or ``die`` each time it begins.
    """
    host, _, name = source.partition(":")
    return runtime / f"{kind}.{host}.{name}.order"


def tell(runtime: Path, kind: str, source: str, what: str) -> None:
    """Tell a worker what to do when it next stamps its page."""
    path = order_of(runtime, kind, source)
    path.with_suffix(".new").write_text(what)
    path.with_suffix(".new").rename(path)


def serve(fd: str) -> None:
    """The fork server's part: as the product's, but its workers have an ear for orders."""
    run_worker = life.run_worker

    def run_unruly(request: Request) -> int:
        order = request.order
        said = order_of(order.page.parent.parent, order.key.kind.value, str(order.key.source))
        stamp = StatisticsPage.stamp

        def obeying(page: StatisticsPage) -> None:
            try:
                what = said.read_text()
            except OSError:
                what = ""
            if what == "die":
                raise ValueError("told to die")
            if what == "rage":
                os.write(1, b"".join(b"what number %d\n" % number for number in range(1000)))
                what = ""
            if what:
                said.unlink()
            if what.startswith("say "):
                os.write(2, what[4:].encode())
            if what.startswith("abort "):
                os.write(2, what[6:].encode())
                os.abort()
            while what == "spin":
                pass
            if what == "sleep":
                time.sleep(3600)
            if what == "leak":
                _leaked.append(bytearray(b"x") * LEAK_BYTES)
            stamp(page)

        StatisticsPage.stamp = obeying  # type: ignore[method-assign]
        return run_worker(request)

    life.run_worker = run_unruly
    fork_server.serve(fd)


def main() -> int:
    """The daemon's part: as the product's, but that fork server."""
    from daosup import daosupd
    from daosup.supervisor import workers_desk

    processes = workers_desk.Processes

    def with_unruly(module: str, *callbacks: Any) -> workers_desk.Processes:
        return processes("tests.integration.unruly", *callbacks)

    workers_desk.Processes = with_unruly  # type: ignore[assignment, misc]
    return daosupd.main()


if __name__ == "__main__":
    sys.exit(main())
