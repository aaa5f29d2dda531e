"""Asks the daemon beside the screen.

Invariant: keys and drawing wait for no daemon: each question is asked in a thread, whose answer is left here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Optional

from daosup.ctl.asking import ANSWER_S, ask_object
from daosup.ctl.options import Options
from daosup.ctl.running import WORKER_S
from daosup.errors import DaosupError

PERIOD_S = 1.0
_STATUS_S = 5.0
#: Of the time between two questions, so much may be spent on answers.
_SHARE = 0.25


class Asker:
    """Asks again and again.

    Args:
        options: Which daemon.
        wake: Called when there is something new.

    Attributes:
        answered_s: When the last answer came, on the monotonic clock.
        error: Why the last question had no answer; empty if it had.
        is_busy: Whether something is being done to a worker.
    """

    def __init__(self, options: Options, wake: Callable[[], None]) -> None:
        self.answered_s = time.monotonic()
        self.error = ""
        self.is_busy = False
        self._options = options
        self._wake = wake
        self._lock = threading.Lock()
        self._turn = threading.Event()
        self._is_closing = False
        self._story_of = ""
        self._status: Optional[dict[str, Any]] = None
        self._story: Optional[tuple[str, Any]] = None
        self._outcome: Optional[tuple[str, bool]] = None
        threading.Thread(target=self._run, name="daosup-asker", daemon=True).start()

    def tell_story_of(self, name: str) -> None:
        """Ask for the story of a worker from now on; of none, if the name is empty."""
        if name != self._story_of:
            self._story_of = name
            self._turn.set()

    def do(self, command: str, name: str) -> None:
        """Have a worker stopped, started or restarted."""
        self.is_busy = True
        threading.Thread(target=self._do, args=(command, name), name="daosup-order", daemon=True).start()

    def take_status(self) -> Optional[dict[str, Any]]:
        """The newest status, once."""
        with self._lock:
            status, self._status = self._status, None
        return status

    def take_story(self) -> Optional[tuple[str, Any]]:
        """The newest story and whose it is, once; in its place an error, if it cannot be told."""
        with self._lock:
            story, self._story = self._story, None
        return story

    def take_outcome(self) -> Optional[tuple[str, bool]]:
        """What became of the last thing to do, and whether that is bad; once."""
        with self._lock:
            outcome, self._outcome = self._outcome, None
        return outcome

    def close(self) -> None:
        """Ask nothing any more; answers that are still under way are nobody's."""
        self._is_closing = True
        self._turn.set()

    def _run(self) -> None:
        while not self._is_closing:
            began_s = time.monotonic()
            self._ask()
            if self._is_closing:
                return
            self._wake()
            spent_s = time.monotonic() - began_s
            self._turn.wait(max(PERIOD_S - spent_s, spent_s / _SHARE - spent_s))
            self._turn.clear()

    def _ask(self) -> None:
        name = self._story_of
        try:
            status = ask_object(self._options, "status", _STATUS_S)
            story = self._asked_story(name) if name else None
            with self._lock:
                self._status, self._story = status, story
            self.answered_s, self.error = time.monotonic(), ""
        except DaosupError as error:
            self.error = str(error)

    def _asked_story(self, name: str) -> tuple[str, Any]:
        try:
            return name, ask_object(self._options, "worker", _STATUS_S, {"name": name})
        except DaosupError as error:  # it is no worker any more, or the daemon is older
            return name, error

    def _do(self, command: str, name: str) -> None:
        try:
            arguments = {"name": name, "wait_s": WORKER_S}
            done = ask_object(self._options, command, WORKER_S + ANSWER_S, arguments)
            reason = f" ({done['reason']})" if done.get("reason") else ""
            outcome = f"{done.get('worker')} {done.get('source')}: {done.get('state')}{reason}", False
        except DaosupError as error:
            outcome = f"{command} {name}: {error}", True
        with self._lock:
            self._outcome = outcome
        self.is_busy = False
        self._turn.set()
        self._wake()
