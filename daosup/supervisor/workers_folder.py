"""The folder in which the workers of one supervisor have their files, and what a successor finds there.

Invariants: as long as a supervisor lives it holds the folder's lock, so no two ever supervise the same workers; the
folder outlives a supervisor that crashes, for the next one's sake, and goes with one that is stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Optional

from daosup.adapters.control_protocol import MAX_PATH_BYTES
from daosup.config import Config
from daosup.core.actions import RememberMirrors
from daosup.core.checked_json import parse_json
from daosup.core.types import Source, WorkerKey
from daosup.errors import ConfigError, ProtocolError, UnavailableError, UsageError
from daosup.workers.records import page_name
from daosup.workers.succession import announce
from daosup.workers.telling import SOCKET_NAME

_REMEMBERED = "mirrors"
_MAX_REMEMBERED_BYTES = 256 * 1024


class WorkersFolder:
    """The folder of one instance.

    Attributes:
        path: Where it is.
    """

    def __init__(self, config: Config) -> None:
        self.path = config.runtime_folder / f"{config.instance}.workers"
        self._host = config.host
        self._lock: Optional[int] = None

    def take(self) -> None:
        """Make it if need be, and be the one who supervises what is in it.

        Raises:
            UnavailableError: If another supervisor does.
            ConfigError: If it cannot be made, or its path is too long.
        """
        if len(os.fsencode(self.path / SOCKET_NAME)) > MAX_PATH_BYTES:
            raise ConfigError(
                f"runtime_folder: {self.path / SOCKET_NAME} is longer than the {MAX_PATH_BYTES} bytes that a socket's "
                "path can have; choose a shorter folder"
            )
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            announce(self.path)
        except BlockingIOError:
            self.let_go()
            raise UnavailableError(
                f"another daosupd is running: it supervises the workers in {self.path}; stop it first"
            ) from None
        except OSError as error:
            self.let_go()
            raise ConfigError(
                f"runtime_folder: {self.path} cannot be made: {error.strerror}; name one that this user may write"
            ) from error

    def let_go(self) -> None:
        """Leave it to a successor."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.let_go()

    def page_of(self, key: WorkerKey) -> Path:
        """The statistics page of a worker; its other files are beside it."""
        return self.path / page_name(key)

    def remember(self, action: RememberMirrors) -> None:
        """Write down what is mirrored.

        Raises:
            OSError: If it cannot be written.
        """
        new = self.path / f".{_REMEMBERED}"
        new.write_text(
            json.dumps(
                [
                    [str(each) for each in listed]
                    for listed in (action.by_operator, action.by_others, action.written_back)
                ]
            )
        )
        new.replace(self.path / _REMEMBERED)

    def remembered(self) -> RememberMirrors:
        """What was written down, as far as it can be read."""
        try:
            with open(self.path / _REMEMBERED, "rb") as file:
                written = parse_json(file.read(_MAX_REMEMBERED_BYTES))
        except (OSError, ProtocolError):
            written = None
        # Two lists were written before there was writing back.
        if not isinstance(written, list) or len(written) not in (2, 3):
            return RememberMirrors((), ())
        return RememberMirrors(*(self._sources(listed) for listed in written))

    def _sources(self, listed: object) -> tuple[Source, ...]:
        sources = []
        for each in listed if isinstance(listed, list) else ():
            with suppress(UsageError):
                source = Source.parse(str(each))
                if source.host != self._host:
                    sources.append(source)
        return tuple(sources)
