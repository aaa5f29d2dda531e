"""What goes on in a thread of its own while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(action: Callable[[], object], period_s: float) -> Iterator[None]:
    """An action again and again, with so long a pause before each."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(period_s):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
