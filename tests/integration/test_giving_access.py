"""Segments that other users made, opened up for the daemon's user: real files, real users, the kernel's own judgement.

Only root can change other users' files, and so only root can run these tests, as CI does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.adapters.access_list import let_in
from daosup.shm import Segment
from tests.integration.notified import NotifySocket
from tests.waiting import wait_until

DEADLINE_S = 20.0
WRITER, DAEMON, OTHER = (pwd.getpwnam(name) for name in ("nobody", "games", "daemon"))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give access to other users' files")


def may_use(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the kernel lets a process of that user read and write a file."""
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    tried = subprocess.run([*become, "test", "-r", str(path), "-a", "-w", str(path)])
    assert tried.returncode in (0, 1)
    return tried.returncode == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where anybody may make files, as in /tmp."""
    made = Path(tempfile.mkdtemp(prefix="segments-"))
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def giver(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """``daosupd --give-access``, once it has seen to all there is."""
    config = tmp_path / "rts.toml"
    config.write_text(f'segment_folder = "{folder}"\n[publish]\nexclude = ["private_*"]\n')
    manager = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    command = [sys.executable, "-m", "daosup.daosupd", "--give-access", DAEMON.pw_name, "--config", str(config)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until(lambda: "READY=1" in manager.listen(), DEADLINE_S, "access to be given")
            yield process
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
            manager.close()


def semaphores_of(name: str) -> list[Path]:
    return sorted(Path("/dev/shm").glob(f"sem.{name}_sem*"))


def plant(semaphore: Path, owner: pwd.struct_passwd, mode: int) -> Path:
    """Put another file in a semaphore's place."""
    semaphore.unlink()
    semaphore.write_bytes(bytes(32))
    semaphore.chmod(mode)
    os.chown(semaphore, owner.pw_uid, owner.pw_gid)
    return semaphore


@pytest.fixture
def make(folder: Path) -> Iterator[object]:
    """Makes a segment as libdao does, for a user: 0600, its semaphores 0644."""
    made = []

    def one(name: str, user: pwd.struct_passwd = WRITER) -> Path:
        path = folder / f"{name}.im.shm"
        made.append(Segment.create(path, (8, 8), "uint16"))
        for each in (path, *semaphores_of(name)):
            os.chown(each, user.pw_uid, user.pw_gid)
        return path

    yield one
    for segment in made:
        segment.unlink()
        segment.close()


def wait_for_access(path: Path) -> None:
    wait_until(lambda: may_use(path, DAEMON), DEADLINE_S, f"{DAEMON.pw_name} to be let at {path}")


def test_a_segment_that_is_made_is_opened_up_with_its_semaphores(giver: object, make: object) -> None:
    path = make("opened")  # type: ignore[operator]
    wait_for_access(path)
    assert len(semaphores_of("opened")) == 11
    for each in semaphores_of("opened"):
        wait_for_access(each)


def test_one_that_was_there_before_is_opened_up(make: object, request: pytest.FixtureRequest) -> None:
    path = make("before")  # type: ignore[operator]
    assert not may_use(path, DAEMON)
    request.getfixturevalue("giver")
    assert may_use(path, DAEMON)


def test_nobody_else_gets_anything(giver: object, make: object) -> None:
    path = make("narrow")  # type: ignore[operator]
    wait_for_access(path)
    assert not may_use(path, OTHER)
    assert may_use(path, WRITER)
    assert path.stat().st_uid == WRITER.pw_uid
    assert path.stat().st_gid == WRITER.pw_gid


def test_semaphores_that_are_made_later_are_opened_up(giver: object, make: object) -> None:
    path = make("late")  # type: ignore[operator]
    wait_for_access(path)
    wait_for_access(plant(semaphores_of("late")[0], WRITER, 0o644))


def test_what_may_not_be_published_is_left_alone(giver: object, make: object) -> None:
    private, public = make("private_cam"), make("public_cam")  # type: ignore[operator]
    wait_for_access(public)
    assert not may_use(private, DAEMON)


def test_only_segments_are_opened_up(giver: object, folder: Path, make: object, tmp_path: Path) -> None:
    garbage = folder / "garbage.im.shm"
    garbage.write_bytes(b"secret" * 1000)
    link = folder / "link.im.shm"
    secret = tmp_path / "secret"
    shutil.copy(make("copied"), secret)  # type: ignore[operator]
    secret.chmod(0o600)
    link.symlink_to(secret)
    twin = folder / "twin.im.shm"
    os.link(secret, twin)
    wait_for_access(make("last"))  # type: ignore[operator]
    mode = stat.S_IMODE(secret.stat().st_mode)
    assert mode == 0o600, "a file with another name, or behind a link, is not this folder's alone"
    assert not may_use(garbage, DAEMON)


def test_a_semaphore_of_another_owner_than_the_segment_is_left_alone(giver: object, make: object) -> None:
    path = make("foreign")  # type: ignore[operator]
    wait_for_access(path)
    planted = plant(semaphores_of("foreign")[3], OTHER, 0o600)
    wait_for_access(make("after"))  # type: ignore[operator]
    assert not may_use(planted, DAEMON)


def test_an_end_is_orderly(giver: subprocess.Popen[bytes]) -> None:
    giver.send_signal(signal.SIGTERM)
    assert giver.wait(DEADLINE_S) == 0


def test_a_user_that_does_not_exist_is_told_of(tmp_path: Path) -> None:
    tried = subprocess.run(
        [sys.executable, "-m", "daosup.daosupd", "--give-access", "nobody-at-all", "--instance", "none"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tried.returncode == 78
    assert "there is no such user" in tried.stderr


def test_rights_that_were_taken_from_others_stay_taken(folder: Path) -> None:
    path = folder / "file"
    path.touch()
    path.chmod(0o660)
    os.chown(path, WRITER.pw_uid, OTHER.pw_gid)
    with path.open("rb") as file:
        assert let_in(file.fileno(), DAEMON.pw_uid)
    path.chmod(0o600)  # of a file with a list, this takes from all but the owner
    assert not may_use(path, OTHER)
    with path.open("rb") as file:
        assert let_in(file.fileno(), DAEMON.pw_uid)
        assert not let_in(file.fileno(), DAEMON.pw_uid), "the second time there is nothing to do"
    assert may_use(path, DAEMON)
    assert not may_use(path, OTHER), "its group was shut out by the owner"


def test_who_may_already_is_given_nothing(folder: Path) -> None:
    path = folder / "file"
    path.touch()
    path.chmod(0o666)
    with path.open("rb") as file:
        assert not let_in(file.fileno(), DAEMON.pw_uid)
    os.chown(path, DAEMON.pw_uid, -1)
    path.chmod(0o600)
    with path.open("rb") as file:
        assert not let_in(file.fileno(), DAEMON.pw_uid), "its owner"
