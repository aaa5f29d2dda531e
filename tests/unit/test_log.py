"""Logging: one entry is one entry, nothing blocks, nothing is raised, nothing is lost without being counted."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup import log
from daosup.core.notices.notice import Notice
from daosup.core.notices.running import LOG_REPEATED
from daosup.core.notices.workers import WORKER_DIED
from daosup.errors import UsageError
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
MESSAGE_ID = "0123456789abcdef0123456789abcdef"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
HOSTILE = 'x\n2026-11-20T12:00:00.000Z ERROR all is lost\r\x1b[2J\u202e\x85 a="b" \\ \udc80'


def told(text: str, level: str = "info") -> Notice:
    """A notice of this text, of which each entry is written."""
    return Notice("told", MESSAGE_ID, level, text, "", "", is_limited=False)


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@contextlib.contextmanager
def logging_to(handler: log.JournalHandler | log.StderrHandler) -> Iterator[log.Logger]:
    """A logger of ours whose messages go to ``handler`` for a while."""
    under = logging.getLogger("daosup.under_test")
    under.setLevel(logging.DEBUG)
    under.addHandler(handler)
    try:
        yield log.get("daosup.under_test")
    finally:
        under.removeHandler(handler)
        handler.close()


class Journal:
    """A datagram socket where the journal's would be."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def receive(self) -> dict[str, list[str]]:
        content, fds, _, _ = socket.recv_fds(self.socket, 1 << 20, 1)
        if fds:
            assert content == b""
            seals = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS)
            assert seals == fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            with open(fds[0], "rb") as memory:
                memory.seek(0)
                content = memory.read()
        return decoded(content)


def decoded(content: bytes) -> dict[str, list[str]]:
    """What the journal reads in a datagram, by the description of its native protocol."""
    fields: dict[str, list[str]] = {}
    while content:
        line, _, content = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size, content = int.from_bytes(content[:8], "little"), content[8:]
            value, end, content = content[:size], content[size : size + 1], content[size + 1 :]
            assert end == b"\n"
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name)
        fields.setdefault(name.decode(), []).append(value.decode())
    return fields


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.socket.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    for fd in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(fd)


def drained(fd: int) -> str:
    content = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(fd, 1 << 20):
            content += part
    return content.decode()


def run(code: str, stderr: int, **environment: str) -> None:
    """Run ``code`` in a process of its own, which must end well."""
    command = [sys.executable, "-c", f"from daosup import log\nfrom tests.unit.test_log import told\n{code}"]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, stderr=stderr, stdout=subprocess.PIPE, env=env, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


# stderr


def test_a_line_has_time_level_message_and_fields(pipe: tuple[int, int]) -> None:
    before = time.time()
    with logging_to(log.StderrHandler(pipe[1])) as logger:
        logger.notice(told("worker started"), worker="publisher rts:wfs", pid=12, peer="", path="/tmp/a=b", rate_hz=0.5)
    line = drained(pipe[0])
    assert re.fullmatch(
        STAMP + r' INFO worker started worker="publisher rts:wfs" pid=12 peer="" path="/tmp/a=b" rate_hz=0\.5\n', line
    )
    assert abs(time.mktime(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - before) < 2


def test_levels_and_fields_of_the_logger(pipe: tuple[int, int]) -> None:
    with logging_to(log.StderrHandler(pipe[1])):
        logger = log.get("daosup.under_test", segment="wfs")
        logger.debug("a")
        logger.notice(told("b", "warning"), n=1)
        logger.notice(told("c", "error"), segment="dm")
    lines = [line.partition(" ")[2] for line in drained(pipe[0]).splitlines()]
    assert lines == ["DEBUG a segment=wfs", "WARNING b segment=wfs n=1", "ERROR c segment=dm"]


def test_what_comes_from_outside_stays_within_its_line(pipe: tuple[int, int]) -> None:
    with logging_to(log.StderrHandler(pipe[1])) as logger:
        logger.notice(told(HOSTILE), **{"name": HOSTILE, HOSTILE: 1})
        logging.getLogger("daosup.under_test").info("of a library: %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logger.failure(told("failed", "error"))
    content = drained(pipe[0])
    assert all(c == "\n" or c.isprintable() for c in content)
    entries = [line for line in content.split("\n") if re.match(STAMP, line)]
    assert [entry.split(" ")[1] for entry in entries] == ["INFO", "INFO", "ERROR"]
    assert r'name="x\n2026-11-20T12:00:00.000Z ERROR all is lost\r\x1b[2J\u202e\x85 a=\"b\" \\ \udc80"' in content
    assert "\n    ValueError: x\n    2026-11-20T12:00:00.000Z ERROR" in content


def test_what_cannot_be_shown_is_named(pipe: tuple[int, int]) -> None:
    with logging_to(log.StderrHandler(pipe[1])) as logger:
        logger.notice(told("odd"), value=Unprintable(), number=[1, None])
        logger.failure(told("no exception at all", "error"))  # that is the case
    content = drained(pipe[0])
    assert 'odd value="<Unprintable without text>" number="[1, None]"\n' in content
    assert content.endswith("ERROR no exception at all\n")


def test_a_library_whose_arguments_do_not_fit_its_message_is_heard(pipe: tuple[int, int]) -> None:
    code = "import logging; log.setup('info'); logging.getLogger('a').warning('%d of %d', 1)"
    run(code, pipe[1])
    assert drained(pipe[0]).endswith("WARNING %d of %d\n")


def test_a_full_pipe_neither_blocks_nor_breaks_lines_and_the_loss_is_told(pipe: tuple[int, int]) -> None:
    handler = log.StderrHandler(pipe[1])
    with logging_to(handler) as logger:
        written = 0
        while not handler.dropped:
            logger.notice(told("line"), number=written, padding="x" * 5000)
            written += 1
        for _ in range(9):
            logger.notice(told("lost"), padding="x" * 5000)
        assert handler.dropped == 10
        first = drained(pipe[0])
        logger.notice(told("after"))
        assert handler.dropped == 0
    assert os.get_blocking(pipe[1])
    lines = (first + drained(pipe[0])).splitlines()
    assert [int(n) for n in re.findall(r"INFO line number=(\d+) ", "\n".join(lines))] == list(range(written - 1))
    assert lines[-2].endswith("WARNING log entries were dropped: their destination was full or away count=10")
    assert lines[-1].endswith("INFO after")
    assert all(re.match(STAMP, line) for line in lines)


def test_a_reader_of_stderr_that_went_away_is_survived(pipe: tuple[int, int]) -> None:
    handler = log.StderrHandler(pipe[1])
    os.close(pipe[0])
    with logging_to(handler) as logger:
        logger.notice(told("to nobody"))
        assert handler.dropped == 1
    logger.notice(told("to a handler that was closed"))


def test_a_full_socket_as_stderr_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handler = log.StderrHandler(theirs.fileno())
        with logging_to(handler) as logger:
            while not handler.dropped:
                logger.notice(told("line"), padding="x" * 10_000)
            assert theirs.getblocking()
        assert re.match(STAMP, ours.recv(100).decode())


def test_a_file_as_stderr_is_shared_with_others_that_write_to_it(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb", buffering=0) as file, logging_to(log.StderrHandler(file.fileno())) as logger:
        file.write(b"before\n")
        logger.notice(told("ours"))
        file.write(b"after\n")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ")[-1] for line in lines] == ["before", "ours", "after"]


def test_a_closed_stderr_is_survived_and_the_next_file_is_spared(tmp_path: Path) -> None:
    code = """
import os, logging
os.close(2)
log.setup("info")
fd = os.open("spared", os.O_WRONLY | os.O_CREAT)
assert fd == 2
log.get("a").notice(told("to nobody", "error"))
logging.getLogger("other").error("to nobody")
"""
    run(f"import os; os.chdir({str(tmp_path)!r}){code}", subprocess.DEVNULL)
    assert (tmp_path / "spared").read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_pipe_is_written_without_blocking(pipe: tuple[int, int]) -> None:
    code = """
import os
os.setuid(65534)
log.setup("info")
for number in range(100):
    log.get("a").notice(told("line"), number=number, padding="x" * 3000)
"""
    run(code, pipe[1])
    lines = drained(pipe[0]).splitlines()
    assert len(lines) >= 10
    assert all(re.match(STAMP + r" INFO line number=\d+ padding=x{3000}\Z", line) for line in lines)


# setup


def test_setup_takes_our_level_and_the_warnings_of_libraries(pipe: tuple[int, int]) -> None:
    code = """
import logging
log.setup("error")
log.setup("debug")
log.get("daosup.x").debug("ours")
log.get("__main__").debug("also ours")
logging.getLogger("asyncio").info("not told")
logging.getLogger("asyncio").warning("of %s", "asyncio")
"""
    run(code, pipe[1])
    lines = [line.partition(" ")[2] for line in drained(pipe[0]).splitlines()]
    assert lines == ["DEBUG ours", "DEBUG also ours", "WARNING of asyncio"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UsageError, match="'INFO' is not one of debug, info, warning, error"):
        log.setup("INFO")


def test_the_journal_is_used_if_stderr_goes_there(journal: Journal) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        status = os.fstat(theirs.fileno())
        code = f"log.setup('info', journal_path={journal.path!r}); log.get('a').notice(told('hello'))"
        run(code, theirs.fileno(), JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
        assert journal.receive()["MESSAGE"] == ["hello"]
        run(code, theirs.fileno(), JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino + 1}")
        assert ours.recv(100).endswith(b"INFO hello\n")
        run(code.replace("'info',", "'info', to_journal=True,"), theirs.fileno(), JOURNAL_STREAM="")
        assert journal.receive()["MESSAGE"] == ["hello"]


# the journal


def test_an_entry_of_the_journal_has_our_fields(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        logger.notice(told("worker ended", "warning"), segment="wfs", worker_pid=12, reason="a\nb")
    fields = journal.receive()
    assert fields == {
        "MESSAGE": [r'worker ended segment=wfs worker_pid=12 reason="a\nb"'],
        "PRIORITY": ["4"],
        "SYSLOG_IDENTIFIER": ["daosup"],
        "LOGGER": ["daosup.under_test"],
        "NOTICE": ["told"],
        "SEGMENT": ["wfs"],
        "WORKER_PID": ["12"],
        "MESSAGE_ID": ["0123456789abcdef0123456789abcdef"],
        "REASON": ["a\nb"],
    }


def test_where_something_was_logged_is_told_where_that_helps(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        logger.debug("x")
        logging.getLogger("daosup.under_test").warning("of a library")
        line = sys._getframe().f_lineno - 1
    for _ in range(2):
        fields = journal.receive()
        place = (fields["CODE_FILE"], fields["CODE_FUNC"])
        assert place == ([__file__], ["test_where_something_was_logged_is_told_where_that_helps"])
    assert fields["CODE_LINE"] == [str(line)]
    assert (fields["NOTICE"], fields["MESSAGE"]) == (["library-message"], ["of a library"])


def test_priorities(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        logger.debug("x")
        for level in ("info", "warning", "error"):
            logger.notice(told("x", level))
        logging.getLogger("daosup.under_test").critical("x")
    assert [journal.receive()["PRIORITY"] for _ in range(5)] == [["7"], ["6"], ["4"], ["3"], ["2"]]


def test_hostile_text_makes_no_field_and_no_second_entry(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        logger.notice(
            told("a\nPRIORITY=0"), peer="b\nPRIORITY=0\n", **{"_pid": 1, "9é-x": 2, "priority": 0, "x" * 99: 3, "é": 4}
        )
    fields = journal.receive()
    assert fields["MESSAGE"][0].startswith(r'a\nPRIORITY=0 peer="b\nPRIORITY=0\n" ')
    assert fields["PRIORITY"] == ["6"]
    assert fields["PEER"] == ["b\nPRIORITY=0\n"]
    assert fields["PID"] == ["1"]
    assert fields["X"] == ["2"]
    assert fields["DAOSUP_PRIORITY"] == ["0"]
    assert fields["X" * 64] == ["3"]
    assert fields["DAOSUP_"] == ["4"]


def test_a_traceback_is_in_the_entry_of_its_message(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        try:
            raise ValueError("no\x1b such thing")
        except ValueError:
            logger.failure(told("it failed", "error"), segment="wfs")
    fields = journal.receive()
    first, *rest = fields["MESSAGE"][0].split("\n")
    assert first == "it failed segment=wfs"
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == r"ValueError: no\x1b such thing"
    assert fields["PRIORITY"] == ["3"]


def test_the_lines_of_a_body_are_in_the_entry_and_look_like_no_other(journal: Journal, pipe: tuple[int, int]) -> None:
    body = "first\n2026-11-20T12:00:00.000Z ERROR all is lost\x1b[2J"
    with logging_to(log.JournalHandler(journal.path)) as logger, logging_to(log.StderrHandler(pipe[1])):
        logger.notice(told("it says"), body, segment="wfs")
    shown = body.replace("\x1b", r"\x1b").split("\n")
    assert journal.receive()["MESSAGE"] == ["\n".join(["it says segment=wfs", *shown])]
    assert drained(pipe[0]).splitlines()[1:] == [f"    {line}" for line in shown]


# what repeats


def test_what_repeats_is_counted_and_the_count_is_told(journal: Journal) -> None:
    handler = log.JournalHandler(journal.path)
    with logging_to(handler) as logger:
        for number in range(20):
            logger.notice(WORKER_DIED, segment="wfs", worker_kind="publisher", worker_pid=number)
            if number < 5:
                assert journal.receive()["WORKER_PID"] == [str(number)]
        logger.notice(WORKER_DIED, segment="dm", worker_kind="publisher", worker_pid=99)
        assert journal.receive()["SEGMENT"] == ["dm"], "another worker is another matter"
    fields = journal.receive()
    assert (fields["NOTICE"], fields["REPEATED"], fields["SEGMENT"]) == (["worker-died"], ["15"], ["wfs"])
    assert fields["MESSAGE_ID"] == [LOG_REPEATED.message_id]


def test_a_library_that_says_the_same_again_and_again_is_counted_too(pipe: tuple[int, int]) -> None:
    with logging_to(log.StderrHandler(pipe[1])):
        for number in range(50):
            logging.getLogger("daosup.under_test").warning("slow: %d", number)
    lines = drained(pipe[0]).splitlines()
    assert [line.rpartition(" ")[2] for line in lines[:5]] == ["0", "1", "2", "3", "4"]
    assert len(lines) == 6
    assert "notice=library-message repeated=45" in lines[5]


def test_an_entry_too_large_for_a_datagram_goes_as_a_sealed_file(journal: Journal) -> None:
    with logging_to(log.JournalHandler(journal.path)) as logger:
        logger.notice(told("large"), story="ä" * 1_000_000)
    assert journal.receive()["STORY"] == ["ä" * 1_000_000]


def test_a_full_journal_does_not_block_and_the_loss_is_told(journal: Journal) -> None:
    handler = log.JournalHandler(journal.path)
    with logging_to(handler) as logger:
        written = 0
        while not handler.dropped:
            logger.notice(told("entry"), number=written)
            written += 1
        logger.notice(told("lost"), story="x" * 1_000_000)
        assert handler.dropped == 2
        assert [journal.receive()["NUMBER"] for _ in range(written - 1)] == [[str(n)] for n in range(written - 1)]
        logger.notice(told("after"))
        loss, after = journal.receive(), journal.receive()
    assert (loss["COUNT"], loss["PRIORITY"]) == (["2"], ["4"])
    assert after["MESSAGE"] == ["after"]


def test_a_journal_that_is_away_is_survived_and_found_again(tmp_path: Path) -> None:
    handler = log.JournalHandler(str(tmp_path / "journal"))
    with logging_to(handler) as logger:
        logger.notice(told("to nobody"))
        first = Journal(tmp_path / "journal")
        logger.notice(told("one"))
        assert first.receive()["COUNT"] == ["1"]
        assert first.receive()["MESSAGE"] == ["one"]
        first.socket.close()
        logger.notice(told("refused"))
        os.unlink(first.path)
        second = Journal(tmp_path / "journal")
        logger.notice(told("two"))
        assert [second.receive()["MESSAGE"][0].split(" ")[0] for _ in range(2)] == ["log", "two"]
        second.socket.close()


def test_a_line_is_on_its_way_when_the_call_returns(pipe: tuple[int, int]) -> None:
    with logging_to(log.StderrHandler(pipe[1])) as logger:
        logger.notice(told("now"))
        assert wait_until(lambda: drained(pipe[0]), 1, "the line").endswith("now\n")
