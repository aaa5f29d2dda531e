"""Metrics of real daemons, read with Prometheus's own client library."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daosup.adapters.redis_link import blocking_link
from daosup.core.metrics import ALL
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming, stream, wait_for_frames
from tests.ports import free_port
from tests.waiting import wait_until

DEADLINE_S = 20.0
MIRROR = {"kind": "mirror", "source": "rts:wfs"}
PUBLISHER = {"kind": "publisher", "source": "rts:wfs"}
#: Of what need not be known, or need not have happened.
MAY_BE_MISSING = {"daosup_clock_offset_seconds"}


def measured(host: Host, port: int = 0) -> Host:
    """Have a host serve metrics, and remember where."""
    host.metrics_port = port or free_port()  # type: ignore[attr-defined]
    host.configure(f'[metrics]\nlisten = "127.0.0.1:{host.metrics_port}"\n')  # type: ignore[attr-defined]
    return host


class Scrape:
    """One reading of a host's page."""

    def __init__(self, host: Host) -> None:
        url = f"http://127.0.0.1:{host.metrics_port}/metrics"  # type: ignore[attr-defined]
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            text = answer.read().decode()
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float | None:
        """A value; None if there is none."""
        return self._values.get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def pair(fleet: Fleet) -> Fleet:
    """rts and lab, with metrics."""
    for name in ("rts", "lab"):
        measured(fleet.add(name))
    fleet.start("rts", "lab")
    return fleet


def test_all_metrics_are_told_and_agree_with_status(pair: Fleet) -> None:
    with stream(pair, "wfs") as wfs, filming(wfs.segment):
        wait_for_frames(wfs.mirror)
        lab, rts = Scrape(pair.lab), Scrape(pair.rts)
        told = {name for scrape in (lab, rts) for name in scrape.families}
        assert {metric.name.removesuffix("_total") for metric in ALL} - told <= MAY_BE_MISSING
        assert told <= {metric.name.removesuffix("_total") for metric in ALL}
        status = pair.lab.status()
        about = {"host": "lab", "daemon_instance": "lab", "version": status["version"]}
        assert lab.of("daosup_info", **about, registry=status["registry"]["address"]) == 1
        assert lab.of("daosup_role", role=status["role"]) == 1
        assert lab.of("daosup_lease", state=status["lease"]["state"]) == 1
        assert lab.of("daosup_lease_epoch") == status["lease"]["epoch"] == rts.of("daosup_lease_epoch")
        assert {rts.of("daosup_lease", state="held"), lab.of("daosup_lease", state="held")} == {0, 1}
        assert lab.of("daosup_registry_up") == 1
        assert lab.of("daosup_registry_round_trip_seconds_count") >= 1
        assert lab.of("daosup_loop_lag_seconds_count") >= 1
        assert 0 < lab.of("daosup_uptime_seconds") < status["uptime_s"]
        assert rts.of("daosup_segments") == 1
        for scrape, kind in ((lab, "mirror"), (rts, "publisher")):
            assert scrape.of("daosup_workers", kind=kind, state="running") == 1
            assert scrape.of("daosup_workers", kind=kind, state="failed") == 0
        assert lab.of("daosup_notices_total", notice="worker-ready", level="info") == 1
        assert lab.of("daosup_notices_total", notice="worker-died", level="error") == 0
        [row] = pair.lab.status()["workers"]
        for name, field in (("frames_total", "frames"), ("bytes_total", "bytes"), ("gaps_total", "gaps")):
            assert 0 <= lab.of(f"daosup_worker_{name}", **MIRROR) <= row.get(field, float("inf"))
        assert lab.of("daosup_worker_up", **MIRROR) == lab.of("daosup_worker_link_up", **MIRROR) == 1
        assert rts.of("daosup_worker_readers", **PUBLISHER) == 1
        assert 0 < lab.of("daosup_worker_age_seconds", **MIRROR) < DEADLINE_S
        assert lab.of("daosup_worker_cpu_seconds_total", **MIRROR) > 0
        assert lab.of("daosup_worker_memory_bytes", **MIRROR) > 100_000
        for scrape, labels in ((lab, MIRROR), (rts, PUBLISHER)):
            frames = scrape.of("daosup_worker_latency_seconds_count", **labels)
            assert frames == scrape.of("daosup_worker_latency_seconds_bucket", **labels, le="+Inf") > 0
        wait_until(
            lambda: (
                Scrape(pair.lab).of("daosup_worker_frames_total", **MIRROR)
                > lab.of("daosup_worker_frames_total", **MIRROR)
            ),
            DEADLINE_S,
            "the page to be made anew",
        )


def test_a_worker_that_dies_is_counted(pair: Fleet) -> None:
    with stream(pair, "wfs"):
        pid = pair.lab.worker_pid("rts:wfs")
        os.kill(pid, signal.SIGKILL)
        pair.lab.worker_pid("rts:wfs", other_than=pid)
        wait_until(
            lambda: Scrape(pair.lab).of("daosup_worker_restarts_total", **MIRROR) == 1, DEADLINE_S, "the restart"
        )
        assert Scrape(pair.lab).of("daosup_notices_total", notice="worker-died", level="error") == 1


def test_a_mirror_that_waits_is_not_up_and_one_that_is_stopped_is_not_told(pair: Fleet) -> None:
    pair.lab.call("keep", source="rts:dm")
    wait_until(
        lambda: Scrape(pair.lab).of("daosup_worker_up", kind="mirror", source="rts:dm") == 0, DEADLINE_S, "the mirror"
    )
    assert Scrape(pair.lab).of("daosup_workers", kind="mirror", state="waiting") == 1
    pair.lab.call("stop", name="rts:dm")
    wait_until(
        lambda: Scrape(pair.lab).of("daosup_workers", kind="mirror", state="stopped") == 1,
        DEADLINE_S,
        "it to be stopped",
    )
    assert Scrape(pair.lab).of("daosup_worker_up", kind="mirror", source="rts:dm") is None


def test_a_registry_that_is_away_or_slow_is_seen(pair: Fleet) -> None:
    with blocking_link(pair.redis.address) as run:

        def is_seen() -> bool:
            run([("CLIENT", "PAUSE", "500", "ALL")])  # waits for the end of the one before
            return (pair.lab.status()["registry"]["worst_round_trip_s"] or 0) > 0.2

        wait_until(is_seen, DEADLINE_S, "the slow answer in status")
    name = "daosup_registry_round_trip_seconds"
    scrape = wait_until(lambda: Scrape(pair.lab), DEADLINE_S, "a page")
    assert scrape.of(f"{name}_count") > scrape.of(f"{name}_bucket", le="0.1")
    pair.redis.stop()
    wait_until(lambda: Scrape(pair.lab).of("daosup_registry_up") == 0, DEADLINE_S, "the registry to be away")
    assert pair.lab.status()["registry"]["round_trip_s"] is None
    pair.redis.start()
    wait_until(lambda: Scrape(pair.lab).of("daosup_registry_up") == 1, DEADLINE_S, "it to be back")


def test_a_loop_that_stood_still_is_seen(pair: Fleet) -> None:
    wait_until(lambda: pair.lab.status()["loop"]["worst_lag_s"] is not None, DEADLINE_S, "two turns of the loop")
    before = Scrape(pair.lab).of("daosup_loop_lag_seconds_sum")
    os.kill(pair.lab.pid, signal.SIGSTOP)
    try:
        with closing(socket.create_connection(("127.0.0.1", pair.lab.metrics_port))) as client:  # type: ignore[attr-defined]
            client.settimeout(1.0)
            with pytest.raises(TimeoutError):
                client.recv(1)
    finally:
        os.kill(pair.lab.pid, signal.SIGCONT)
    wait_until(lambda: pair.lab.status()["loop"]["worst_lag_s"] > 0.7, DEADLINE_S, "the lag in status")
    wait_until(
        lambda: Scrape(pair.lab).of("daosup_loop_lag_seconds_sum") > before + 0.7, DEADLINE_S, "the lag on the page"
    )


def test_by_default_nothing_is_served_and_a_reload_changes_where(fleet: Fleet) -> None:
    fleet.start("rts")
    assert fleet.rts.status()["metrics"] is None
    text = fleet.rts.config.read_text()
    for _ in range(2):
        fleet.rts.config.write_text(text)
        measured(fleet.rts)
        assert fleet.rts.call("reload")["changed"] == ["metrics.listen"]
        listen = f"127.0.0.1:{fleet.rts.metrics_port}"  # type: ignore[attr-defined]
        wait_until(lambda: fleet.rts.status()["metrics"] == {"listen": listen, "error": None}, DEADLINE_S, listen)  # noqa: B023
        assert Scrape(fleet.rts).of("daosup_registry_up") == 1
    fleet.rts.config.write_text(text)
    fleet.rts.call("reload")
    wait_until(lambda: fleet.rts.status()["metrics"] is None, DEADLINE_S, "metrics to be off")
    with pytest.raises(OSError, match="refused"):
        Scrape(fleet.rts)


def test_a_port_that_is_taken_concerns_nothing_else_and_is_served_when_it_is_free(fleet: Fleet) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = int(taken.getsockname()[1])
        measured(fleet.add("rts"), port)
        fleet.start("rts")
        wait_until(lambda: "in use" in str(fleet.rts.status()["metrics"]["error"]), DEADLINE_S, "the reason in status")
        assert fleet.rts.log.count("metrics cannot be served there") == 1
    wait_until(lambda: not fleet.rts.status()["metrics"]["error"], DEADLINE_S, "metrics to be served")
    assert Scrape(fleet.rts).of("daosup_registry_up") == 1
    assert fleet.rts.log.count("metrics cannot be served there") == 1


def test_another_version_serves_them_at_the_same_place(pair: Fleet) -> None:
    with stream(pair, "wfs"):
        pair.lab.reexec()
        pid = pair.lab.worker_pid("rts:wfs")
        scrape = wait_until(lambda: Scrape(pair.lab), DEADLINE_S, "a page")
        assert scrape.of("daosup_worker_up", **MIRROR) == 1
        assert pair.lab.worker_pid("rts:wfs") == pid
        assert scrape.of("daosup_worker_restarts_total", **MIRROR) == 0
