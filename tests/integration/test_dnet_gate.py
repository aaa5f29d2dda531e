"""A host of ours as a node of DAO's network service: it is heard, its segments are listed, read and written there."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import pytest

from daosup.core.dnet_catalogue import decode_catalogue
from daosup.shm import Keyword, Segment
from tests import schemas
from tests.dnet_service.peer import DnetPeer
from tests.integration.commands import daosupctl as run
from tests.integration.dnet import free_udp_port, nodes
from tests.integration.fleet import Fleet, Host
from tests.ports import free_port
from tests.waiting import wait_until

SHAPE = (64, 48)
LONG_S = 20.0


class Pair(NamedTuple):
    """A host of ours with a segment, and a node that hears it."""

    rts: Host
    lab: DnetPeer
    wfs: Segment
    port: int


@pytest.fixture
def pair(fleet: Fleet, tmp_path: Path) -> Iterator[Pair]:
    beacon_port, port = free_udp_port(), free_port()
    rts = fleet.add("rts")
    rts.configure(
        f'[dnet]\nenable = true\nbeacon_port = {beacon_port}\ninterface = "127.0.0.1"\ndata_port = {port}\n'
        '[publish]\nread_only = ["closed*"]\n'
    )
    with nodes(tmp_path, beacon_port, "lab") as (lab,):
        fleet.start("rts")
        segment = rts.create("wfs", SHAPE, "float32", keywords=[Keyword("GAIN", 7)])
        segment.write(np.full(SHAPE, 1.0, np.float32))
        wait_until(lambda: "wfs" in segments_of(lab), LONG_S, "the node to know wfs")
        yield Pair(rts, lab, segment, port)
        segment.close()
        segment.unlink()


def segments_of(node: DnetPeer) -> list[str]:
    found: list[str] = node.status()["nodes"].get("rts", {}).get("segments", [])
    return found


def row_of(host: Host, kind: str) -> Optional[dict[str, Any]]:
    return next((row for row in host.status()["workers"] if row["kind"] == kind and row["state"] == "running"), None)


def put(segment: Segment, value: float) -> None:
    segment.write(np.full(segment.shape, value, segment.dtype))


def ask(port: int, line: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), LONG_S) as connection:
        connection.sendall(line)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_its_segments_are_listed_and_their_changes(pair: Pair):
    rts, lab, _, port = pair
    catalogue = decode_catalogue(ask(port, b"CATALOG\n"))
    assert (catalogue.node, catalogue.domain) == ("rts", "dao")
    (listed,) = catalogue.segments
    assert (listed.name, listed.geometry.shape, listed.geometry.dtype) == ("wfs", SHAPE, "float32")
    assert listed.keyword_count == 1
    with rts.create("dm", (5,)) as dm:
        wait_until(lambda: segments_of(lab) == ["dm", "wfs"], LONG_S, "dm to be known")
        dm.unlink()
    wait_until(lambda: segments_of(lab) == ["wfs"], LONG_S, "dm to be forgotten")


def test_frames_keywords_and_freshness_reach_a_node(pair: Pair):
    rts, lab, wfs, _ = pair
    assert row_of(rts, "publisher") is None
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    put(wfs, 2.0)
    lab.wait_for_value("rts_wfs", 2.0)
    found = lab.read("rts_wfs")
    assert (found["shape"], found["dtype"]) == (list(SHAPE), "float32")
    assert found["keywords"]["GAIN"] == 7
    assert found["keywords"]["NET_SRC_CNT"] == wfs.counter
    lab.release("rts:wfs")
    wait_until(lambda: row_of(rts, "publisher") is None, 2 * LONG_S, "the publisher to end when nobody reads")


def test_every_frame_reaches_a_node_or_is_counted(pair: Pair):
    _, lab, wfs, _ = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    for value in range(2, 200):
        put(wfs, value)
    lab.wait_for_value("rts_wfs", 199)
    seen = lab.status()["mirrored"]["rts:wfs"]
    assert seen["torn"] == 0
    assert seen["frames"] + seen["dropped"] >= 199


def test_a_source_made_anew_is_followed(pair: Pair):
    rts, lab, wfs, _ = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    wfs.unlink()
    with rts.create("wfs", (7,), "uint16") as again:
        put(again, 9)
        lab.wait_for_value("rts_wfs", 9)
        assert lab.read("rts_wfs")["shape"] == [7]


def test_what_a_node_writes_is_written_here_once_and_comes_back_as_echo(pair: Pair):
    _, lab, wfs, _ = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    before = wfs.counter
    for value in (5.0, 6.0):
        lab.write("rts_wfs", value)
        wait_until(lambda value=value: (wfs.read() == value).all(), LONG_S, f"{value} to arrive")
    assert wfs.counter == before + 2
    wait_until(lambda: lab.status()["mirrored"]["rts:wfs"]["echoes"] == 2, LONG_S, "the echoes")
    put(wfs, 8.0)
    lab.wait_for_value("rts_wfs", 8.0)


def test_what_is_read_only_is_not_written(pair: Pair):
    rts, lab, _, _ = pair
    with rts.create("closed", (4,), "uint8") as closed:
        put(closed, 1)
        wait_until(lambda: "closed" in segments_of(lab), LONG_S, "closed to be known")
        lab.mirror("rts:closed")
        lab.wait_for_value("rts_closed", 1)
        lab.write("rts_closed", 9)
        wait_until(lambda: lab.status()["mirrored"]["rts:closed"].get("sent") != 0, LONG_S, "it to be sent")
        put(closed, 2)
        lab.wait_for_value("rts_closed", 2)
        assert closed.counter == 2
        closed.unlink()


def test_a_gate_that_dies_touches_no_stream_and_is_replaced(pair: Pair):
    rts, lab, wfs, port = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    gate = row_of(rts, "gate")
    assert gate is not None
    os.kill(gate["pid"], signal.SIGKILL)
    put(wfs, 3.0)
    lab.wait_for_value("rts_wfs", 3.0)
    wait_until(lambda: (row_of(rts, "gate") or gate)["pid"] != gate["pid"], LONG_S, "another gate")
    assert decode_catalogue(ask(port, b"CATALOG\n")).node == "rts"
    assert lab.status()["mirrored"]["rts:wfs"]["links"] == 1


def gate_of(host: Host) -> dict[str, Any]:
    """Its row, whether it runs or not."""
    return next(row for row in host.status()["workers"] if row["kind"] == "gate")


def test_operators_restart_the_gate_stop_it_over_restarts_and_start_it(pair: Pair):
    rts, lab, wfs, port = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    before = gate_of(rts)["pid"]
    done = run(rts, "restart", "gate")
    assert done.stdout == "gate rts:gate: running\n", done.stderr
    assert gate_of(rts)["pid"] not in (None, before)
    assert ask(port, b"CATALOG\n")

    assert run(rts, "stop", "gate").stdout == "gate rts:gate: stopped\n"
    row = gate_of(rts)
    assert (row["state"], row["pid"], row["reason"]) == ("stopped", None, "`daosupctl start gate` starts it")
    with pytest.raises(ConnectionRefusedError):
        ask(port, b"CATALOG\n")
    put(wfs, 3.0)
    lab.wait_for_value("rts_wfs", 3.0)
    wait_until(lambda: "rts" not in lab.status()["nodes"], LONG_S, "the node to hear it no more")
    assert "is stopped" in run(rts, "restart", "gate").stderr
    rts.signal(signal.SIGTERM)
    rts.start()
    assert gate_of(rts)["state"] == "stopped"

    assert run(rts, "start", "gate").stdout == "gate rts:gate: running\n"
    wait_until(lambda: "wfs" in segments_of(lab), LONG_S, "the node to hear it again")
    story = rts.call("worker", name="gate")
    schemas.check("status-name", story)
    assert (story["segment"], story["owner"], story["readers"]) == (None, None, None)
    assert "handed on" in run(rts, "status", "gate").stdout


def test_a_publisher_that_dies_is_come_back_to(pair: Pair):
    rts, lab, wfs, _ = pair
    lab.mirror("rts:wfs")
    lab.wait_for_value("rts_wfs", 1.0)
    publisher = row_of(rts, "publisher")
    assert publisher is not None
    os.kill(publisher["pid"], signal.SIGKILL)
    put(wfs, 3.0)
    lab.wait_for_value("rts_wfs", 3.0)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"SUBSCRIBE nothing lab\n", b"ERR nothing is not here\n"),
        (b"HELLO\n", b"ERR "),
        (b"CATALOG\nCATALOG\n", b"ERR "),
        (b"x" * 2000 + b"\n", b"ERR "),
        (b"SUBSCRIBE ../../etc/passwd lab\n", b"ERR "),
        (b"\xff\xfe\n", b"ERR "),
    ],
)
def test_strange_lines_are_answered_with_why(pair: Pair, line: bytes, answer: bytes):
    try:
        assert ask(pair.port, line).startswith(answer)
    except ConnectionResetError:  # it said more than was read
        assert len(line) > 1000
    assert row_of(pair.rts, "gate") is not None


def test_whoever_says_nothing_is_let_go_of(pair: Pair):
    with socket.create_connection(("127.0.0.1", pair.port), LONG_S) as silent:
        assert silent.recv(100) == b"ERR not in time\n"


def test_a_data_port_that_somebody_else_has_is_told_of_and_taken_when_it_is_free(fleet: Fleet):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        rts = fleet.add("rts")
        rts.configure(f"[dnet]\nenable = true\nbeacon_port = {free_udp_port()}\ndata_port = {port}\n")
        rts.start()

        def why() -> str:
            rows = [row for row in rts.status()["workers"] if row["kind"] == "gate"]
            return str(rows[0]["last_exit"]) if rows else ""

        reason = f"{port} for nodes of DAO's network service"
        wait_until(lambda: reason in why(), LONG_S, "the reason to be told")
        wait_until(lambda: reason in run(rts, "restart", "gate", "--wait", "0.5").stderr, LONG_S, "it to be told again")
    wait_until(lambda: row_of(rts, "gate"), 4 * LONG_S, "the gate to have its port")
