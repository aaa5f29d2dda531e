"""The network between two hosts falls silent, closes what is open, or leaves one host alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.faults.fault import BY_BOTH, fault
from tests.faults.scene import DIRECT, HEAL_S, ZMQ, Scene, Stream
from tests.faults.wires import Wires, wired
from tests.integration.registry_faults import is_whole, prompt, wait_down
from tests.integration.registry_hosts import all_keys
from tests.integration.tcp_proxy import Proxies
from tests.waiting import wait_until

_THEME = "The network"
_SINCE = "the network's return"
_LIMIT_S = 2.0
#: A direct connection is given up after 4 s of silence; that the link is down is said of both before.
_NOTICED_S = {DIRECT: 5.0, ZMQ: 3.0}
_AWAY_S = 5.0


def _rows(scene: Scene, stream: Stream) -> tuple[dict[str, Any], dict[str, Any]]:
    return stream.row(scene.lab), stream.row(scene.rts)


def _is_noticed(scene: Scene, stream: Stream) -> bool:
    """Whether the mirror is stale, with the reason, and the owner misses its reader."""
    mirror, publisher = _rows(scene, stream)
    return (mirror["link"], publisher["connected"]) == ("down", 0) and bool(mirror["reason"])


def _is_linked(scene: Scene, stream: Stream) -> bool:
    mirror, publisher = _rows(scene, stream)
    return (mirror["link"], mirror["reason"], publisher["connected"]) == ("up", None, 1)


def _wait_linked(scene: Scene, stream: Stream) -> None:
    wait_until(lambda: _is_linked(scene, stream), HEAL_S, f"both ends of {stream.source} to know each other")


def _away(scene: Scene, hurt: Callable[[Proxies], object], *, is_silent: bool) -> float:
    """All ways of one stream are hurt until both ends have noticed."""
    stream = scene.hit
    way = scene.prop(Wires).to(stream)
    _wait_linked(scene, stream)
    pids = [stream.worker(host) for host in (scene.rts, scene.lab)]
    with scene.other_undisturbed():
        began_s = time.monotonic()
        hurt(way)
        wait_until(lambda: _is_noticed(scene, stream), HEAL_S, "both ends to notice")
        noticed_s = time.monotonic() - began_s
        assert noticed_s <= _NOTICED_S[stream.transport], f"both ends had noticed after {noticed_s:.2f} s"
        assert ("no word from" in str(stream.row(scene.lab)["reason"])) or not is_silent
        way.heal()
        healed_s = stream.first_frame_s(time.monotonic())
        _wait_linked(scene, stream)
    assert [stream.worker(host) for host in (scene.rts, scene.lab)] == pids
    return healed_s


@fault(
    "network silent for a while",
    theme=_THEME,
    how="packets on a stream's way are dropped, those of new connections too; nobody is told. Then they come through",
    what="within 3 s the mirror is stale (`no word from ...`) and the publisher misses its reader, a direct one within "
    "5 s; workers stay, and find each other again",
    since=_SINCE,
    limit_s=_LIMIT_S,
    transports=BY_BOTH,
    prepare=wired,
)
def network_silent(scene: Scene) -> float:
    return _away(scene, Proxies.swallow, is_silent=True)


@fault(
    "connection lost for good",
    theme=_THEME,
    how="packets are dropped as before, and the connections of before never get through again",
    what="as before: what is half open is given up at both ends, and opened anew",
    since=_SINCE,
    limit_s=_LIMIT_S,
    transports=BY_BOTH,
    prepare=wired,
)
def connection_lost(scene: Scene) -> float:
    return _away(scene, Proxies.lose, is_silent=True)


@fault(
    "connections closed",
    theme=_THEME,
    how="a stream's connections are closed under both ends, and new ones are refused until both have noticed",
    what="the mirror is stale and the publisher misses its reader; workers stay, and find each other again",
    since=_SINCE,
    limit_s=_LIMIT_S,
    transports=BY_BOTH,
    prepare=wired,
)
def connections_closed(scene: Scene) -> float:
    return _away(scene, Proxies.cut, is_silent=False)


@fault(
    "host cut off from everything",
    theme=_THEME,
    how=f"the owner reaches neither the registry nor a reader, in silence, until all noticed and {_AWAY_S:g} s longer",
    what="no worker ends, its supervisor answers at once all the time; on return its registry, its keys, its readers "
    "and both streams are back without anybody's help",
    since=_SINCE,
    limit_s=_LIMIT_S,
    transports=BY_BOTH,
    prepare=wired,
    is_wide=True,
)
def host_cut_off(scene: Scene) -> float:
    wires = scene.prop(Wires)
    for stream in scene.streams:
        _wait_linked(scene, stream)
    keys = all_keys(wires.registry.redis)
    pids = [stream.worker(host) for stream in scene.streams for host in (scene.rts, scene.lab)]
    names = [stream.name for stream in scene.streams]
    with prompt(scene.rts, scene.lab):
        wires.of_rts.swallow()
        wait_down(scene.rts, "did not answer")
        for stream in scene.streams:
            wait_until(lambda: _is_noticed(scene, stream), HEAL_S, "both ends to notice")  # noqa: B023
        until_s = time.monotonic() + _AWAY_S
        wait_until(lambda: time.monotonic() > until_s, HEAL_S, "the time to be over")
        wires.of_rts.heal()
        began_s = time.monotonic()
        wait_until(lambda: is_whole(scene.hosts, wires.registry.redis, keys, names), HEAL_S, "everything to be back")
        healed_s = time.monotonic() - began_s
    frames_s = [stream.first_frame_s(began_s) for stream in scene.streams]
    for stream in scene.streams:
        _wait_linked(scene, stream)
    assert [stream.worker(host) for stream in scene.streams for host in (scene.rts, scene.lab)] == pids
    return max(healed_s, *frames_s)
