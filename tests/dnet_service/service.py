"""The service: its beacon, the nodes it hears, its data port, and its links."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from tests.dnet_service import wire
from tests.dnet_service.links import RECONNECT_S, Broken, OwnerLink, ReaderLink, Sources
from tests.dnet_service.segments import Segment
from tests.old_daemon.segments import SUFFIX, create, remove

BEACON_S = 1.0
FORGET_S = 6.0
LINE_S = 3.0
ANSWER_S = 2.0
_LOOK_S = 0.05


@dataclass
class Node:
    """Another node, as it is heard."""

    address: str
    port: int
    version: int
    heard_s: float
    fetched: int = -1
    segments: dict[str, str] = field(default_factory=dict)


@dataclass
class Mirrored:
    """A mirror of another node's segment."""

    node: str
    name: str
    path: str
    is_over: bool = False
    link: Optional[ReaderLink] = None
    links: int = 0
    why: str = ""


class Service:
    """One node."""

    def __init__(self, node: str, domain: str, folder: str, interface: str, group: str, port: int, beacon_port: int):
        self.node, self.domain, self.folder = node, domain, folder
        self.nodes: dict[str, Node] = {}
        self.mirrored: dict[str, Mirrored] = {}
        self.owner_links: list[OwnerLink] = []
        self.sources: dict[str, Sources] = {}
        self.error: Optional[str] = None
        self.is_quiet = False
        self.beacon: Optional[str] = None
        self._made: set[str] = set()
        self._listed: tuple[str, ...] = ()
        self._version = 1
        self._ending = threading.Event()
        self._group = group, beacon_port
        self._interface = interface
        self._listener = socket.create_server((interface, port))
        self.port = self._listener.getsockname()[1]
        self._multicast = self._join()
        for turn in (self._say, self._hear, self._accept):
            self._start(turn)

    # -- threads

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception:
                if not self._ending.is_set():
                    self.error = traceback.format_exc()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    # -- beacons

    def _join(self) -> socket.socket:
        channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind(self._group)
        own = socket.inet_aton(self._interface)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(self._group[0]) + own)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        channel.settimeout(_LOOK_S)
        return channel

    def _say(self) -> None:
        while not self._ending.is_set():
            listed = tuple(sorted(self._segments().values()))
            if listed != self._listed:
                self._listed, self._version = listed, self._version + 1
            text = (
                f"DAONET 1 domain={self.domain} node={self.node} port={self.port} catalog={self._version}\n"
                if self.beacon is None
                else self.beacon
            )
            if not self.is_quiet:
                self._multicast.sendto(text.encode("latin-1"), self._group)
            self._ending.wait(BEACON_S)

    def _hear(self) -> None:
        while not self._ending.is_set():
            now = time.monotonic()
            for node in [name for name, each in self.nodes.items() if now > each.heard_s + FORGET_S]:
                del self.nodes[node]
            try:
                text, (address, _) = self._multicast.recvfrom(2048)
            except socket.timeout:
                continue
            words = text.decode(errors="replace").split()
            if words[:2] != ["DAONET", "1"]:
                continue
            said = dict(word.partition("=")[::2] for word in words[2:])
            if said["domain"] != self.domain or said["node"] == self.node:
                continue
            node = self.nodes.setdefault(said["node"], Node("", 0, 0, 0.0))
            node.address, node.port, node.version, node.heard_s = address, int(said["port"]), int(said["catalog"]), now
            if node.fetched != node.version:
                self._fetch(said["node"], node)

    def _fetch(self, name: str, node: Node) -> None:
        try:
            with socket.create_connection((node.address, node.port), ANSWER_S) as connection:
                connection.sendall(b"CATALOG\n")
                text = b""
                while part := connection.recv(65536):
                    text += part
        except OSError:
            return
        lines = text.decode().splitlines()
        assert lines[0].split()[:2] == ["NODE", name], f"CATALOG of {name} begins with {lines[0]!r}"
        assert lines[0].split()[3] == self.domain, f"CATALOG of {name} begins with {lines[0]!r}"
        assert lines[-1] == "END", f"CATALOG of {name} ends with {lines[-1]!r}"
        assert all(line.startswith("SHM ") and len(line.split()) == 10 for line in lines[1:-1]), text
        node.segments = {line.split()[1]: line for line in lines[1:-1]}
        node.fetched = int(lines[0].split()[2])

    # -- the data port

    def _accept(self) -> None:
        self._listener.settimeout(_LOOK_S)
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except socket.timeout:
                continue
            self._start(lambda connection=connection: self._answer(connection))  # type: ignore[misc]

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(LINE_S)
            try:
                words = wire.read_line(connection).split()
                if words == ["CATALOG"]:
                    lines = [f"NODE {self.node} {self._version} {self.domain}", *self._segments().values(), "END"]
                    connection.sendall("".join(f"{line}\n" for line in lines).encode())
                elif len(words) == 3 and words[0] == "SUBSCRIBE":
                    self._serve(connection, words[1], words[2])
                else:
                    connection.sendall(b"ERR unknown command\n")
            except OSError:
                return

    def _serve(self, connection: socket.socket, name: str, reader: str) -> None:
        if name not in self._segments():
            connection.sendall(f"ERR no such segment: {name}\n".encode())
            return
        connection.sendall(b"OK\n")
        link = OwnerLink(connection, self.path_of(name), reader, self.sources.setdefault(name, Sources()))
        self.owner_links.append(link)
        try:
            link.run()
        finally:
            self.owner_links.remove(link)

    def _segments(self) -> dict[str, str]:
        """The catalogue's lines. Not known: whether the service lists its own mirrors; here it does not."""
        lines = {}
        for file_name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, file_name)
            if not file_name.endswith(SUFFIX) or any(each.path == path for each in list(self.mirrored.values())):
                continue
            try:
                segment = Segment(path)
            except (ValueError, OSError):
                continue
            name = file_name[: -len(SUFFIX)]
            sizes = [*segment.shape, 0, 0][:3]
            words = [name, len(segment.shape), *sizes, segment.atype, len(segment.keywords) // wire.KEYWORD.size,
                     segment.depth, 0]  # fmt: skip
            lines[name] = "SHM " + " ".join(map(str, words))
            segment.close()
        return lines

    # -- mirrors

    def path_of(self, name: str) -> str:
        return os.path.join(self.folder, name + SUFFIX)

    def mirror(self, source: str) -> str:
        """Not known: what the service calls a mirror. Nodes of one test share /dev/shm, so not like the source."""
        node, _, name = source.partition(":")
        mirrored = self.mirrored[source] = Mirrored(node, name, self.path_of(f"{node}_{name}"))
        self._made.add(mirrored.path)
        self._start(lambda: self._follow(mirrored))
        return mirrored.path

    def _follow(self, mirrored: Mirrored) -> None:
        pause_s = RECONNECT_S[0]
        while not (mirrored.is_over or self._ending.is_set()):
            node = self.nodes.get(mirrored.node)
            try:
                if node is None:
                    raise Broken(f"no node {mirrored.node}")
                with socket.create_connection((node.address, node.port), ANSWER_S) as connection:
                    connection.sendall(f"SUBSCRIBE {mirrored.name} {self.node}\n".encode())
                    answer = wire.read_line(connection)
                    if answer != "OK":
                        raise Broken(answer)
                    pause_s = RECONNECT_S[0]
                    mirrored.link = ReaderLink(connection, mirrored.path)
                    mirrored.links += 1
                    mirrored.link.run()
            except OSError as error:
                mirrored.why = str(error)
            mirrored.link = None
            self._ending.wait(pause_s)
            pause_s = min(RECONNECT_S[1], 2 * pause_s)

    def release(self, source: str) -> None:
        mirrored = self.mirrored.pop(source)
        mirrored.is_over = True
        if mirrored.link is not None:
            with suppress(OSError):
                mirrored.link.connection.shutdown(socket.SHUT_RDWR)

    # -- its end

    def create(self, name: str, shape: tuple[int, ...], dtype: str, keywords: dict[str, int]) -> None:
        raw = b"".join(wire.keyword(key, value) for key, value in keywords.items())
        create(self.path_of(name), shape, dtype, keywords=raw)
        self._made.add(self.path_of(name))

    def remove(self, name: str) -> None:
        remove(self.path_of(name))
        self._made.discard(self.path_of(name))

    def as_json(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "version": self._version,
            "error": self.error,
            "nodes": {
                name: {"address": each.address, "port": each.port, "segments": list(each.segments)}
                for name, each in dict(self.nodes).items()
            },
            "readers": [
                {
                    "name": os.path.basename(each.path)[: -len(SUFFIX)],
                    "reader": each.reader,
                    "frames": each.frames,
                    "dropped": each.dropped,
                    "written": each.written,
                    "ignored": each.ignored,
                }
                for each in list(self.owner_links)
            ],
            "mirrored": {source: self._mirrored_json(each) for source, each in dict(self.mirrored).items()},
        }

    @staticmethod
    def _mirrored_json(mirrored: Mirrored) -> dict[str, Any]:
        link = mirrored.link
        names = ("frames", "torn", "echoes", "sent", "metas", "dropped", "counter")
        counts = {name: getattr(link, name) for name in names} if link is not None else {}
        return {"has_link": link is not None, "links": mirrored.links, "why": mirrored.why, **counts}

    def stop(self) -> None:
        """End in order, and remove what was made here."""
        for link in list(self.owner_links):
            with suppress(OSError):  # it ended just now
                link.send(wire.Header(wire.BYE))
        self._ending.set()
        for source in list(self.mirrored):
            self.release(source)
        for link in list(self.owner_links):
            with suppress(OSError):
                link.connection.shutdown(socket.SHUT_RDWR)
        time.sleep(2 * _LOOK_S)
        self._listener.close()
        self._multicast.close()
        for path in self._made:
            if os.path.exists(path):
                remove(path)
