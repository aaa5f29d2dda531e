"""What a host does for readers of the old protocol that write, too; and how its publishers are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.old_writers import MOST_WRITERS, old_writer
from daosup.core.readership import READER_TIMEOUT_S
from daosup.core.registry_values import StreamRequest
from daosup.core.types import OLD_PROTOCOL, OldWriter, Reader, Source, StreamRecord, WorkerKey, WorkerKind
from daosup.errors import ProtocolError
from daosup.supervisor.old_writers import OldWriterFiles
from daosup.workers.old_writers import SUFFIX, OldWriters
from daosup.workers.records import page_name
from tests.journals import Told
from tests.unit.hosts import DM, HOST, IP, PORT, WFS, Story, only, publisher

GUI = OldWriter("gui", "10.0.0.7", 6001)
LAB = OldWriter("lab", "10.0.0.8", 6002)


def request(writer: OldWriter = GUI, **changes: Any) -> StreamRequest:
    fields = {"client_pub_port": writer.port, "bidirectional": True, "protocol": OLD_PROTOCOL, **changes}
    return StreamRequest(writer.ip, writer.host, **fields)


def asked(story: Story, *requests: StreamRequest, name: str = "wfs") -> list[do.TellOldWriters]:
    actions: list[do.Action] = []
    for each in requests:
        actions += story.say(e.RequestsTaken({name: each}))
    return only(actions, do.TellOldWriters)


def beat(story: Story, stamp: str, *hosts: str, name: str = "wfs") -> list[do.Action]:
    return story.say(e.HeartbeatsSeen({(name, host): stamp for host in hosts}))


def owner() -> Story:
    story = Story()
    story.connect()
    story.segments(WFS, DM)
    story.readers()
    return story


def test_a_publisher_is_told_who_writes_when_that_changes_and_when_it_begins() -> None:
    story = owner()
    assert asked(story, request()) == [do.TellOldWriters("wfs", (GUI,))]
    assert asked(story, request()) == []
    assert asked(story, request(LAB)) == [do.TellOldWriters("wfs", (GUI, LAB))]
    assert asked(story, request(LAB, client_pub_port=7000)) == [
        do.TellOldWriters("wfs", (GUI, OldWriter("lab", LAB.ip, 7000)))
    ]
    assert only(story.run(publisher(), 7, PORT), do.TellOldWriters) == [
        do.TellOldWriters("wfs", (GUI, OldWriter("lab", LAB.ip, 7000)))
    ]
    assert asked(story, request(LAB, bidirectional=False)) == [do.TellOldWriters("wfs", (GUI,))]


def test_its_record_says_that_it_writes_and_from_where() -> None:
    story = owner()
    asked(story, request())
    told = StreamRecord(IP, PORT, "gui", GUI.ip, "zmq", True, GUI.port)
    assert do.PutRecords("wfs", (told,), ("gui",)) in story.run(publisher(), 7, PORT)


def test_one_of_ours_that_writes_has_a_record_that_says_so() -> None:
    story = owner()
    story.readers(Reader("desk", "10.0.0.2", 1, "instance", bidirectional=True))
    told = StreamRecord(IP, PORT, "desk", "10.0.0.2", bidirectional=True)
    assert story.run(publisher(), 7, PORT) == [do.PutRecords("wfs", (told,), ("desk",))]


def test_whoever_is_no_reader_any_more_writes_no_more_and_has_to_ask_again() -> None:
    story = owner()
    asked(story, request(), request(LAB))
    for second in range(30):
        story.after(1.0)
        beat(story, f"at {second}", "gui")
    assert story.state.readership.writers.of("wfs", "lab") is None
    assert only(story.run(publisher(), 7, PORT), do.TellOldWriters) == [do.TellOldWriters("wfs", (GUI,))]
    for stamp in ("then", "back"):
        beat(story, stamp, "gui", "lab")
    assert [reader.host for reader in story.state.readership.of("wfs")] == ["gui", "lab"]
    assert only(story.after(5.0), do.TellOldWriters) == []
    assert asked(story, request(LAB)) == [do.TellOldWriters("wfs", (GUI, LAB))]


def test_a_host_that_reads_as_one_of_ours_is_no_old_writer_any_more() -> None:
    story = owner()
    asked(story, request())
    assert only(story.readers(Reader("gui", GUI.ip, 1, "instance")), do.TellOldWriters) == [
        do.TellOldWriters("wfs", ())
    ]


@pytest.mark.parametrize(
    "changes",
    [{"client_pub_port": None}, {"client_ip": "gui.example"}, {"client_ip": "0.0.0.0"}, {"client_ip": "224.0.0.1"}],
)
def test_whoever_says_nothing_usable_only_reads(changes: dict[str, Any]) -> None:
    story = owner()
    fields = {"client_ip": GUI.ip, "client_hostname": "gui", "bidirectional": True, "client_pub_port": 6001, **changes}
    actions = story.state.handle(e.RequestsTaken({"wfs": StreamRequest(**fields)}), story.now)
    assert only(actions, do.TellOldWriters) == []
    assert [report.notice.level for report in only(actions, do.Report)] == ["info", "warning"]
    assert [reader.host for reader in story.state.readership.of("wfs")] == ["gui"]


def test_there_are_only_so_many() -> None:
    story = owner()
    told = asked(story, *(request(OldWriter(f"h{number}", "10.0.1.1", 7000 + number)) for number in range(100)))
    assert len(told[-1].writers) == MOST_WRITERS
    assert asked(story, request(), name="dm") == [do.TellOldWriters("dm", (GUI,))]


def test_a_request_that_cannot_be_followed_takes_back_the_one_before() -> None:
    story = owner()
    asked(story, request())
    assert asked(story, request(client_pub_port=None)) == [do.TellOldWriters("wfs", ())]


def test_after_a_crash_writers_go_on_until_they_had_the_time_to_show_that_they_live() -> None:
    story = Story()
    story.segments(WFS)
    story.say(e.OldWritersRemembered({"wfs": (GUI, LAB)}))
    story.say(e.WorkersFound((e.FoundWorker(do.StartWorker(publisher(), PORT), 7, is_ready=True),)))
    assert only(story.after(100.0), do.TellOldWriters) == [], "as long as nobody can be asked"
    story.connect()
    actions: list[do.Action] = story.readers()
    for second in range(int(READER_TIMEOUT_S) - 1):
        actions += story.after(1.0) + beat(story, f"at {second}", "gui")
    assert only(actions, do.TellOldWriters) == []
    assert only(story.after(3.0), do.TellOldWriters) == [do.TellOldWriters("wfs", (GUI,))]


@pytest.mark.parametrize(
    "values",
    [
        ("gui", "10.0.0.256", 1),
        ("gui", "10.0.0", 1),
        ("gui", "10.0.0.1.2", 1),
        ("gui", "10.0.0.01", 1),
        ("gui", "10.0.0.1\n", 1),
        ("gui", "::1", 1),
        ("gui", "255.255.255.255", 1),
        ("gui", 10, 1),
        ("gui", "10.0.0.1", 0),
        ("gui", "10.0.0.1", 65536),
        ("gui", "10.0.0.1", True),
        ("gui", "10.0.0.1", "6000"),
        ("gui", "10.0.0.1", None),
        ("", "10.0.0.1", 1),
        ("a b", "10.0.0.1", 1),
    ],
)
def test_what_no_writer_can_be_is_refused(values: tuple[object, object, object]) -> None:
    with pytest.raises(ProtocolError):
        old_writer(*values)


def test_what_a_writer_can_be_is_taken() -> None:
    for ip in ("10.0.0.1", "127.0.0.1", "223.255.255.255", "192.168.10.20"):
        assert old_writer("gui", ip, 65535).endpoint == f"tcp://{ip}:65535"


# -- the files


def page_of(folder: Path, name: str = "wfs") -> Path:
    return folder / page_name(WorkerKey(WorkerKind.PUBLISHER, Source(HOST, name)))


def files_in(folder: Path) -> OldWriterFiles:
    return OldWriterFiles(HOST, lambda key: folder / page_name(key), Told())  # type: ignore[arg-type]


def test_a_publisher_reads_what_it_is_told_once(tmp_path: Path) -> None:
    files, writers = files_in(tmp_path), OldWriters(page_of(tmp_path))
    assert writers.poll() is None
    files.tell(do.TellOldWriters("wfs", (GUI, LAB)))
    assert writers.poll() == (GUI, LAB)
    assert writers.poll() is None
    files.tell(do.TellOldWriters("wfs", (LAB,)))
    assert writers.poll() == (LAB,)
    files.tell(do.TellOldWriters("wfs", ()))
    assert writers.poll() == ()
    assert writers.poll() is None
    files.tell(do.TellOldWriters("wfs", ()))
    assert os.listdir(tmp_path) == []


def test_a_supervisor_remembers_what_the_one_before_told(tmp_path: Path) -> None:
    told = {"wfs": (GUI, LAB), "a.dotted-name_1": (GUI,)}
    for name, writers in told.items():
        files_in(tmp_path).tell(do.TellOldWriters(name, writers))
    assert files_in(tmp_path).remembered() == told
    assert OldWriterFiles("other", lambda key: tmp_path / page_name(key), Told()).remembered() == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff" * 100,
        b'{"name": "wfs"}',
        b'{"name": "wfs", "writers": [["gui", "10.0.0.7"]]}',
        b'{"name": "wfs", "writers": [["gui", "10.0.0.7", "6001"]]}',
        b'{"name": "../../x", "writers": []}',
        b'{"name": "wfs", "writers": ' + b"[" * 5000,
        b'{"name": "wfs", "writers": [' + b'["gui", "10.0.0.7", 6001], ' * 80 + b'["gui", "10.0.0.7", 6001]]}',
    ],
)
def test_a_file_that_says_anything_else_says_nothing(content: bytes, tmp_path: Path) -> None:
    page_of(tmp_path).with_suffix(SUFFIX).write_bytes(content)
    assert OldWriters(page_of(tmp_path)).poll() == ()
    assert files_in(tmp_path).remembered() == {}


def test_a_folder_or_a_link_in_its_place_is_no_file(tmp_path: Path) -> None:
    page_of(tmp_path).with_suffix(SUFFIX).mkdir()
    assert OldWriters(page_of(tmp_path)).poll() == ()
    (tmp_path / "elsewhere").write_bytes(b'{"name": "dm", "writers": [["gui", "10.0.0.7", 6001]]}')
    page_of(tmp_path, "dm").with_suffix(SUFFIX).symlink_to(tmp_path / "elsewhere")
    assert OldWriters(page_of(tmp_path, "dm")).poll() == ()
    assert files_in(tmp_path).remembered() == {}
