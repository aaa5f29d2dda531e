"""What lies between the hosts of a scene, and can be cut: their ways to the registry, and the streams' ways."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from tests.faults.scene import Scene, Stream
from tests.integration.registry_faults import World, reach
from tests.integration.tcp_proxy import Proxies, Proxy, proxy

#: What rts publishes leaves it at the one address, and is reached at the other.
INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
#: Publishers have the first ports, from which ZeroMQ goes, and the last ones, from which frames go directly.
_PORT_COUNT = 8
#: Below those that the kernel gives to whoever connects, and others in each run.
_PORT = 20_000 + os.getpid() % 1_000 * _PORT_COUNT


@dataclass(frozen=True)
class Wires:
    """All of them.

    Attributes:
        registry: The ways of both hosts to the registry.
        of_rts: Everything by which rts can be reached or reaches others.
        by_port: The way to what rts publishes at a port.
    """

    registry: World
    of_rts: Proxies
    by_port: dict[int, Proxy]

    def to(self, stream: Stream) -> Proxies:
        """All ways of a stream: a cable."""
        row = stream.row(stream.hosts.rts)
        return Proxies(*(self.by_port[row[port]] for port in ("port", "direct_port")))

    def directly_to(self, stream: Stream) -> Proxy:
        """The way without ZeroMQ alone."""
        return self.by_port[stream.row(stream.hosts.rts)["direct_port"]]


def wired(scene: Scene, stack: ExitStack) -> None:
    """Put wires between the hosts of a scene."""
    hosts = scene.hosts
    assert hosts.redis.port is not None
    password_file = hosts.folder / "password"
    password_file.write_text("")
    ways = {}
    for host in (hosts.rts, hosts.lab):
        ways[host.name] = stack.enter_context(proxy(hosts.redis.port))
        reach(host, f'host = "{INSIDE}"\nport = {ways[host.name].port}\npassword_file = "{password_file}"')
    first = [_PORT + number for number in range(len(scene.streams))]
    last = [_PORT + _PORT_COUNT - 1 - number for number in range(len(scene.streams))]
    by_port = {port: stack.enter_context(proxy(port, host=OUTSIDE)) for port in (*first, *last)}
    text = hosts.rts.config.read_text().replace(f'advertise = "{INSIDE}"', f'advertise = "{OUTSIDE}"')
    text = text.replace("base_pub_port = 0\n", f"base_pub_port = {_PORT}\nport_count = {_PORT_COUNT}\n")
    assert str(_PORT) in text
    hosts.rts.config.write_text(text)
    both = Proxies(*ways.values())
    scene.bring(Wires(World(hosts, both, password_file), Proxies(ways["rts"], *by_port.values()), by_port))
