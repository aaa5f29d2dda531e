"""The supervisor that a program works with: the one of this machine, or one of its own.

Invariants: a program never has two; one of its own is a process of its own, so the program's threads, its interpreter
lock and its crashes do not reach it, and it ends when the program ends, however that happens.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from daosup.adapters.control_client import ControlClient, find_socket
from daosup.errors import NotFoundError, UnavailableError, UsageError
from daosup.server.holding import CALL_TIMEOUT_S, Holding

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 8.0
#: The machine's daosupd may be restarting; only if it does not come back for so long we do without it.
COMING_BACK_S = 10.0
_POLL_S = 0.02
#: How much longer than the mirror itself its answer may take.
_ANSWER_S = 5.0
_INSTANCE = "embedded"


class Daemon:
    """Reaches the supervisor, starting one if none runs.

    Args:
        options: Command line of a supervisor of our own; None if there must be one running.
    """

    def __init__(self, options: Optional[list[str]]) -> None:
        self._options = options
        self._lock = threading.RLock()  # a signal handler may stop us in the middle of a call
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._folder: Optional[Path] = None
        self._has_found = False
        self._holding = Holding(self._reach)

    @property
    def held(self) -> tuple[str, ...]:
        """The sources that this program holds."""
        return tuple(self._holding.sources)

    def hold(self) -> None:
        """Have what this program asks for last as long as it runs, over restarts of the supervisor too.

        Raises:
            UnavailableError: If no supervisor runs and none may be started, or the start fails.
        """
        self._holding.ensure()

    def mirror(
        self, source: str, timeout_s: float, *, is_bidirectional: bool = False, enough_hz: float = 0.0
    ) -> dict[str, Any]:
        """Have a source mirrored, and hold it; errors as the command "mirror".

        One that this program asked for to be bidirectional stays so, and with as many frames a second (0: all): another
        part of it may need that.
        """
        self._holding.ensure()
        rates = self._holding.rates
        before_hz = rates.get(source, 0.0) if source in self._holding.sources else enough_hz
        enough_hz = max(before_hz, enough_hz) if before_hz and enough_hz else 0.0
        mirror: dict[str, Any] = self.call(
            "mirror",
            timeout_s=timeout_s + _ANSWER_S,
            source=source,
            wait_s=timeout_s,
            bidirectional=is_bidirectional or None,
            holder=self._holding.holder,
            enough_hz=enough_hz,
        )
        rates[source] = enough_hz
        self._holding.sources[source] = is_bidirectional or self._holding.sources.get(source, False)
        return mirror

    def release(self, source: str) -> None:
        """Hold a source no longer."""
        if source in self._holding.sources:
            del self._holding.sources[source]
            with suppress(NotFoundError):
                self.call("release", source=source, holder=self._holding.holder)

    def _reach(self, is_in_background: bool = False) -> str:
        """The control socket of the supervisor of now, which is started if there is none.

        But not in the background beside the machine's own: that one will be back.

        Raises:
            UnavailableError: If no supervisor runs and none may be started, or the start fails.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._clean_up()
            if self._folder is not None:
                return str(self._folder / f"{_INSTANCE}.sock")
            is_patient = self._has_found and not is_in_background
            deadline = time.monotonic() + (COMING_BACK_S if is_patient else 0.0)
            while True:
                try:
                    found = find_socket()
                    _status_of(found)
                    self._has_found = True
                    return found
                except (UnavailableError, UsageError):
                    if time.monotonic() >= deadline:
                        if self._options is None or (self._has_found and is_in_background):
                            raise
                        break
                time.sleep(_POLL_S)
            return self._start(self._options)

    def call(self, command: str, *, timeout_s: float = CALL_TIMEOUT_S, **arguments: Any) -> Any:
        """Have the supervisor do something; errors as ``ControlClient.call``."""
        client = ControlClient(self._reach(), timeout_s)
        try:
            return client.call(command, **arguments)
        finally:
            client.close()

    def _start(self, options: list[str]) -> str:
        self._folder = Path(tempfile.mkdtemp(prefix="daosup-"))
        path = self._folder / f"{_INSTANCE}.sock"
        command = [sys.executable, "-m", "daosup.daosupd", "--instance", _INSTANCE, "--end-with-stdin"]
        for key, value in (("runtime_folder", self._folder), ("state_folder", self._folder)):
            command += ["--set", f'{key}="{value}"']
        command += ["--set", "workers.survive_supervisor=false", *options]
        # A session of its own: Ctrl-C is for the program, which then ends us in order.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                self._clean_up()
                raise UnavailableError(f"the supervisor ended at once with exit code {code}; its message is above")
            try:
                if _status_of(str(path))["registry"]["state"] == "up":
                    return str(path)
            except UnavailableError:
                pass
            time.sleep(_POLL_S)
        self.stop()
        raise UnavailableError(f"the supervisor did not reach Redis within {START_TIMEOUT_S:g} s")

    def stop(self) -> None:
        """Let go of everything; end the supervisor if it is our own."""
        self._holding.close()
        with self._lock:
            if self._process is None:
                return
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process = self._folder = None


def _status_of(path: str) -> Any:
    with ControlClient(path, CALL_TIMEOUT_S) as client:
        return client.call("status")
