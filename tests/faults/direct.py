"""A direct connection between two hosts breaks, or one end of it does, and ZeroMQ's way is well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.fault import fault
from tests.faults.scene import DIRECT, HEAL_S, ZMQ, Scene
from tests.faults.wires import Wires, wired
from tests.integration.tcp_proxy import Proxy
from tests.waiting import wait_until

_THEME = "A direct connection"
_BROKEN_S = 1.0


def _hurt(scene: Scene, hurt: Callable[[Proxy], object]) -> float:
    """The direct way of a stream is hurt; the seconds until frames come again, by whichever way."""
    stream = scene.hit
    way = scene.prop(Wires).directly_to(stream)
    pids = [stream.worker(host) for host in (scene.rts, scene.lab)]
    with scene.other_undisturbed():
        outage_s = stream.outage_s(lambda: hurt(way))
    assert [stream.worker(host) for host in (scene.rts, scene.lab)] == pids
    assert stream.sight.torn == 0
    return outage_s


def _shut(scene: Scene, hurt: Callable[[Proxy], object], reason: str) -> float:
    told = scene.lab.log.count("frames do not come directly")
    outage_s = _hurt(scene, hurt)
    row = scene.hit.row(scene.lab)
    assert (row["transport"], row["link"]) == (ZMQ, "up"), row
    assert reason in row["transport_reason"], row
    assert scene.lab.log.count("frames do not come directly") == told + 1
    scene.prop(Wires).directly_to(scene.hit).heal()
    return outage_s


_BY_ZMQ = "frames come by ZeroMQ, without a worker ending; `status` and the log say why"


@fault(
    "direct port closed",
    theme=_THEME,
    how="the direct connection is closed under both ends, and new ones to that port are refused",
    what=_BY_ZMQ,
    limit_s=3.0,
    prepare=wired,
)
def direct_port_closed(scene: Scene) -> float:
    return _shut(scene, Proxy.cut, "refuses connections")


@fault(
    "direct port shut by a firewall",
    theme=_THEME,
    how="packets to and from that port are dropped, those of new connections too; nobody is told",
    what="within 3 s the mirror is stale; when 4 s were silent, and a new connection was not to be had within 1 s, "
    + _BY_ZMQ,
    limit_s=8.0,
    prepare=wired,
)
def direct_port_shut(scene: Scene) -> float:
    return _shut(scene, Proxy.lose, "does not answer within 1 s")


def _broken(scene: Scene, hurt: Callable[[Proxy], object]) -> float:
    outage_s = _hurt(scene, hurt)
    assert scene.hit.row(scene.lab)["transport"] == DIRECT
    return outage_s


@fault(
    "connection reset in the middle of a frame",
    theme=_THEME,
    how="all but a frame's last byte gets through, then both ends are told that the connection is reset (RST)",
    what="half a frame is never shown; the next connection is direct again and begins with the newest frame",
    limit_s=_BROKEN_S,
    prepare=wired,
)
def connection_reset(scene: Scene) -> float:
    return _broken(scene, Proxy.reset)


@fault(
    "garbage from the owner",
    theme=_THEME,
    how="a frame's bytes, those before it and behind it, are replaced by random ones on the way",
    what="nothing of it is shown; it is counted and told, and nothing more is read from there; the next connection is "
    "direct again",
    limit_s=_BROKEN_S,
    prepare=wired,
)
def garbage(scene: Scene) -> float:
    rejected = scene.hit.row(scene.lab)["rejected"]
    outage_s = _broken(scene, Proxy.spoil)
    row = scene.hit.row(scene.lab)
    assert row["rejected"] == rejected + 1, row
    assert "sends what is no stream" in row["warning"], row
    return outage_s


@contextmanager
def _another_reader(scene: Scene) -> Iterator[int]:
    """The pid of a program that reads the stream that is hit."""
    row = scene.hit.row(scene.rts)
    arguments = ["-m", "tests.faults.reader", "127.0.0.1", str(row["direct_port"]), scene.hit.name]
    with subprocess.Popen([sys.executable, *arguments]) as process:
        try:
            wait_until(lambda: scene.hit.row(scene.rts)["connected_direct"] == 2, HEAL_S, "another reader")
            yield process.pid
        finally:
            process.kill()


@fault(
    "reader stands still",
    theme=_THEME,
    how="SIGSTOP to a program that reads a segment directly, beside a mirror on another host",
    what="neither that mirror nor any other loses a frame; the owner lets go of the program when it was silent for 4 s",
    limit_s=6.0,
)
def reader_stands_still(scene: Scene) -> float:
    with _another_reader(scene) as pid, scene.undisturbed():
        began_s = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: scene.hit.row(scene.rts)["connected_direct"] == 1, HEAL_S, "the owner to let go of it")
        return time.monotonic() - began_s
