"""The registry breaks, in each way there is a name for; counted from its being back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

from daosup.adapters.redis_server import find_server_binary
from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, Scene
from tests.faults.wires import Wires, wired
from tests.integration.registry_faults import FAULTS, World, is_whole, prompt, reach, wait_down
from tests.integration.registry_faults import Fault as Breakage
from tests.integration.registry_hosts import all_keys
from tests.integration.sentinels import Sentinels, sentinels
from tests.waiting import wait_until

_THEME = "The registry"
_LIMIT_S = 2.0
#: For so long after both hosts noticed.
_AWAY_S = 2.0
_WHAT = (
    "no frame is lost, no worker ends, both supervisors answer at once all the time; `status` says what is wrong, "
    "since when and what follows from it; afterwards all keys are there and the reader is known"
)
_HOW = {
    "gone": "the server is ended, and started again empty",
    "frozen": "SIGSTOP to the server, then SIGCONT",
    "slow": "each reply arrives 5 s late",
    "half-open": "connections are taken, but nothing comes through, and nobody is told",
    "cut": "connections are closed, and new ones refused",
    "swallowed": "packets are dropped on the way: what is connected is silent, and nobody can connect",
    "read-only": "the server becomes a replica of one that is not there",
    "out-of-memory": "the server is full and may not grow",
    "password-changed": "the server wants another password and ends all connections; then the password is in its file",
}


def _broken(scene: Scene, breakage: Breakage) -> float:
    """Break it until both hosts say so, and mend it."""
    world = scene.prop(Wires).registry
    hosts = (scene.rts, scene.lab)
    keys = _keys(scene, world)
    with scene.undisturbed(), prompt(*hosts):
        breakage.inject(world)
        for host in hosts:
            told = wait_down(host, breakage.said)
            assert told["since_s"] >= 0, told
            assert told["effect"].startswith("streams go on"), told
        until_s = time.monotonic() + _AWAY_S
        wait_until(lambda: time.monotonic() > until_s, HEAL_S, "the tries to be as far apart as they get")
        breakage.heal(world)
        return _until_whole(scene, world, keys)


def _keys(scene: Scene, world: World) -> set[bytes]:
    """What the two hosts have written down; not what others left that were killed, for nobody writes that again."""
    hosts = [host.name.encode() for host in (scene.rts, scene.lab)]
    parts = {key: key.split(b":") for key in all_keys(world.redis)}
    return {key for key, part in parts.items() if len(part) < 3 or part[2] in hosts}


def _until_whole(scene: Scene, world: World, keys: set[bytes]) -> float:
    began_s = time.monotonic()
    names = [stream.name for stream in scene.streams]
    wait_until(lambda: is_whole(scene.hosts, world.redis, keys, names), HEAL_S, "everything to be back")
    return time.monotonic() - began_s


def _forget_password(world: World) -> None:
    world.say("CONFIG", "SET", "requirepass", "")
    world.password_file.write_text("")


for _name, _breakage in FAULTS.items():

    def _run(scene: Scene, breakage: Breakage = _breakage) -> float:
        healed_s = _broken(scene, breakage)
        _forget_password(scene.prop(Wires).registry)
        return healed_s

    fault(
        f"Redis {_name.replace('-', ' ')}",
        theme=_THEME,
        how=_HOW[_name],
        what=_WHAT,
        since="its being back",
        limit_s=_LIMIT_S,
        prepare=wired,
    )(_run)


def _emptied(scene: Scene, empty: Callable[[World], object]) -> float:
    """What the registry holds goes, at once and without an outage that anybody has to notice."""
    world = scene.prop(Wires).registry
    keys = _keys(scene, world)
    with scene.undisturbed(), prompt(scene.rts, scene.lab):
        empty(world)
        return _until_whole(scene, world, keys)


_EMPTIED = "no frame is lost, no worker ends, both supervisors answer at once all the time; all is written down again"


@fault(
    "Redis restarted empty",
    theme=_THEME,
    how="the server is ended and at once started again; it keeps nothing",
    what=_EMPTIED,
    since="its being back",
    limit_s=_LIMIT_S,
    prepare=wired,
)
def redis_restarted(scene: Scene) -> float:
    def restart(world: World) -> None:
        world.fleet.redis.stop()
        world.fleet.redis.start()

    return _emptied(scene, restart)


@fault(
    "Redis flushed",
    theme=_THEME,
    how="`FLUSHALL`",
    what=_EMPTIED,
    limit_s=_LIMIT_S,
    prepare=wired,
)
def redis_flushed(scene: Scene) -> float:
    return _emptied(scene, lambda world: world.say("FLUSHALL"))


@fault(
    "readers forgotten",
    theme=_THEME,
    how="`DEL daosup:readers:rts`, as a server does that may evict what expires",
    what="publishers that are subscribed to go on, so no frame is lost and no worker ends; who reads is missing from "
    "the owner's `status` until the owner has missed it and the reader has asked again",
    limit_s=3.0,
    prepare=wired,
)
def readers_forgotten(scene: Scene) -> float:
    return _emptied(scene, lambda world: world.say("DEL", "daosup:readers:rts"))


def _behind_sentinels(scene: Scene, stack: ExitStack) -> None:
    found = find_server_binary()
    assert found is not None, "no Redis server here"
    made = stack.enter_context(sentinels(found[0]))
    for host in (scene.rts, scene.lab):
        reach(host, made.keys)
    scene.bring(made)


@fault(
    "Redis failed over",
    theme=_THEME,
    how="SIGKILL to the master of a Redis with one replica and three Sentinels",
    what=_WHAT + "; the new master is found by itself",
    since="the Sentinels' agreeing on a new master",
    limit_s=_LIMIT_S,
    prepare=_behind_sentinels,
    is_final=True,
)
def redis_failed_over(scene: Scene) -> float:
    made = scene.prop(Sentinels)
    hosts = (scene.rts, scene.lab)
    old = made.master
    keys = all_keys(made.address(old))
    names = [stream.name for stream in scene.streams]
    with scene.undisturbed(), prompt(*hosts):
        made.signal(old, signal.SIGKILL)
        for host in hosts:
            assert wait_down(host, "")["effect"].startswith("streams go on")
        new = wait_until(lambda: made.master if made.master not in (0, old) else 0, 60.0, "another master")
        began_s = time.monotonic()
        past = made.address(new)
        wait_until(lambda: is_whole(scene.hosts, past, keys, names), HEAL_S, "all to be at the new master")
        healed_s = time.monotonic() - began_s
    for host in hosts:
        assert f"at 127.0.0.1:{new}" in host.status()["registry"]["server"]
    return healed_s
