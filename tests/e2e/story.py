"""The story that the tests tell: two hosts that are installed as README says, and share a camera.

Every step may be taken again: a step that was taken before changes nothing. So hosts that stayed can be used again.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.e2e.frames import Frames, Seen
from tests.e2e.lab import HERE, Completed, Host
from tests.e2e.readme import Command, commands
from tests.waiting import wait_until

#: Neither root nor dao; a member of group dao on beta only.
USER = "observer"
HOME = f"/home/{USER}"
PYTHON = "/usr/bin/daosup-python"
MIRROR = "/tmp/remote_alpha_cam.im.shm"
#: What the camera writes down, on alpha, and the checker, on beta.
WRITTEN, SEEN = f"{HOME}/written", f"{HOME}/seen"
#: What a host had in its folders before daosup; a file there.
BEFORE = f"{HOME}/before"
#: How many frames at once may be missed on a busy machine, 0.2 s: camera, workers and checker may all be late, and
#: each shows the newest frame only.
MOST_MISSED = 40
UNITS = {"alpha": "daoserver@master.service", "beta": "daoserver@minion.service"}
#: Where hosts see the packages: of this version, and of a newer one.
PACKAGES, NEWER = "/packages/this", "/packages/newer"
#: What was measured, for the end of the run.
MEASURED: list[str] = []


class Story:
    """Alpha, which runs Redis and has the camera; beta, which mirrors it."""

    def __init__(self, alpha: Host, beta: Host) -> None:
        self.alpha = alpha
        self.beta = beta
        self._hosts = {"alpha": alpha, "beta": beta}
        self.frames = Frames(beta, SEEN, alpha, WRITTEN)

    # -- its steps

    def furnish(self) -> None:
        """What hosts have before daosup: a user, and that user's programs."""
        for host in self._hosts.values():
            furnish(host)

    def type(self, command: Command, folder: str = PACKAGES) -> Completed:
        """Do what README says, as the one it says: root, or a user."""
        user = "" if command.is_root else USER
        return self._hosts[command.host].run("bash", "-c", f"cd {folder} && {command.text}", user=user, timeout_s=90)

    def install(self) -> None:
        """All of README's section, except what needs a camera."""
        for command in commands():
            if command.text.startswith(("daosupctl", "systemctl reload")):
                continue
            host = self._hosts[command.host]
            if command.text.startswith("apt install ./") and not host.has(BEFORE):
                host.write(BEFORE, "\n".join(sorted(files_of(host))))
            self.type(command)

    def stream(self) -> None:
        """The camera writes, beta mirrors it, the checker looks."""
        if not is_active(self.alpha, "camera"):
            self.alpha.start("camera", PYTHON, f"{HOME}/camera.py", "cam", WRITTEN, user=USER)
        wait_until(lambda: self.alpha.has("/tmp/cam.im.shm"), 10, "the camera to make its segment")
        for command in commands():
            if command.text.startswith("daosupctl"):
                self.type(command)
        self.check()

    def check(self) -> None:
        """The checker looks, until it has seen frames."""
        if not is_active(self.beta, "checker"):
            self.beta.start("checker", PYTHON, f"{HOME}/checker.py", MIRROR, SEEN, user=USER)
        self.wait_for_frames()

    def wait_for_frames(self, count: int = 100, timeout_s: float = 20.0) -> Seen:
        """Wait until so many frames more have come, and return them."""
        began_ns = time.time_ns()
        wait_until(lambda: self.frames.since(began_ns).count >= count, timeout_s, f"{count} frames of the camera")
        return self.frames.since(began_ns)

    # -- what is known of it

    def unit(self, host: Host) -> str:
        """The unit of daosup on that host."""
        return UNITS[host.name]

    def main_pid(self, host: Host) -> int:
        """Process of the supervisor, as systemd knows it; 0 if there is none."""
        return int(host.properties(self.unit(host), "MainPID")["MainPID"])


def furnish(host: Host) -> None:
    """A user and that user's programs."""
    if host.enter("id", USER, is_checked=False).returncode:
        host.run("useradd", "--create-home", USER)
    for program in (HERE / "programs").glob("*.py"):
        host.write(f"{HOME}/{program.name}", program.read_text(encoding="utf-8"))


def files_of(host: Host) -> set[str]:
    """Path of every file and folder of the host's system."""
    return set(host.enter("find", "/usr", "/etc", "/var", "/opt").stdout.splitlines())


def measured(what: str, value: object) -> None:
    """Have it printed at the end of the run."""
    MEASURED.append(f"{what}: {value}")


def is_active(host: Host, unit: str) -> bool:
    """Whether the unit runs."""
    return host.systemctl("is-active", unit, is_checked=False).returncode == 0


def status(host: Host) -> dict[str, Any]:
    """What ``daosupctl status --json`` answers there; nothing while nobody answers."""
    said = host.enter("daosupctl", "status", "--json", is_checked=False)
    return dict(json.loads(said.stdout)) if said.stdout.strip() else {}


def worker(host: Host) -> dict[str, Any]:
    """The host's one worker, as its status tells; nothing if it has none that runs."""
    workers = [each for each in status(host).get("workers", []) if each["state"] == "running"]
    return dict(workers[0]) if workers else {}
