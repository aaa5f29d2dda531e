"""A network that falls silent without a word: both ends notice, and find each other again without anybody's help."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fleet import Fleet, Host
from tests.integration.proxy import Proxy
from tests.integration.streams import Stream, filming, stream, wait_for_frames
from tests.waiting import wait_until

#: Each end takes 2.5 s by design, and must take no more than 3 s; the rest is for busy machines.
NOTICED_S = 3.5
WHOLE_S = 6.0
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
PORT = 24650


@pytest.fixture(scope="module")
def hosts_apart(redis_binary: Path) -> Iterator[Fleet]:
    """The hosts rts and lab; what rts publishes can be reached at another address than it is told."""
    fleet = Fleet()
    try:
        fleet.add("rts", base_port=PORT, port_count=1, advertise=OUTSIDE)
        fleet.start("rts", "lab")
        yield fleet
    finally:
        fleet.close()


@pytest.fixture
def network(hosts_apart: Fleet) -> Iterator[tuple[Fleet, Proxy]]:
    """The hosts, and what is between them."""
    with Proxy((OUTSIDE, PORT), (INSIDE, PORT)) as proxy:
        yield hosts_apart, proxy


def row(host: Host, source: str) -> dict[str, Any]:
    found = host.worker(source)
    assert found is not None
    return found


def wait_for_silence_noticed(fleet: Fleet, quiet: Stream) -> None:
    def missing() -> set[str]:
        mirror, publisher = row(fleet.lab, quiet.source), row(fleet.rts, quiet.source)
        is_so = {
            "the mirror is stale in the status": mirror["link"] == "down",
            "with the reason": "no word from tcp://127.0.0.2" in str(mirror["reason"]),
            "and in its own keywords": quiet.mirror.keywords["NET_LINK"] == 0,
            "the publisher misses its reader": publisher["connected"] == 0,
        }
        return {what for what, is_it in is_so.items() if not is_it}

    deadline_s = time.monotonic() + NOTICED_S
    wait_until(lambda: not missing() or time.monotonic() > deadline_s, NOTICED_S + 1.0, "both ends to notice")
    assert missing() == set()


@pytest.mark.parametrize("is_lost", [False, True], ids=["stalled", "lost"])
@pytest.mark.parametrize("is_written", [True, False], ids=["flowing", "resting"])
def test_a_silent_network_is_noticed_at_both_ends_and_forgiven(
    network: tuple[Fleet, Proxy], is_lost: bool, is_written: bool
) -> None:
    fleet, proxy = network
    with stream(fleet, f"quiet{is_lost:d}{is_written:d}") as quiet:
        pids = [host.worker_pid(quiet.source) for host in (fleet.rts, fleet.lab)]
        wait_until(lambda: row(fleet.rts, quiet.source)["connected"] == 1, 3.0, "the owner to see its reader")

        def go() -> None:
            (proxy.lose if is_lost else proxy.stall)()
            wait_for_silence_noticed(fleet, quiet)
            assert not quiet.mirror.read().any() or is_written
            proxy.go_on()

        if is_written:
            with filming(quiet.segment):
                wait_for_frames(quiet.mirror, 20)
                go()
                wait_for_frames(quiet.mirror, 20, WHOLE_S)
        else:
            go()
        quiet.check_going(WHOLE_S)
        wait_until(lambda: row(fleet.lab, quiet.source)["link"] == "up", WHOLE_S, "the link to be up")
        assert row(fleet.lab, quiet.source)["reason"] is None
        wait_until(lambda: row(fleet.rts, quiet.source)["connected"] == 1, WHOLE_S, "the owner to see its reader")
        assert [host.worker_pid(quiet.source) for host in (fleet.rts, fleet.lab)] == pids
        quiet.mirror.check()


def test_a_network_that_closes_connections_is_forgiven(network: tuple[Fleet, Proxy]) -> None:
    fleet, proxy = network
    with stream(fleet, "cut") as cut, filming(cut.segment):
        wait_for_frames(cut.mirror, 20)
        proxy.cut()
        wait_until(lambda: row(fleet.lab, cut.source)["link"] == "down", NOTICED_S, "the mirror to be stale")
        proxy.mend()
        wait_for_frames(cut.mirror, 20, WHOLE_S)


def test_a_network_that_is_slow_only_delays(network: tuple[Fleet, Proxy]) -> None:
    fleet, proxy = network
    with stream(fleet, "slow") as slow:
        proxy.delay_s = 0.15
        try:
            began_s = time.monotonic()
            slow.check_going()
            assert time.monotonic() - began_s >= 0.15
            assert row(fleet.lab, slow.source)["link"] == "up"
        finally:
            proxy.delay_s = 0.0
