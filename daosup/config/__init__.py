"""The configuration of one supervisor: a TOML file, checked as a whole, as frozen dataclasses.

Invariant: a `Config` that exists is right in every key; a configuration that is wrong anywhere is one
`ConfigError` that lists all mistakes. The fields below are the one table from which checking, messages,
defaults and docs/configuration.md come.
"""

# ruff: noqa: RUF009  # key() and table() make dataclass fields; that is what the rule asks for

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Optional

from daosup.config import kinds
from daosup.config.dnet import DnetConfig
from daosup.config.hooks import HookConfig
from daosup.config.kinds import found, key, one_of, seconds, whole
from daosup.config.mirrors import (
    MirrorConfig,
    MirrorLayout,
    MirrorMaking,
    MirrorsConfig,
    check_making,
    check_mirrors,
    making_of,
    names_of,
)
from daosup.config.reading import Source, arrays_of, build, line_numbers, read_dotted, read_nested, table, tables
from daosup.config.redis_keys import REDIS_ADDRESS, Embedded, RedisConfig, Verify, check_redis, settle_address
from daosup.config.settling import LAST_PORT, settle_names, settle_ports
from daosup.config.workers import WorkerConfig, WorkersConfig
from daosup.core import types
from daosup.core.mirror_names import MirrorNames
from daosup.core.types import Role, Transport, Writing
from daosup.errors import ConfigError

CONFIG_FOLDER = Path("/etc/daosup")

_INSTANCE = r"[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,62}\Z"
__all__ = ["Config", "Embedded", "MirrorLayout", "RedisConfig", "Verify", "load"]

_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class NetworkConfig:
    """Where publishers listen. ``port_count`` ports from ``base_pub_port`` (0: any free ports) may be used."""

    port_count: int = key(
        whole(1, LAST_PORT),
        "How many ports, from `base_pub_port` on, may be used; open these in a firewall.",
        derived="`2000`, or as many as there are",
        is_live=True,
    )
    bind: str = key(kinds.BIND, "Address that publishers listen on.", "*", is_live=True)
    advertise: Optional[str] = key(
        kinds.ADVERTISE, "Address told to other hosts; without it, found out from the route to Redis.", is_live=True
    )
    base_pub_port: int = key(
        whole(1024, LAST_PORT, zero_means="any free ports"), "First port of the publishers.", 5560, is_live=True
    )


@dataclass(frozen=True)
class ControlConfig:
    """The socket daosupctl speaks to. ``mode`` is the permission bits as a number."""

    socket: Path = key(
        kinds.PATH, "The control socket; at most 107 bytes.", derived="`<runtime_folder>/<instance>.sock`"
    )
    mode: int = key(kinds.MODE, "Permissions of the socket: who may write to it may look.", "0666")
    group: Optional[str] = key(
        kinds.GROUP,
        "Group of the socket, whose members may also change things, as root and the service's own user may; without "
        "it, the service's own group.",
    )
    secret_file: Optional[Path] = key(
        kinds.PATH,
        "File of at least 32 bytes, the same on all hosts, that only root and the service's group may read "
        "(`head -c 32 /dev/urandom | base64`, mode 0640). With it, hosts may change things on each other "
        "(`daosupctl -H HOST ...`); without it, they may only look.",
        is_live=True,
    )


@dataclass(frozen=True)
class PublishConfig:
    """Which segments other hosts may have."""

    include: tuple[str, ...] = key(kinds.GLOBS, "Segments announced to other hosts.", ["*"], is_live=True)
    exclude: tuple[str, ...] = key(
        kinds.GLOBS, "Segments that are not, although `include` names them.", [], is_live=True
    )
    semaphore: int = key(
        whole(0, 9),
        "Semaphore of a segment that its publisher waits on, and of a mirror that is written back; no other program "
        "may.",
        9,
        is_live=True,
    )
    direct: bool = key(
        kinds.YES_OR_NO,
        "Whether frames can also be had directly, at a second port of each publisher, which is taken from the end of "
        "the range of `[network]`, as long as half of that is room enough for all segments.",
        True,
        is_live=True,
    )
    read_only: tuple[str, ...] = key(
        kinds.GLOBS, "Segments that mirrors on other hosts may not write back to.", [], is_live=True
    )
    single_writer: tuple[str, ...] = key(
        kinds.GLOBS,
        "Segments that one other host at a time may write back to; what `read_only` names as well is read-only.",
        [],
        is_live=True,
    )


@dataclass(frozen=True)
class MetricsConfig:
    """Where Prometheus finds metrics. ``listen`` is an IP address, or ``*`` for all, and a port; None: nowhere."""

    listen: Optional[tuple[str, int]] = key(
        kinds.LISTEN,
        'Where metrics are served to whoever asks, by HTTP at `/metrics`; `"127.0.0.1:9777"`: to this host alone.',
        unset="nowhere",
        is_live=True,
    )


@dataclass(frozen=True)
class LogConfig:
    """What is logged."""

    level: str = key(
        one_of(("debug", "info", "warning", "error")), "The least level that is logged.", "info", is_live=True
    )


@dataclass(frozen=True)
class Config:
    """All settings of one supervisor. ``file`` is None if there was no file and all is default.

    ``origins`` says where each key was set, by its dotted name (``log.level``, ``mirror[0].source``): ``FILE:LINE`` or
    ``command line``. What is not in it has its default.
    """

    instance: str
    file: Optional[Path]
    host: str = key(kinds.HOST, "This host's name in the registry.", derived="the machine's name up to its first dot")
    runtime_folder: Path = key(
        kinds.PATH,
        "Folder for sockets and state that a reboot may lose.",
        derived="`$RUNTIME_DIRECTORY`, else `/run/daosup` for root, else `$XDG_RUNTIME_DIR/daosup`, "
        "else `/tmp/daosup-<uid>`",
    )
    state_folder: Path = key(
        kinds.PATH,
        "Folder for what `daosupctl keep` and `daosupctl stop` ask for, which outlasts a reboot.",
        derived="`$STATE_DIRECTORY`, else `/var/lib/daosup` for root, else `$XDG_STATE_HOME/daosup`, "
        "else `~/.local/state/daosup`",
    )
    redis: RedisConfig = table("The registry.", RedisConfig)
    network: NetworkConfig = table("Addresses and ports of the streams.", NetworkConfig)
    control: ControlConfig = table("The control socket, for daosupctl.", ControlConfig)
    publish: PublishConfig = table("What this host gives to others.", PublishConfig)
    mirrors: MirrorsConfig = table("How this host mirrors segments of others.", MirrorsConfig)
    workers: WorkersConfig = table("The processes that move frames, and what they may use.", WorkersConfig)
    metrics: MetricsConfig = table("Metrics for Prometheus; docs/metrics.md lists them.", MetricsConfig)
    dnet: DnetConfig = table(
        "Hosts that run DAO's own network service, in the same network: their segments can be mirrored like those of "
        "other hosts. Nobody proves there who he is: for closed networks.",
        DnetConfig,
    )
    log: LogConfig = table("Logging.", LogConfig)
    worker: tuple[WorkerConfig, ...] = tables(
        "Workers that are to be limited otherwise than `[workers]` says; the first table that matches counts.",
        WorkerConfig,
        is_live=True,
    )
    role: Optional[Role] = key(
        one_of(Role),
        "Role of this host; without it, hosts agree on a master by themselves. "
        'A second "master" ends with exit code 69 (`daosupd --takeover`).',
    )
    heartbeat_interval_s: float = key(
        seconds(0.1, 3600), "How often this host tells the registry that it lives.", 30.0, is_live=True
    )
    segment_folder: Path = key(kinds.PATH, "Folder of the segments.", "/tmp")
    mirror: tuple[MirrorConfig, ...] = tables("A mirror that comes up by itself.", MirrorConfig, is_live=True)
    hook: tuple[HookConfig, ...] = tables(
        "A program that is run for each event of a kind, as the service's user and within what the service may do. At "
        "most four run at a time, and a hundred wait; what they write is in the log.",
        HookConfig,
        is_live=True,
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> MirrorNames:
        """What mirrors are called."""
        return names_of(self.mirrors.name, self.mirror)

    def may_publish(self, name: str) -> bool:
        """Whether other hosts may have the segment ``name`` of this host."""
        return any(fnmatchcase(name, each) for each in self.publish.include) and not any(
            fnmatchcase(name, each) for each in self.publish.exclude
        )

    def writing_of(self, name: str) -> Writing:
        """Which mirrors on other hosts may write into the segment ``name`` of this host."""
        for writing, patterns in (
            (Writing.READ_ONLY, self.publish.read_only),
            (Writing.SINGLE_WRITER, self.publish.single_writer),
        ):
            if any(fnmatchcase(name, each) for each in patterns):
                return writing
        return Writing.OPEN

    def transport_of(self, source: types.Source) -> Transport:
        """How the frames of ``source`` are to come."""
        own = self._own(source)
        return (own.transport if own else None) or self.mirrors.transport

    def making_of(self, source: types.Source) -> MirrorMaking:
        """How the mirror of ``source`` is made."""
        return making_of(self.mirrors, self._own(source))

    def _own(self, source: types.Source) -> MirrorConfig | None:
        """What is said of the mirror of ``source`` alone."""
        return next((each for each in self.mirror if each.source == source), None)

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, object],
        where: str = "configuration",
        *,
        instance: str = "default",
        overrides: Mapping[str, object] = _NO_OVERRIDES,
        file: Path | None = None,
        lines: Mapping[str, int] | None = None,
    ) -> Config:
        """Check a nested mapping as TOML gives it.

        Args:
            mapping: Top-level keys and tables.
            where: Named in each mistake.
            instance: Names the default control socket.
            overrides: Dotted keys that win over ``mapping``; None counts as not given.
            file: Remembered in the result.
            lines: Line numbers by dotted key, for messages.

        Raises:
            ConfigError: With all mistakes.
        """
        mistakes: list[str] = []
        config = _read(mapping, Source(where, lines or {}), instance, overrides, file, mistakes)
        if config is None:
            raise ConfigError(mistakes)
        return config


def load(
    path: Path | None, instance: str, overrides: Mapping[str, object] = _NO_OVERRIDES, text: str | None = None
) -> Config:
    """Read the configuration of ``instance``.

    Args:
        path: The file; None for ``/etc/daosup/<instance>.toml``, which may be missing (all defaults).
        instance: Name of the instance, as in ``daoserver@<instance>``.
        overrides: Dotted keys from the command line, which win over the file; None counts as not given.
        text: What the file says; without it, it is read.

    Raises:
        ConfigError: With all mistakes in the file and in ``overrides``.
    """
    mistakes: list[str] = []
    file = path
    mapping: dict[str, object] = {}
    if path is None and re.match(_INSTANCE, instance):
        default = CONFIG_FOLDER / f"{instance}.toml"
        file = default if os.path.lexists(default) else None
    if file is not None:
        if text is None:
            text = _text_of(file, mistakes)
        mapping = _parse(file, text, mistakes)
    config = _read(mapping, Source(str(file), line_numbers(text or "")), instance, overrides, file, mistakes)
    if config is None:
        raise ConfigError(mistakes)
    return config


def _text_of(file: Path, mistakes: list[str]) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        mistakes.append(f"{file}: cannot be read: {error.strerror}; name a file that this user may read")
    except UnicodeDecodeError as error:
        mistakes.append(f"{file}: is not UTF-8 text (byte {error.start}); save it as UTF-8")
    return ""


def _parse(file: Path, text: str, mistakes: list[str]) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except RecursionError:
        mistakes.append(f"{file}: is not valid TOML: nested too deeply")
    except ValueError as error:  # TOMLDecodeError, and int() of too many digits
        line = re.search(r"at line (\d+)", str(error))
        place = f"{file}:{line.group(1)}" if line else str(file)
        mistakes.append(f"{place}: is not valid TOML: {error}")
    return {}


def _read(
    mapping: Mapping[str, object],
    source: Source,
    instance: str,
    overrides: Mapping[str, object],
    file: Path | None,
    mistakes: list[str],
) -> Config | None:
    """The checked configuration, or None with something in ``mistakes``."""
    command_line = Source("command line", {})
    if not re.match(_INSTANCE, instance):
        mistakes.append(f"instance is {found(instance)}, not 1 to 63 letters, digits, '_', '-', '.', ':' or '@'")
        instance = "default"  # any name that can be in a path, so that the rest is checked
    read_nested(Config, mapping, source, mistakes)
    read_dotted(Config, overrides, command_line, mistakes)
    settle_address(source, command_line)
    for array in arrays_of(Config).keys() & command_line.values.keys():
        source.values.pop(array, None)
    values: dict[str, object] = {**source.values, **command_line.values}
    places = {dotted: (command_line if dotted in command_line.values else source).place(dotted) for dotted in values}
    # Only keys that were right themselves are compared with each other, so one mistake is not told twice.
    check_redis(values, places, mistakes)
    settle_ports(values, places, mistakes, NetworkConfig.base_pub_port)
    settle_names(values, places, mistakes, instance)
    place = (command_line if "mirror" in command_line.values else source).place
    pattern = str(values.get("mirrors.name", MirrorsConfig.name))
    check_mirrors(values.get("mirror", ()), pattern, values.get("host"), place, mistakes)
    check_making(values, places, mistakes)
    if mistakes:
        return None
    # An array of tables that the command line has replaces that of the file.
    of_file = {dotted: place for dotted, place in source.places.items() if dotted.partition("[")[0] in source.values}
    values.update({"instance": instance, "file": file, "origins": {**places, **of_file, **command_line.places}})
    values["redis.is_configured"] = not values.keys().isdisjoint(REDIS_ADDRESS)
    return build(Config, values)
