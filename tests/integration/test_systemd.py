"""What is told to a service manager that is slow to read, and to one that is not there."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.adapters.systemd import PATIENCE_S, Systemd
from tests.integration.notified import NotifySocket
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    """What waits for the manager is ended by a signal, and not by the patience of whoever runs the tests."""

    def tell(*_: object) -> None:
        raise AssertionError("it waited for the service manager to read")

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 10.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def systemd(manager: NotifySocket) -> Iterator[Systemd]:
    made = Systemd()
    yield made
    made.close()


def fill(systemd: Systemd) -> None:
    """Feed the watchdog until the manager's socket takes no more."""
    for _ in range(1000):
        systemd.feed_watchdog()


def test_telling_never_waits_and_all_that_counts_arrives_in_order(manager: NotifySocket, systemd: Systemd) -> None:
    fill(systemd)
    systemd.ready("serving")
    systemd.reloading()
    systemd.ready("again")
    systemd.stopping()
    manager.forget()
    assert systemd.flush()
    told = [each for each in manager.listen() if not each.startswith("MONOTONIC_USEC=")]
    assert told == ["READY=1", "STATUS=serving", "RELOADING=1", "READY=1", "STATUS=again", "STOPPING=1"]


def test_a_status_that_was_overtaken_is_not_told(manager: NotifySocket, systemd: Systemd) -> None:
    fill(systemd)
    systemd.ready("serving")
    for number in range(100):
        systemd.status(f"status {number}")
    manager.forget()
    systemd.feed_watchdog()
    assert manager.listen() == ["READY=1", "STATUS=serving", "STATUS=status 99", "WATCHDOG=1"]


def test_what_counts_only_at_its_moment_is_not_told_later(manager: NotifySocket, systemd: Systemd) -> None:
    fill(systemd)
    systemd.extend_timeout(5.0)
    systemd.feed_watchdog()
    manager.forget()
    assert systemd.flush()
    assert manager.listen() == []


def test_one_that_failed_waits_a_moment_for_the_manager_and_no_longer(manager: NotifySocket, systemd: Systemd) -> None:
    fill(systemd)
    began_s = time.monotonic()
    systemd.failed("failed: no", 5)
    assert time.monotonic() - began_s >= PATIENCE_S
    reader = threading.Timer(0.1, manager.listen)
    reader.start()
    systemd.failed("failed: again", 6)
    reader.join()
    wait_until(lambda: "ERRNO=6" in manager.listen(), 5.0, "the second failure")


def test_any_text_is_told_in_one_line_that_the_manager_takes(manager: NotifySocket, systemd: Systemd) -> None:
    systemd.status("rts\nREADY=1 · größer 測 \udcff")
    assert manager.listen() == ["STATUS=rts READY=1 · größer 測 ?"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves its socket open
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in (None, "", str(tmp_path / "nobody")):
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        if path is not None:
            monkeypatch.setenv("NOTIFY_SOCKET", path)
        Systemd().ready("serving")


def test_a_manager_that_has_gone_is_told_nothing(manager: NotifySocket, systemd: Systemd) -> None:
    fill(systemd)
    manager.close()
    systemd.ready("serving")
    assert systemd.flush()
