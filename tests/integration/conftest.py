"""Real servers for the tests that need one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from daosup.adapters.redis_link import blocking_link
from daosup.adapters.redis_server import EmbeddedRedis, find_server_binary
from tests.integration.fleet import Fleet
from tests.integration.notified import NotifySocket
from tests.mounts import make_shm_private
from tests.old_daemon.peer import QUICK, OldPeer


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers of pytest-xdist semaphores of its own, or one takes another's for left behind."""
    if hasattr(config, "workerinput") and not make_shm_private():
        raise pytest.UsageError("only root can run these tests side by side, for each needs a /dev/shm of its own")


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    """The server binary of this machine; without one there is nothing to test against, which is no success."""
    found = find_server_binary()
    assert found is not None, "no Redis server here: make test installs one as a Python package"
    return found[0]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory, redis_binary: Path) -> Iterator[EmbeddedRedis]:
    """One server for the whole run, on a free port and a Unix socket; others' keys may be in it."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis"), binary=redis_binary) as server:
        yield server


@pytest.fixture
def empty_redis(redis_server: EmbeddedRedis) -> EmbeddedRedis:
    """The server of the run, emptied."""
    with blocking_link(redis_server.address) as run:
        run([("FLUSHALL",)])
    return redis_server


@pytest.fixture
def fresh_redis(tmp_path: Path, redis_binary: Path) -> Iterator[EmbeddedRedis]:
    """A server of this test alone, which it may stop, start (on the same port), flush or freeze."""
    with EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as server:
        yield server


@pytest.fixture
def fleet(redis_binary: Path) -> Iterator[Fleet]:
    """A registry of this test alone, and no host yet: the test adds and starts them."""
    yield from _fleet()


@pytest.fixture
def hosts(module_hosts: Fleet) -> Iterator[Fleet]:
    """The hosts rts and lab, up, and the same for all tests of a module; their mirrors and segments are not."""
    yield module_hosts
    module_hosts.clear()


@pytest.fixture(scope="module")
def hosts_config() -> str:
    """What the configuration of ``hosts`` says beside what it must; a module may have its own."""
    return ""


@pytest.fixture(scope="module")
def module_hosts(redis_binary: Path, hosts_config: str) -> Iterator[Fleet]:
    """Use ``hosts``."""
    for made in _fleet():
        for name in ("rts", "lab"):
            made.add(name).configure(hosts_config)
        made.start("rts", "lab")
        yield made


def _fleet() -> Iterator[Fleet]:
    made = Fleet()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    """A service manager that hears what each daemon of this test, or whoever else, tells of itself."""
    made = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    yield made
    made.close()


@pytest.fixture
def old_peers(tmp_path: Path) -> Iterator[list[OldPeer]]:
    made: list[OldPeer] = []
    try:
        yield made
        for peer in made:
            if peer.is_there:
                peer.check_well()
    finally:
        for peer in made:
            peer.close()


@pytest.fixture
def make_old(fleet: Fleet, old_peers: list[OldPeer], tmp_path: Path) -> Callable[[str], OldPeer]:
    """Makes old daemons on the fleet's registry."""

    def make_one(host: str) -> OldPeer:
        times = {**QUICK, "client_timeout_s": 25.0}
        peer = OldPeer(host, tmp_path / host, fleet.redis.tcp_address.port, **times)
        old_peers.append(peer)
        return peer

    return make_one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons said when a test fails."""
    report = yield
    if report.failed:
        for used in getattr(item, "funcargs", {}).values():
            if isinstance(used, Fleet):
                report.sections.extend(used.logs())
    return report
