"""The control socket's file and how a daemon is found by it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.adapters.control_client import ControlClient
from daosup.adapters.control_find import find_socket
from daosup.errors import ConfigError, DaosupError, NoAnswerError, UnavailableError, UsageError
from tests.integration.control_daemon import DEADLINE_S, Daemon, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rts.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[Daemon]:
    with serving(path) as started:
        yield started


@pytest.fixture
def client(daemon: Daemon) -> Iterator[ControlClient]:
    with ControlClient(daemon.path, DEADLINE_S) as opened:
        yield opened


def test_a_live_socket_is_left_to_its_daemon(daemon: Daemon, client: ControlClient) -> None:
    second = Daemon(daemon.path)
    try:
        with pytest.raises(UnavailableError, match="another daosupd is running"):
            second.start()
    finally:
        second.end()
    assert client.call("fill", nbytes=1) == "x"


def test_of_two_that_start_at_once_over_a_dead_socket_one_serves(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    daemons = [Daemon(path) for _ in range(4)]
    try:
        starts = [asyncio.run_coroutine_threadsafe(daemon.server.start(), daemon.loop) for daemon in daemons]
        errors = [start.exception(DEADLINE_S) for start in starts]
        assert [type(error) for error in errors].count(UnavailableError) == 3
        with ControlClient(path, DEADLINE_S) as client:
            assert client.call("fill", nbytes=1) == "x"
    finally:
        for daemon in daemons:
            daemon.end()
    assert not path.exists()


def test_closing_leaves_another_daemons_socket_alone(daemon: Daemon) -> None:
    daemon.path.unlink()
    with serving(daemon.path) as other:
        daemon.close()
        with ControlClient(other.path, DEADLINE_S) as client:
            assert client.call("fill", nbytes=1) == "x"


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_set_whatever_the_umask(path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        with serving(path, mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_an_unknown_group_is_a_mistake_of_the_configuration(path: Path) -> None:
    daemon = Daemon(path, group="no-such-group-here")
    try:
        with pytest.raises(ConfigError, match="no group 'no-such-group-here'"):
            daemon.start()
    finally:
        daemon.end()
    assert not path.exists()


def test_a_file_that_is_no_socket_is_not_removed(path: Path) -> None:
    path.write_text("precious")
    daemon = Daemon(path)
    try:
        with pytest.raises(ConfigError, match="is not a socket"):
            daemon.start()
    finally:
        daemon.end()
    assert path.read_text() == "precious"
    with pytest.raises(UsageError, match="is not a socket"):
        ControlClient(path).open()


def test_a_path_too_long_is_told_by_both_ends(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    daemon = Daemon(path)
    try:
        with pytest.raises(ConfigError, match="longer than 107"):
            daemon.start()
    finally:
        daemon.end()
    with pytest.raises(UsageError, match="longer than the 107"):
        ControlClient(path).open()


def test_no_socket_and_a_dead_one_are_told_apart(path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no such socket.*systemctl start daoserver@rts"):
        ControlClient(path).call("status")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with pytest.raises(UnavailableError, match=r"is gone.*systemctl start daoserver@rts"):
        ControlClient(path).call("status")


def test_a_stopped_daemon_is_told_in_bounded_time(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(str(path))
        deaf.listen(0)
        first, second = ControlClient(path, 0.05), ControlClient(path, 0.05)
        with first:
            with pytest.raises(NoAnswerError, match="did not answer"):
                first.call("status")
            with pytest.raises(NoAnswerError, match="accepts nothing"):
                second.open()


@pytest.mark.parametrize("reply", [b"nonsense\n", b"[]\n", b'{"id":1}\n', b'{"id":1,"ok":false,"error":"x"}\n', b""])
def test_a_server_that_talks_nonsense_is_an_error_of_ours(path: Path, reply: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        client = ControlClient(path, DEADLINE_S)
        client.open()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(reply)
        with pytest.raises(DaosupError):
            client.call("status")
        assert not client.is_open


class TestFindSocket:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("daosup.adapters.control_find.SYSTEM_FOLDER", str(tmp_path / "system"))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.delenv("DAOSUP_SOCKET", raising=False)
        (tmp_path / "daosup").mkdir()
        return tmp_path / "daosup"

    def test_none_is_told_with_what_to_do(self) -> None:
        with pytest.raises(UnavailableError, match=r"no daosupd runs here.*systemctl start"):
            find_socket()

    def test_the_only_one_is_taken(self, folder: Path) -> None:
        with serving(folder / "rts.sock") as daemon:
            assert find_socket() == str(daemon.path)

    def test_several_are_listed_and_none_is_taken(self, folder: Path) -> None:
        with serving(folder / "lab.sock"), serving(folder / "rts.sock"):
            with pytest.raises(UsageError, match=r"lab\.sock, .*rts\.sock.*--instance"):
                find_socket()
            assert find_socket("lab") == str(folder / "lab.sock")

    def test_a_dead_one_beside_a_live_one_does_not_count(self, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(folder / "lab.sock"))
        with serving(folder / "rts.sock") as daemon:
            assert find_socket() == str(daemon.path)

    def test_an_instance_that_does_not_run_names_the_systems_folder(self, tmp_path: Path) -> None:
        assert find_socket("obs") == str(tmp_path / "system" / "obs.sock")

    def test_what_is_given_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DAOSUP_SOCKET", "/from/environment.sock")
        assert find_socket() == "/from/environment.sock"
        assert find_socket(explicit="/given.sock") == "/given.sock"
        assert find_socket("obs").endswith("/obs.sock")

    @pytest.mark.parametrize("instance", ["", "../etc/x"])
    def test_a_path_is_no_instance(self, instance: str) -> None:
        with pytest.raises(UsageError, match="cannot be an instance"):
            find_socket(instance)
