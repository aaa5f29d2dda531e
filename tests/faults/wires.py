"""What lies between the hosts of a scene, and can be cut: their ways to the registry, and the streams' way."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from tests.faults.scene import Scene, Stream
from tests.integration.registry_faults import World, reach
from tests.integration.tcp_proxy import Proxies, Proxy, proxy

#: What rts publishes leaves it at the one address, and is reached at the other.
INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
#: Below those that the kernel gives to whoever connects, and another one in each run.
_PORT = 20_000 + 2 * os.getpid() % 10_000


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

    def to(self, stream: Stream) -> Proxy:
        """The way of a stream."""
        return self.by_port[int(stream.row(stream.hosts.rts)["port"])]


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
    by_port = {port: stack.enter_context(proxy(port, host=OUTSIDE)) for port in (_PORT, _PORT + 1)}
    text = hosts.rts.config.read_text().replace(f'advertise = "{INSIDE}"', f'advertise = "{OUTSIDE}"')
    text = text.replace("base_pub_port = 0\n", f"base_pub_port = {_PORT}\nport_count = {len(by_port)}\n")
    assert str(_PORT) in text
    hosts.rts.config.write_text(text)
    both = Proxies(*ways.values())
    scene.bring(Wires(World(hosts, both, password_file), Proxies(ways["rts"], *by_port.values()), by_port))
