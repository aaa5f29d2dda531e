"""Two and more hosts with a real systemd, as tests see them; ``hosts`` beside this file boots them.

Invariant: hosts are gone when the process that made the lab is, however it ended, unless they were asked to stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import pexpect

HERE = Path(__file__).parent
HOSTS = HERE / "hosts"
#: Names the folder of a lab that is to stay, and to be found again by the next run.
KEEP = "DAOSUP_E2E_KEEP"

Completed = subprocess.CompletedProcess[str]
Entry = dict[str, Any]


def why_not() -> Optional[str]:
    """Why no hosts can be booted here; None if they can."""
    asked = subprocess.run([HOSTS, "check"], text=True, capture_output=True, env=_environment(), timeout=30)
    return None if asked.returncode == 0 else (asked.stderr.strip() or f"hosts check: exit code {asked.returncode}")


def _environment(**more: str) -> dict[str, str]:
    """Not our own: hosts are nobody's child, and outlive a test."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **more}


class Lab:
    """A switch, and the hosts that are plugged into it."""

    def __init__(self, addresses: Mapping[str, str], folder: Optional[Path] = None) -> None:
        """Find the lab that stayed in ``folder``, or make a new one.

        Args:
            addresses: IPv4 address of each host that may be booted, by its name; one network of 24 bits.
            folder: Where to keep it, for a lab that stays; by default a new one, which ends with this process.
        """
        self._addresses = addresses
        self.stays = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="daosup-e2e-"))
        self.hosts: dict[str, Host] = {}
        if not (self.folder / "switch").exists():
            if not self.stays:
                # So that also a kill leaves nothing behind.
                self._guard = subprocess.Popen(
                    [HOSTS, "guard", str(os.getpid())],
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self.call("switch")

    def _environment(self) -> dict[str, str]:
        names = "\n".join(f"{address} {name}" for name, address in self._addresses.items())
        return _environment(HOSTS_FOLDER=str(self.folder), HOSTS_NAMES=names)

    def popen(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Begin a command of ``hosts``."""
        return subprocess.Popen([HOSTS, *words], env=self._environment(), stdin=subprocess.DEVNULL, text=True, **how)

    def call(self, *words: str, timeout_s: float = 60.0, is_checked: bool = True, text: str = "") -> Completed:
        """Do a command of ``hosts``, and return what it printed.

        Raises:
            AssertionError: If it failed, with what it said, unless ``is_checked`` is false.
        """
        done = subprocess.run(
            [HOSTS, *words], env=self._environment(), input=text, capture_output=True, text=True, timeout=timeout_s
        )
        if is_checked and done.returncode:
            raise AssertionError(f"{' '.join(words)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def terminal(self, *words: str, timeout_s: float) -> pexpect.spawn:
        """Begin a command of ``hosts`` at a terminal of its own."""
        return pexpect.spawn(str(HOSTS), list(words), env=self._environment(), encoding="utf-8", timeout=timeout_s)

    def boot(self, names: Sequence[str], binds: Mapping[Path, str]) -> list[Host]:
        """Boot hosts, all at once, unless they are up already.

        Args:
            names: Of ``addresses``.
            binds: Folders of this machine that they see, read-only, and where.
        """
        shown = [f"{folder}:{where}" for folder, where in binds.items()]
        booting = {
            name: self.popen("up", name, f"{self._addresses[name]}/24", *shown, stderr=subprocess.PIPE)
            for name in names
            if not (self.folder / name).exists()
        }
        for name, process in booting.items():
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, f"{name} was not booted: {said}"
        for name in names:
            self.hosts[name] = Host(self, name, self._addresses[name])
        return [self.hosts[name] for name in names]

    def end(self) -> None:
        """Cut the power of all hosts and remove every trace, unless they are to stay."""
        if not self.stays:
            self._guard.kill()
            self._guard.wait()
            self.call("end")


class Host:
    """One host."""

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self._lab = lab
        self.name = name
        self.address = address

    def __repr__(self) -> str:
        return f"<host {self.name}>"

    # -- what runs on it

    def run(
        self, *command: str, user: str = "", timeout_s: float = 60.0, is_checked: bool = True, text: str = ""
    ) -> Completed:
        """Run a command as a transient unit, to its end.

        Args:
            command: The program, from PATH, and its arguments.
            user: Who runs it; by default root.
            timeout_s: How long it may take.
            is_checked: Whether any exit code but 0 is a failure.
            text: What it finds on its standard input.
        """
        options = ["--wait", "--pipe", *([f"--uid={user}"] if user else [])]
        return self._lab.call(
            "run", self.name, *options, "--", *command, timeout_s=timeout_s, is_checked=is_checked, text=text
        )

    def start(self, unit: str, *command: str, user: str = "") -> None:
        """Have a program run as transient unit ``unit`` until it ends or is stopped; like a program of the field."""
        options = [f"--unit={unit}", *([f"--uid={user}"] if user else [])]
        self._lab.call("run", self.name, *options, "--", *command)

    def enter(self, *command: str, timeout_s: float = 60.0, is_checked: bool = True) -> Completed:
        """Run a command without a unit: quicker, and also while systemd is unwell."""
        return self._lab.call("enter", self.name, *command, timeout_s=timeout_s, is_checked=is_checked)

    def terminal(self, *command: str, timeout_s: float = 20.0) -> pexpect.spawn:
        """Run a command at a terminal of its own, where Ctrl-C can be typed; ``timeout_s`` for each thing expected."""
        return self._lab.terminal("enter", self.name, *command, timeout_s=timeout_s)

    def systemctl(self, *words: str, timeout_s: float = 90.0, is_checked: bool = True) -> Completed:
        """``systemctl`` there."""
        return self.enter("systemctl", "--no-pager", *words, timeout_s=timeout_s, is_checked=is_checked)

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        lines = self.systemctl("show", unit, f"--property={','.join(names)}").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    # -- its files

    def path(self, path: str) -> Path:
        """Where a file of the host is seen from here, for as long as the host is not rebooted."""
        root = self._lab.call("root", self.name).stdout.strip()
        return Path(root + path)

    def write(self, path: str, text: str) -> None:
        """Replace the contents of a file, as an editor does."""
        self.path(path).write_text(text, encoding="utf-8")

    def read(self, path: str) -> str:
        """What is in a file."""
        return self.path(path).read_text(encoding="utf-8")

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.lexists(self.path(path))

    # -- its journal

    def cursor(self) -> str:
        """The place in the journal after all that is there now."""
        last = self.enter("journalctl", "--quiet", "-n", "1", "-o", "json")
        return str(json.loads(last.stdout)["__CURSOR"]) if last.stdout.strip() else ""

    def journal(self, since: str = "", **fields: str) -> list[Entry]:
        """Entries of the journal, oldest first.

        Args:
            since: A ``cursor``; only what came after it.
            fields: What entries must have in these fields, such as ``MESSAGE_ID="…"``.
        """
        # Chosen here: together with matches, --after-cursor of some versions leaves out the first one.
        after = [f"--after-cursor={since}"] if since else []
        done = self.enter("journalctl", "--quiet", "--all", "-o", "json", *after)
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return [
            entry for entry in entries if fields.items() <= {name: str(value) for name, value in entry.items()}.items()
        ]

    # -- what happens to it

    def cut(self) -> None:
        """Pull its network cable."""
        self._lab.call("cut", self.name)

    def join(self) -> None:
        """Plug it in."""
        self._lab.call("join", self.name)

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Within: its cable is out."""
        self.cut()
        try:
            yield
        finally:
            self.join()

    def power_cut(self) -> None:
        """Cut its power: nothing is told, nothing is written; what is on its disk stays."""
        self._lab.call("power-cut", self.name)

    def boot(self) -> None:
        """Switch it on again; returns when it has booted."""
        self._lab.call("boot", self.name)
