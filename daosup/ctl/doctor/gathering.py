"""Gathers what a doctor must know: asks the daemon, and looks for itself at what the daemon does not know.

Invariant: nothing is changed anywhere; whatever is missing is left out and said so, and each look ends within seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from daosup import __version__
from daosup.adapters import reachability
from daosup.adapters.control_client import ControlClient, find_socket
from daosup.adapters.control_find import unit_of
from daosup.adapters.control_settings import Settings
from daosup.adapters.machine_look import ProcessLook, look_at_folder, look_at_process, may_use_file
from daosup.adapters.own_address import own_address
from daosup.adapters.redis_address import RedisAddress, address_of
from daosup.adapters.registry_look import look_at_registry
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.semaphore_look import FOLDER, look_at_semaphores
from daosup.config import Config, load
from daosup.core.mirror_names import is_usual
from daosup.core.types import SEGMENT_SUFFIX
from daosup.ctl.doctor.facts import Facts, Presence, endpoint_of
from daosup.errors import (
    ConfigError,
    DaosupError,
    DeniedError,
    NoAnswerError,
    ProtocolError,
    SegmentError,
    UnavailableError,
    UsageError,
)
from daosup.shm.memory import examine, open_file

STATUS_S = 5.0
#: Of so many endpoints of one host, the others behave alike.
_MOST_ENDPOINTS = 8


@dataclass(frozen=True)
class Asked:
    """Whom to examine: the daemon of an instance, or at a socket; its configuration if it is elsewhere than usual."""

    instance: Optional[str] = None
    socket: Optional[str] = None
    config: Optional[str] = None


def gather(asked: Asked) -> Facts:
    """Everything there is to know.

    Raises:
        UsageError: If several daemons run here and none was named.
    """
    facts, config = _with_configuration(_ask_daemon(asked), asked)
    if facts.settings is None:
        return facts
    with ThreadPoolExecutor(thread_name_prefix="doctor") as pool:
        registry = pool.submit(_look_at_registry, facts, config)
        endpoints = pool.submit(reachability.look_at_endpoints, _endpoints(facts))
        facts = _with_segments(_with_machine(facts), facts.settings)
        facts = replace(facts, endpoints=endpoints.result(), **registry.result())
    return replace(facts, later=_status_again(asked, facts))


# -- the daemon


def _ask_daemon(asked: Asked) -> Facts:
    instance = asked.instance or "INSTANCE"
    unit = f"daoserver@{instance}"
    try:
        path = find_socket(asked.instance, asked.socket)
        unit = unit_of(path)
        with ControlClient(path, STATUS_S) as client:
            status = client.call("status")
            if not isinstance(status, dict):
                raise UnavailableError(f"what serves {path} is no daosupd")
            settings = _settings_told(client)
            return Facts(Presence.ANSWERS, __version__, unit, status, status, settings)
    except NoAnswerError as error:
        return Facts(Presence.SILENT, str(error), unit)
    except UsageError:
        raise
    except DeniedError as error:
        return Facts(Presence.DENIED, str(error), unit)
    except UnavailableError as error:
        return Facts(Presence.ABSENT, str(error), unit)


def _settings_told(client: ControlClient) -> Optional[Settings]:
    """None from a daemon of a version that does not tell them."""
    try:
        return Settings.of_json(client.call("settings"))
    except (UsageError, ProtocolError):
        return None


def _status_again(asked: Asked, facts: Facts) -> dict[str, Any]:
    """How it is by now: what was only passing is over."""
    if not facts.has_daemon:
        return {}
    try:
        with ControlClient(find_socket(asked.instance, asked.socket), STATUS_S) as client:
            status = client.call("status")
            return status if isinstance(status, dict) else {}
    except DaosupError:
        return {}


# -- the configuration


def _with_configuration(facts: Facts, asked: Asked) -> tuple[Facts, Optional[Config]]:
    """With what is in the file now; and with settings from it, if the daemon told none."""
    instance = asked.instance or facts.unit.partition("@")[2].replace("INSTANCE", "default")
    said = facts.status.get("config", {}).get("file") if facts.has_daemon else asked.config
    file = Path(said) if said else None
    if facts.settings is not None and file is None:
        return facts, None
    try:
        if file is not None and file.exists() and not os.access(file, os.R_OK):
            return replace(facts, config_file=str(file), config_unread="Permission denied"), None
        config = load(file, instance)
        facts = replace(facts, config_file=str(config.file) if config.file else None)
        if facts.settings is None:
            address = address_of(config.redis)
            ip = config.network.advertise or own_address(address.server_host)
            facts = replace(facts, settings=Settings.of(config, address, ip))
        return facts, config
    except ConfigError as error:
        return replace(facts, config_file=said, config_mistakes=tuple(error.mistakes)), None
    except OSError as error:
        return replace(facts, config_file=said, config_unread=error.strerror or str(error)), None


# -- the registry and the network


def _look_at_registry(facts: Facts, config: Optional[Config]) -> dict[str, Any]:
    assert facts.settings is not None
    settings, address = facts.settings, facts.settings.redis
    found: dict[str, Any] = {
        "sentinels": {f"{host}:{port}": reachability.accepts(host, port) for host, port in address.sentinels},
        "address": reachability.address_of(settings.ip),
    }
    found["is_own_address"] = found["address"] is not None and reachability.is_own_address(found["address"])
    if settings.has_hidden_password:
        password = _password_of(config)
        if password is None:
            return {**found, "registry_unseen": "only the daemon knows its password (it is in redis.url)"}
        address = replace(address, password=password)
    elif address.password_file is not None and not os.access(address.password_file, os.R_OK):
        return {**found, "registry_unseen": f"{address.password_file} may not be read by you; use sudo"}
    try:
        return {**found, "registry": look_at_registry(address, settings.host)}
    except UnavailableError as error:
        return {**found, "registry_error": str(error)}


def _password_of(config: Optional[Config]) -> Optional[str]:
    try:
        address: Optional[RedisAddress] = None if config is None else address_of(config.redis)
    except ConfigError:
        return None
    return None if address is None else address.password


def _endpoints(facts: Facts) -> list[str]:
    """Our publishers as others are told to reach them, and owners that are not heard; not too many of one host."""
    assert facts.settings is not None
    wanted: dict[str, list[str]] = {}
    for row in facts.workers("publisher"):
        if row.get("port") and row.get("state") == "running":
            wanted.setdefault("", []).append(f"tcp://{facts.settings.ip}:{row['port']}")
        if row.get("direct_port") and row.get("state") == "running":
            wanted.setdefault("directly", []).append(f"direct://{facts.settings.ip}:{row['direct_port']}")
    for row in facts.workers("mirror"):
        if row.get("endpoint") and row.get("link") != "up":
            wanted.setdefault(str(row.get("peer")), []).append(endpoint_of(row))
        if row.get("direct_endpoint") and row.get("transport") != "direct":
            directly = str(row["direct_endpoint"]).replace("tcp://", "direct://")
            wanted.setdefault(f"{row.get('peer')} directly", []).append(directly)
    if facts.gate_endpoint is not None:
        wanted["gate"] = [facts.gate_endpoint]
    return [endpoint for some in wanted.values() for endpoint in some[:_MOST_ENDPOINTS]]


# -- this machine


def _with_machine(facts: Facts) -> Facts:
    assert facts.settings is not None
    pid = facts.status.get("pid")
    process = look_at_process(pid) if isinstance(pid, int) else None
    paths = {
        "segments": facts.settings.segment_folder,
        "semaphores": FOLDER,
        "runtime": facts.settings.runtime_folder,
        "state": facts.settings.state_folder,
    }
    looks = {what: look_at_folder(path, process) for what, path in paths.items()}
    return replace(facts, process=process, folders=looks)


def _with_segments(facts: Facts, settings: Settings) -> Facts:
    folder = SegmentFolder(Path(settings.segment_folder))
    looks = {name: folder.look(name) for name in folder.scan()}
    names = looks.keys() - folder.mirrors
    layouts = {name: seen.layout for name, (seen, _) in looks.items() if seen is not None}
    layouts |= _layouts_of(folder, folder.mirrors | _usual_mirrors_in(settings.segment_folder))
    refused = {name: reason for name, (_, reason) in looks.items() if reason is not None}
    if facts.has_daemon:
        # The daemon is the one that serves them: what only we may not read is no matter.
        said = facts.status.get("segment_folder", {}).get("refused", ())
        refused = {str(each.get("name")): str(each.get("reason")) for each in said}
        layouts |= {str(each.get("name")): str(each.get("layout")) for each in facts.status.get("segments", ())}
    published = {row.get("segment") for row in facts.workers("publisher") if row.get("state") == "running"}

    def is_of_interest(base: str, number: int, sleepers: int) -> bool:
        is_awaited = number == settings.semaphore and base in names and base not in published
        return sleepers >= (1 if is_awaited else 2)

    return replace(
        facts,
        segments=layouts,
        refused=refused,
        semaphores=tuple(look_at_semaphores(is_of_interest)),
        locked_semaphores=_locked(layouts.keys() & names, settings.semaphore, facts.process),
    )


def _layouts_of(folder: SegmentFolder, mirrors: Iterable[str]) -> dict[str, str]:
    """The layouts of those of the mirrors that are segments."""
    found = {}
    for name in mirrors:
        with suppress(SegmentError):
            fd = open_file(folder.path_of(name), is_writable=False)
            try:
                found[name] = examine(folder.path_of(name), fd)[0].layout.value
            finally:
                os.close(fd)
    return found


def _usual_mirrors_in(folder: str) -> set[str]:
    """Those that are called as only mirrors are, which ``SegmentFolder`` leaves alone."""
    try:
        files = os.listdir(folder)
    except OSError:
        return set()
    return {file[: -len(SEGMENT_SUFFIX)] for file in files if is_usual(file) and file.endswith(SEGMENT_SUFFIX)}


def _locked(names: Iterable[str], semaphore: int, process: Optional[ProcessLook]) -> tuple[str, ...]:
    """The segments on whose semaphore the daemon may not wait."""
    if process is None:
        return ()
    paths = {name: f"{FOLDER}/sem.{name.partition('.')[0]}_sem{semaphore:02d}" for name in names}
    return tuple(sorted(name for name, path in paths.items() if may_use_file(path, process) is False))
