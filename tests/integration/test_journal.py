"""What a real daemon tells the journal: which notice, about whom, in which story; and what its workers write."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from daosup.core.notices import BY_NAME
from tests.integration.fleet import Fleet, Host
from tests.integration.journal_socket import JournalSocket
from tests.integration.streams import stream
from tests.integration.test_survival import workers_folder
from tests.integration.unruly import order_of, tell
from tests.waiting import wait_until

#: A daemon whose journal is ours, and whose workers are unruly.
_MAIN = """
import sys
from daosup import log
log.is_stderr_the_journal = lambda: True
log.setup = lambda level, setup=log.setup: setup(level, to_journal=True, journal_path={path!r})
from daosup.supervisor import workers_desk
workers_desk.Processes = lambda module, *rest, make=workers_desk.Processes: make("tests.integration.unruly", *rest)
"""


@pytest.fixture
def journal(fleet: Fleet) -> Iterator[JournalSocket]:
    """The journal of lab, which mirrors; rts has none."""
    journal = JournalSocket(fleet.folder / "journal")
    yield journal
    journal.close()


def start(fleet: Fleet, journal: JournalSocket) -> Host:
    """Start both hosts; returns the one whose journal it is."""
    if "lab" not in fleet.hosts:
        fleet.add("lab")
    fleet.lab.spawn(before=_MAIN.format(path=str(journal.path)))
    if "rts" not in fleet.hosts:
        fleet.start("rts")
    fleet.lab.wait_up()
    return fleet.lab


def test_the_story_of_a_worker_that_dies(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs:
        asked = journal.wait_for("mirror-asked", SOURCE="rts:wfs")
        ready = journal.wait_for("worker-ready", SOURCE="rts:wfs")
        pid = lab.worker_pid(wfs.source)
        about = {"SEGMENT": "remote_rts_wfs", "SOURCE": "rts:wfs", "WORKER_KIND": "mirror", "PEER": "rts"}
        assert (about | {"WORKER_PID": str(pid), "CAUSE_ID": asked["CAUSE_ID"]}).items() <= ready.items()
        assert ready["MESSAGE_ID"] == BY_NAME["worker-ready"].message_id
        assert ready["SYSLOG_IDENTIFIER"] == "daosup"
        assert "CODE_LINE" not in ready
        os.kill(pid, signal.SIGSEGV)
        died = journal.wait_for("worker-died")
        assert (about | {"WORKER_PID": str(pid)}).items() <= died.items()
        assert died["CAUSE"] == "killed by SIGSEGV"
        again = lab.worker_pid(wfs.source, other_than=pid)
        story = died["CAUSE_ID"]
        assert story != asked["CAUSE_ID"]
        assert journal.wait_for("worker-ready", WORKER_PID=str(again))["CAUSE_ID"] == story
        (last_words,) = journal.of("worker-traceback")
        assert (about | {"CAUSE_ID": story}).items() <= last_words.items()
        assert "\nFatal Python error: Segmentation fault\n" in last_words["MESSAGE"]
        wfs.check_going()
    released = journal.wait_for("mirror-released")
    stopped = journal.wait_for("worker-stopped")
    assert stopped["CAUSE_ID"] == released["CAUSE_ID"] != story
    assert stopped["SEGMENT"] == "remote_rts_wfs"


def test_what_a_worker_writes_is_told_with_its_name(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm"):
        pid = str(lab.worker_pid(wfs.source))
        tell(lab.runtime, "mirror", wfs.source, "say first\nsecond\n\x1b[2J\n")
        told = journal.wait_for("worker-output")
        assert told["MESSAGE"].split("\n")[1:] == ["first", "second", r"\x1b[2J"]
        assert (told["SEGMENT"], told["WORKER_KIND"], told["WORKER_PID"]) == ("remote_rts_wfs", "mirror", pid)
        trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no\n'
        tell(lab.runtime, "mirror", wfs.source, f"say before\n{trace}after\n")
        found = journal.wait_for("worker-traceback")
        assert found["MESSAGE"].partition("\n")[2] == trace.rstrip("\n")

        def texts() -> list[str]:
            entries = list(journal.entries)
            later = (entry["MESSAGE"].partition("\n")[2] for entry in entries[entries.index(told) + 1 :])
            return [text for text in later if text]

        wait_until(lambda: texts() == ["before", trace.rstrip("\n"), "after"], 10.0, "all three in their order")


def test_what_a_worker_says_last_is_told_before_its_death(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs:
        pid = lab.worker_pid(wfs.source)
        tell(lab.runtime, "mirror", wfs.source, "abort Assertion failed: check () (src/msg.cpp:394)")
        died = journal.wait_for("worker-died")
        told = journal.wait_for("worker-output")
        assert journal.entries.index(told) < journal.entries.index(died)
        assert told["MESSAGE"].endswith("\nAssertion failed: check () (src/msg.cpp:394)")
        assert told["CAUSE_ID"] == died["CAUSE_ID"]
        assert told["WORKER_PID"] == died["WORKER_PID"] == str(pid)


def test_a_worker_in_a_rage_fills_neither_journal_nor_disk(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs:
        pid = lab.worker_pid(wfs.source)
        tell(lab.runtime, "mirror", wfs.source, "rage")
        output = workers_folder(lab) / "mirror.rts.wfs.output"
        wait_until(lambda: output.exists() and output.stat().st_size > 500_000, 30.0, "a lot to be written")
        wait_until(lambda: len(journal.of("worker-output")) >= 4, 10.0, "some of it to be told")
        order_of(lab.runtime, "mirror", wfs.source).unlink()
        told = journal.of("worker-output")
        assert sum(len(entry["MESSAGE"]) for entry in told) < 100_000
        assert sum(int(entry.get("CUT_BYTES", "0")) for entry in told) > 100_000
        os.kill(pid, signal.SIGKILL)
        journal.wait_for("worker-died")
        told = journal.of("worker-output")
        written = {line for entry in told for line in entry["MESSAGE"].split("\n")[1:]}
        assert "what number 0" in written
        assert "what number 999" in written


def test_what_is_written_while_no_supervisor_listens_is_told_by_the_next(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm") as dm:
        tell(lab.runtime, "mirror", wfs.source, "say before the crash\n")
        journal.wait_for("worker-output")
        lab.signal(signal.SIGKILL)
        tell(lab.runtime, "mirror", wfs.source, "say to nobody\n")
        tell(lab.runtime, "mirror", dm.source, "die")
        folder = workers_folder(lab)
        wait_until(lambda: not order_of(lab.runtime, "mirror", wfs.source).exists(), 10.0, "it to be said")
        wait_until(lambda: b"told to die" in (folder / "mirror.rts.dm.words").read_bytes(), 10.0, "the other to die")
        order_of(lab.runtime, "mirror", dm.source).unlink()
        start(fleet, journal)
        journal.wait_for("worker-adopted", SOURCE="rts:wfs")
        texts = [entry["MESSAGE"].split("\n")[1:] for entry in journal.of("worker-output", SOURCE="rts:wfs")]
        assert texts == [["before the crash"], ["to nobody"]]
        (trace,) = journal.of("worker-traceback", SOURCE="rts:dm")
        assert trace["MESSAGE"].endswith("\nValueError: told to die")
        tell(lab.runtime, "mirror", wfs.source, "say to the successor\n")
        wait_until(
            lambda: journal.of("worker-output")[-1]["MESSAGE"].endswith("\nto the successor"), 10.0, "it to be heard"
        )
        wfs.check_going()


def test_away_from_systemd_it_is_on_stderr_with_the_workers_name(fleet: Fleet) -> None:
    fleet.add("lab").program = "tests.integration.unruly"
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        tell(fleet.lab.runtime, "mirror", wfs.source, "say plain words\n")
        wait_until(lambda: "\n    plain words\n" in fleet.lab.log, 10.0, "it to be told")
        (line,) = [line for line in fleet.lab.log.splitlines() if "output of a worker" in line]
        assert "WARNING output of a worker segment=remote_rts_wfs source=rts:wfs worker_kind=mirror" in line


def test_a_crash_loop_is_told_a_few_times_and_then_counted(fleet: Fleet, journal: JournalSocket) -> None:
    lab = start(fleet, journal)
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm") as dm:
        tell(lab.runtime, "mirror", wfs.source, "die")
        gave_up = journal.wait_for("worker-gave-up", 60.0)
        deaths = journal.of("worker-died", SOURCE="rts:wfs")
        assert 3 <= len(deaths) <= 5
        assert {entry["CAUSE_ID"] for entry in deaths} == {gave_up["CAUSE_ID"]}, "one story"
        os.kill(lab.worker_pid(dm.source), signal.SIGKILL)
        journal.wait_for("worker-died", SOURCE="rts:dm")
        order_of(lab.runtime, "mirror", wfs.source).unlink()
        counted = journal.wait_for("worker-died", 40.0, REPEATED=str(8 - len(deaths)))
        assert counted["MESSAGE_ID"] == BY_NAME["log-repeated"].message_id
        assert counted["SOURCE"] == "rts:wfs"


def test_why_a_daemon_does_not_start_or_ends_is_one_entry(fleet: Fleet, journal: JournalSocket) -> None:
    lab = fleet.add("lab")
    main = _MAIN.format(path=str(journal.path))
    good = lab.config.read_text()
    lab.config.write_text(good + "[log]\nlevel = 5\n[publish]\nsemaphore = -1\n")
    assert lab.spawn_another(before=main).wait(20) == 78
    wrong = journal.wait_for("configuration-wrong")
    assert "log.level" in wrong["MISTAKE"]
    assert "publish.semaphore" in wrong["MISTAKE"]
    lab.config.write_text(good)
    broken = "from daosup.core.host import HostState\ndef handle(*arguments): raise ValueError('by the test')\n"
    assert lab.spawn_another(before=f"{main}{broken}HostState.handle = handle\n").wait(20) == 1
    failed = journal.wait_for("supervisor-failed")
    assert failed["MESSAGE"].split("\n")[1] == "Traceback (most recent call last):"
    assert failed["MESSAGE"].endswith("\nValueError: by the test")
    lab.spawn(before=main)
    lab.wait_up()
    assert lab.spawn_another(before=main).wait(20) == 69
    assert "another daosupd is running" in journal.wait_for("supervisor-cannot-serve")["REASON"]
    assert lab.signal(signal.SIGTERM) == 0
    journal.wait_for("supervisor-stopped")
    ids = {entry["CAUSE_ID"].partition("-")[0] for entry in journal.of("supervisor-started")}
    assert len(ids) == len(journal.of("supervisor-started")), "each run has its own"
