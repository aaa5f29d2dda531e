"""Who connects to a port while no file is left, and once there is one again."""

from __future__ import annotations

import os
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from daosup.stream.first_line import FirstLine, listening
from daosup.stream.visitors import FULL_PAUSE_S, Visitors


@contextmanager
def no_file_left() -> Iterator[None]:
    lowest_free = os.dup(0)
    os.close(lowest_free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_who_comes_while_no_file_is_left_waits_and_wakes_nobody() -> None:
    visitors = Visitors(listening("127.0.0.1", 0, 8), 4, FirstLine)
    with socket.create_connection(("127.0.0.1", visitors.port), 10.0) as caller:
        with no_file_left():
            assert visitors.wait(0.0, 10.0) == []
            assert select.select([visitors.fd], [], [], 0.0)[0] == []
            assert visitors.wait(FULL_PAUSE_S / 2) == []
        assert visitors.wait(FULL_PAUSE_S) == []  # from now on it is listened again
        (visitor,) = visitors.wait(FULL_PAUSE_S, 10.0)
        caller.sendall(b"a line\n")
        assert visitors.wait(FULL_PAUSE_S, 10.0) == [visitor]
        assert visitor.hear() == b"a line"
    visitors.close()
