"""A stand-in for a foreign program: a process of its own that does what it is told, line by line in JSON.

``ToldProcess`` is the test's end, ``obey`` the stand-in's. An order is ``{"do": METHOD, ...its arguments}``, its answer
``{"ok": true, ...}`` or ``{"ok": false, "error": ..., "trace": ...}``; the order ``stop`` ends it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional

STOP_S = 20.0


class ToldProcess:
    """One such process.

    Args:
        name: For people.
        module: What is run, ``python -m``.
        options: Its options, by their names with underscores.
    """

    def __init__(self, name: str, module: str, options: dict[str, object]) -> None:
        self.name = name
        flags = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", str(value))]
        self._process: Optional[subprocess.Popen[str]] = subprocess.Popen(
            [sys.executable, "-m", module, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[1],
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_there(self) -> bool:
        """Whether it was not ended."""
        return self._process is not None

    def tell(self, do: str, **order: object) -> dict[str, Any]:
        """Have it do something, and return its answer.

        Raises:
            RuntimeError: If it could not.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with suppress(BrokenPipeError):  # it has ended, which is said below
            print(json.dumps({"do": do, **order}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        assert line, f"{self.name} ended with {self._process.wait(5)} while it was to {do}"
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise RuntimeError(f"{self.name}: {answer['error']}\n{answer['trace']}")
        return answer

    def status(self) -> dict[str, Any]:
        return self.tell("status")

    def kill(self) -> None:
        """End it without a word, as a power cut would; what it made lies there."""
        self._end(is_killed=True)

    def close(self) -> None:
        """End it in order."""
        self._end(is_killed=False)

    def _end(self, *, is_killed: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if is_killed:
            process.kill()
        with suppress(BrokenPipeError), process:  # whoever has ended already is not told
            try:
                process.communicate(None if is_killed else '{"do": "stop"}\n', STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def obey(control: object, stop: Callable[[], None]) -> None:
    """Do what standard input says by ``control``'s methods, each of which returns a dictionary; ``stop`` at the end."""
    for line in sys.stdin:
        order = json.loads(line)
        do = order.pop("do")
        if do == "stop":
            break
        try:
            answer = {"ok": True, **getattr(control, do)(**order)}
        except Exception as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
    stop()
    print(json.dumps({"ok": True}), flush=True)
