"""Two hosts on one machine, each with its own folders and daemon, and the simulators that feed the first.

Invariant: all that is made is undone in the reverse order, whatever happens in between.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from daosup.adapters.control_client import ControlClient
from daosup.adapters.control_protocol import MAX_PATH_BYTES
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.core.types import MIRROR_PREFIX, SEGMENT_SUFFIX, Source
from daosup.ctl.ending import Ending
from daosup.demo.children import Child
from daosup.errors import DaosupError, UnavailableError
from daosup.shm.making import unlink_segment

OWNER, READER = "rts", "lab"
CAMERA, MIRROR = "wfs", "dm"
MIRRORED_WITHIN_S = 30.0
CALL_S = 1.0
TRY_AGAIN_S = 0.1
LAST_WORDS = 12
_PREFIX = "daosup-demo-"
_LONGEST_TAIL_BYTES = 60

_CONFIG = """\
host = {host}
role = {role}
heartbeat_interval_s = 2.0
segment_folder = {segments}
runtime_folder = {runtime}
state_folder = {runtime}

[redis]
url = {redis_url}
embedded = "never"

[network]
bind = "127.0.0.1"
advertise = "127.0.0.1"
base_pub_port = 0

[control]
socket = {socket}
mode = "0600"

[workers]
survive_supervisor = false
"""


class DiedError(DaosupError):
    """A process of the demonstration ended by itself."""


@dataclass(frozen=True)
class Host:
    """One supervised host: its folder of segments, its daemon, and a client that asks it."""

    name: str
    segments: Path
    daemon: Child
    client: ControlClient


@dataclass(frozen=True)
class Fleet:
    """What runs: the owner of the segments, the host that mirrors them, and all processes by the order of starting."""

    owner: Host
    reader: Host
    children: tuple[Child, ...]
    redis: Optional[EmbeddedRedis]
    sources: tuple[Source, ...]

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Both hosts."""
        return self.owner, self.reader

    def mirror_path(self, source: Source) -> Path:
        """The file of the segment that mirrors ``source``."""
        return self.reader.segments / f"{source.mirror_name}{SEGMENT_SUFFIX}"

    def deaths(self) -> list[str]:
        """Each process that ended by itself, in words."""
        return [death for child in self.children if (death := child.death()) is not None]

    def check(self) -> None:
        """Tell of a process that ended by itself, with the last lines of its log.

        Raises:
            DiedError: If there is one.
        """
        for child in self.children:
            death = child.death()
            if death is not None:
                log = "\n".join(f"  {line}" for line in child.last_words(LAST_WORDS))
                raise DiedError(f"{death}; the end of its log:\n{log or '  (it is empty)'}")
        if self.redis is not None and self.redis.pid is None:
            raise DiedError("the demonstration's Redis ended by itself")


@contextmanager
def running(ending: Ending, redis_url: Optional[str], tell: Callable[[str], None]) -> Iterator[Fleet]:
    """Set everything up, and clear it up.

    Args:
        ending: Heeded between the steps.
        redis_url: The Redis to use; None for one of our own.
        tell: Called with each step, in words.

    Raises:
        Ended: If asked to end meanwhile.
        DaosupError: If something does not start.
    """
    with ExitStack() as undo:
        builder = _Builder(ending, tell, undo)
        fleet = builder.build(redis_url)
        for source in fleet.sources:
            tell(f"asking {READER} to mirror {source}")
            _mirror(fleet, source, ending)
        yield fleet


class _Builder:
    """Starts one thing after the other; each leaves its undoing in ``undo`` before the next begins."""

    def __init__(self, ending: Ending, tell: Callable[[str], None], undo: ExitStack) -> None:
        self._ending = ending
        self._tell = tell
        self._undo = undo
        self._children: list[Child] = []
        self._folder = _new_folder()
        undo.callback(shutil.rmtree, self._folder)
        undo.callback(tell, f"removing {self._folder}")

    def build(self, redis_url: Optional[str]) -> Fleet:
        redis = None
        if redis_url is None:
            redis = self._start_redis()
            redis_url = f"unix://{redis.socket_path}"
        segments = {host: self._segment_folder(host) for host in (OWNER, READER)}
        sources = tuple(Source(OWNER, name) for name in _free_names())
        for source, simulator in zip(sources, ("camera", "deformable_mirror")):
            self._tell(f"starting the simulator of {source}")
            path = segments[OWNER] / f"{source.name}{SEGMENT_SUFFIX}"
            self._start(simulator, f"daosup.demo.{simulator}", str(path))
        owner = self._start_host(OWNER, "master", segments[OWNER], redis_url)
        reader = self._start_host(READER, "minion", segments[READER], redis_url)
        return Fleet(owner, reader, tuple(self._children), redis, sources)

    def _start_redis(self) -> EmbeddedRedis:
        self._ending.check()
        self._tell("starting a Redis of our own")
        redis = EmbeddedRedis(self._folder / "redis", port=None)
        self._undo.callback(redis.stop)
        self._undo.callback(self._tell, "stopping Redis")
        redis.start()
        return redis

    def _start_host(self, name: str, role: str, segments: Path, redis_url: str) -> Host:
        self._tell(f"starting the daemon of {name}")
        runtime = self._folder / f"{name}-run"
        runtime.mkdir()
        values = {
            "host": name,
            "role": role,
            "segments": str(segments),
            "runtime": str(runtime),
            "redis_url": redis_url,
            "socket": str(runtime / f"{name}.sock"),
        }
        config = self._folder / f"{name}.toml"
        # A JSON string is a TOML string too.
        config.write_text(_CONFIG.format(**{key: json.dumps(value) for key, value in values.items()}))
        daemon = self._start(f"{name}-daosupd", "daosup.daosupd", "--config", str(config))
        client = ControlClient(values["socket"], CALL_S)
        self._undo.callback(client.close)
        return Host(name, segments, daemon, client)

    def _start(self, name: str, module: str, *arguments: str) -> Child:
        self._ending.check()
        child = Child(name, module, list(arguments), self._folder / f"{name}.log")
        self._undo.callback(child.stop)
        self._undo.callback(self._tell, f"stopping {name}")
        self._children.append(child)
        return child

    def _segment_folder(self, host: str) -> Path:
        segments = self._folder / host
        segments.mkdir()
        self._undo.callback(_unlink_segments, segments)
        return segments


def _mirror(fleet: Fleet, source: Source, ending: Ending) -> None:
    """Ask until the owner has announced the segment and its frames arrive."""
    deadline_s = time.monotonic() + MIRRORED_WITHIN_S
    last = UnavailableError("never asked")
    while time.monotonic() < deadline_s:
        ending.check()
        fleet.check()
        try:
            fleet.reader.client.call(
                "mirror", source=str(source), bidirectional=False, wait_s=CALL_S / 2, holder="demo"
            )
        except UnavailableError as error:
            last = error
        else:
            return
        ending.pause(TRY_AGAIN_S)
    raise UnavailableError(f"{source} could not be mirrored within {MIRRORED_WITHIN_S:g} s: {last}")


def _new_folder() -> Path:
    """A new folder, with a path short enough for the sockets in it."""
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) + len(_PREFIX) + _LONGEST_TAIL_BYTES > MAX_PATH_BYTES:
        place = "/tmp"
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))


def _free_names() -> tuple[str, str]:
    """Names for the segments: semaphores are named after segments, whatever folder these are in."""
    for suffix in ("", f"_demo{os.getpid()}"):
        names = (CAMERA + suffix, MIRROR + suffix)
        sems = [f"/dev/shm/sem.{prefix}{name}_sem00" for name in names for prefix in ("", f"{MIRROR_PREFIX}{OWNER}_")]
        if not any(map(os.path.exists, sems)):
            break
    return names


def _unlink_segments(folder: Path) -> None:
    """Remove what a killed process left."""
    for path in folder.glob(f"*{SEGMENT_SUFFIX}"):
        unlink_segment(path)
