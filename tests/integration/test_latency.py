"""What status says of real streams: how late their frames are, and what their workers take."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming, stream, wait_for_frames
from tests.waiting import wait_until

SAMPLED_S = 10.0


def latency_of(host: Host, source: str, least_frames: int = 1) -> dict[str, Any]:
    """What a host says of its worker, once that is about so many frames."""

    def told() -> Any:
        worker = host.worker(source)
        latency = worker["latency"] if worker else None
        return latency if latency and latency["frames"] >= least_frames else None

    latency: dict[str, Any] = wait_until(told, SAMPLED_S, f"latencies of {source} on {host.name}")
    return latency


def test_both_ends_say_how_late_frames_are(hosts: Fleet) -> None:
    with stream(hosts, "late") as made, filming(made.segment):
        sent, here = (latency_of(host, made.source, 500) for host in (hosts.rts, hosts.lab))
    for each in (sent, here):
        assert 0 < each["p50_s"] <= each["p99_s"] < 5.0
        assert each["ahead"] == 0
    assert sent["p50_s"] < here["p50_s"]  # the way from one to the other takes time


def test_frames_that_wait_at_their_source_are_late_by_as_much(hosts: Fleet) -> None:
    with stream(hosts, "old") as made:
        wait_until(lambda: latency_ready(hosts, made.source), SAMPLED_S, "both to be sampled")
        for _ in range(40):
            counter = made.mirror.counter
            made.segment.write(np.zeros((16, 16), "uint16"), time_ns=time.time_ns() - 3_000_000_000)
            wait_until(lambda: made.mirror.counter > counter, 5.0, "the frame")  # noqa: B023
        for host in (hosts.rts, hosts.lab):
            assert 2.5 <= latency_of(host, made.source, 40)["p50_s"] <= 6.0


def latency_ready(hosts: Fleet, source: str) -> bool:
    """Whether both hosts have looked at their workers a while ago, so that all frames from now on are new to them."""
    return all((worker := host.worker(source)) and worker["uptime_s"] > 4.0 for host in (hosts.rts, hosts.lab))


def test_frames_from_before_and_those_without_a_time_are_not_late(hosts: Fleet) -> None:
    with stream(hosts, "quiet") as made:  # its only frame was there before both
        for value in range(3):
            counter = made.mirror.counter
            made.segment.write(np.full((16, 16), value, "uint16"), time_ns=0)
            wait_until(lambda: made.mirror.counter > counter, 5.0, "the frame")  # noqa: B023
        wait_until(lambda: latency_ready(hosts, made.source), SAMPLED_S, "both to be sampled")
        for host in (hosts.rts, hosts.lab):
            worker = host.worker(made.source)
            assert worker is not None
            assert worker["latency"] is None


def test_frames_of_the_future_say_that_clocks_differ(hosts: Fleet) -> None:
    with stream(hosts, "ahead") as made:
        wait_until(lambda: latency_ready(hosts, made.source), SAMPLED_S, "both to be sampled")
        for _ in range(20):
            counter = made.mirror.counter
            made.segment.write(np.zeros((16, 16), "uint16"), time_ns=time.time_ns() + 60_000_000_000)
            wait_until(lambda: made.mirror.counter > counter, 5.0, "the frame")  # noqa: B023
        latency = latency_of(hosts.lab, made.source, 20)
        assert latency["ahead"] == latency["frames"]
        assert latency["p99_s"] <= 1.1e-6


def test_latencies_are_forgotten_after_a_while(hosts: Fleet) -> None:
    with stream(hosts, "once") as made:
        with filming(made.segment):
            wait_for_frames(made.mirror)
            latency_of(hosts.lab, made.source)

        def is_forgotten() -> bool:
            worker = hosts.lab.worker(made.source)
            return worker is not None and worker["latency"] is None

        wait_until(is_forgotten, 20.0, "the latencies to be those of the last seconds")


def test_workers_say_what_they_take(hosts: Fleet) -> None:
    with stream(hosts, "busy", (240, 240)) as made, filming(made.segment, 0.002):
        for host in (hosts.rts, hosts.lab):

            def used() -> Any:
                worker = host.worker(made.source)  # noqa: B023
                return worker if worker and worker["cpu"] else None

            worker = wait_until(used, SAMPLED_S, f"the CPU of {host.name}'s worker")
            assert 0.001 < worker["cpu"] < 2.0
            assert 5_000_000 < worker["memory_bytes"] < 500_000_000
