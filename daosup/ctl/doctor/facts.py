"""What a doctor knows when it begins to judge: plain facts, gathered before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional

from daosup.adapters.control_settings import Settings
from daosup.adapters.machine_look import FolderLook, ProcessLook
from daosup.adapters.registry_look import RegistryLook
from daosup.adapters.semaphore_look import SemaphoreLook
from daosup.core.types import DNET_PROTOCOL

Status = Mapping[str, Any]


def endpoint_of(mirror: Status) -> str:
    """Where its owner is looked for; a node of DAO's network service does not speak ZeroMQ."""
    endpoint = str(mirror.get("endpoint") or "")
    return endpoint.replace("tcp://", "direct://") if mirror.get("protocol") == DNET_PROTOCOL else endpoint


class Presence(Enum):
    """Whether there is a daemon to ask."""

    ANSWERS = "answers"
    SILENT = "silent"
    ABSENT = "absent"
    DENIED = "denied"


@dataclass(frozen=True)
class Facts:
    """Everything, of one host. What is None or empty could not be gathered, or does not apply.

    Attributes:
        presence: Whether the daemon answers.
        told: Why it does not; or, if it does, the version that is installed here.
        unit: Its systemd unit.
        status: What it answers to ``status`` first, and ``later`` when all else was gathered.
        settings: What is in force, or without a daemon what its configuration says.
        config_file: The file with the configuration, if there is one.
        config_mistakes: What is wrong in it as it is on disk now.
        config_unread: Why it could not be read by us.
        registry: How the registry is.
        registry_error: Why it is away.
        registry_unseen: Why it could not be looked at.
        sentinels: Whether each sentinel takes connections.
        address: The IPv4 address that others are told; None if its name cannot be found.
        is_own_address: Whether an interface here has it.
        endpoints: What publishers here, the gate, and owners of mirrors without a link answer at their endpoints.
        folders: By what they are for: segments, semaphores, runtime, state.
        process: The daemon's process.
        semaphores: Those on which more threads than one were seen to sleep, and those a publisher is about to wait on.
        locked_semaphores: Segments whose publisher may not wait on its semaphore, by its file's permissions.
        segments: The layout of each segment here, mirrors included.
        refused: Why files named like segments are none, or not for the daemon.
    """

    presence: Presence
    told: str = ""
    unit: str = ""
    status: Status = field(default_factory=dict)
    later: Status = field(default_factory=dict)
    settings: Optional[Settings] = None
    config_file: Optional[str] = None
    config_mistakes: tuple[str, ...] = ()
    config_unread: Optional[str] = None
    registry: Optional[RegistryLook] = None
    registry_error: Optional[str] = None
    registry_unseen: Optional[str] = None
    sentinels: Mapping[str, bool] = field(default_factory=dict)
    address: Optional[str] = None
    is_own_address: bool = True
    endpoints: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, FolderLook] = field(default_factory=dict)
    process: Optional[ProcessLook] = None
    semaphores: tuple[SemaphoreLook, ...] = ()
    locked_semaphores: tuple[str, ...] = ()
    segments: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_daemon(self) -> bool:
        """Whether the daemon answered."""
        return self.presence is Presence.ANSWERS

    def workers(self, kind: str = "") -> list[Status]:
        """The daemon's workers, or those of one kind."""
        return [row for row in self.status.get("workers", ()) if not kind or row.get("kind") == kind]

    @property
    def gate_endpoint(self) -> Optional[str]:
        """Where nodes of DAO's network service find this host; None if they do not."""
        dnet, gates = self.status.get("dnet"), self.workers("gate")
        if not dnet or self.settings is None or not any(row.get("state") == "running" for row in gates):
            return None
        return f"direct://{dnet.get('interface') or self.settings.ip}:{dnet.get('data_port')}"

    def later_worker(self, row: Status) -> Optional[Status]:
        """The same worker as it was at the end; None if it is gone."""
        for other in self.later.get("workers", ()):
            if (other.get("kind"), other.get("source")) == (row.get("kind"), row.get("source")):
                return other  # type: ignore[no-any-return]
        return None
