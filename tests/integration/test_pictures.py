"""view, dump and write as their users have them: real daemons, real streams, real terminals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from daosup.adapters.control import Request
from daosup.errors import DeniedError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.integration.control_daemon import Daemon
from tests.integration.fleet import Fleet
from tests.integration.shells import environment
from tests.integration.streams import filming
from tests.integration.terminals import Terminal, check_golden, daosupctl, steady
from tests.schemas import check as check_schema
from tests.status_samples import a_status, a_worker
from tests.waiting import wait_until

DEADLINE_S = 30.0
VARIES = {r"frame \d+": "frame N", r"\d+(\.\d+)? k?Hz": "RATE", r"[\d.]+ (µs|ms|s|min \d+ s) old": "AGE"}
#: Three by three spots of rising brightness.
SPOTS = np.zeros((36, 36), "u2")
SPOTS[4::12, 4::12] = np.arange(100, 1000, 100).reshape(3, 3)
SPOTS[5::12, 4::12] = SPOTS[4::12, 4::12]


@pytest.fixture
def wfs(hosts: Fleet) -> Iterator[Segment]:
    """A segment of rts, with spots."""
    segment = hosts.rts.create("wfs", (36, 36))
    segment.write(SPOTS)
    yield segment
    hosts.remove("rts:wfs", segment)


@pytest.fixture
def dm(hosts: Fleet) -> Iterator[Segment]:
    """A vector of rts."""
    segment = hosts.rts.create("dm", (60, 1), "float32", keywords=4)
    segment.write(np.sin(np.arange(60) / 9).astype("f4").reshape(60, 1))
    yield segment
    hosts.remove("rts:dm", segment)


def ctl(socket: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["daosupctl", "--socket", str(socket), *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def is_released(hosts: Fleet, source: str = "rts:wfs") -> bool:
    return source not in hosts.lab.mirrored()


# -- view


@pytest.mark.parametrize("columns", [80, 160])
def test_an_image_in_plain_letters(hosts: Fleet, wfs: Segment, columns: int) -> None:
    with daosupctl(hosts.rts.socket, "view", "wfs", columns=columns, rows=columns // 4, NO_COLOR="1") as terminal:
        terminal.wait_for("Hz")
        check_golden(f"view-{columns}", steady(terminal.lines, VARIES))


def test_an_image_of_another_host_is_drawn_and_its_mirror_goes_with_the_look(hosts: Fleet, wfs: Segment) -> None:
    with daosupctl(hosts.lab.socket, "view", "rts:wfs") as terminal:
        terminal.wait_for("Hz")
        assert terminal.is_alternate
        assert hosts.lab.mirrored() == ["rts:wfs"]
        assert terminal.colours_at(2, 0) == ("080814", "080814")  # dark
        brightest = [
            column
            for row in range(2, len(terminal.lines) - 2)
            for column in range(80)
            if "fffadc" in terminal.colours_at(row, column)
        ]
        assert brightest
        assert min(brightest) > 20  # the spot in the last corner
        terminal.type("q")
        assert terminal.wait_end() == 0
        assert terminal.is_restored
    wait_until(lambda: is_released(hosts), 5.0, "the mirror's end")


def test_a_vector_is_drawn_as_bars_in_unicode_and_in_ascii(hosts: Fleet, dm: Segment) -> None:
    with daosupctl(hosts.rts.socket, "view", "dm", NO_COLOR="1") as terminal:
        terminal.wait_for("Hz")
        check_golden("view-bars-80", steady(terminal.lines, VARIES))
        assert not re.search(rb"\033\[[0-9;]*[34]8;", terminal.written)
        terminal.type("t")
        terminal.wait_for("⠉")
    with daosupctl(hosts.rts.socket, "view", "dm", PYTHONIOENCODING="ascii") as terminal:
        terminal.wait_for("##")


def test_what_is_new_is_shown_and_held_on_demand(hosts: Fleet, dm: Segment) -> None:
    with daosupctl(hosts.lab.socket, "view", "rts:dm") as terminal:
        terminal.wait_for("scale -0.998955 to")
        terminal.type(" ")
        terminal.wait_for("held")
        dm.write(np.full((60, 1), 7, "f4"))
        wait_until(lambda: Segment.open(hosts.lab.path("remote_rts_dm")).counter >= 2, what="the frame")
        terminal.wait_for("scale -0.998955 to")
        terminal.type(" ")
        terminal.wait_for("min 7  max 7  mean 7  std 0")


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_the_mirror(hosts: Fleet, wfs: Segment, number: signal.Signals, exit_code: int) -> None:
    with daosupctl(hosts.lab.socket, "view", "rts:wfs") as terminal:
        terminal.wait_for("scale")
        terminal.send(number)
        assert terminal.wait_end() == exit_code
        assert terminal.is_restored
        assert "Traceback" not in terminal.text
    wait_until(lambda: is_released(hosts), 5.0, "the mirror's end")


def test_a_viewer_that_is_killed_leaves_no_mirror(hosts: Fleet, wfs: Segment) -> None:
    with daosupctl(hosts.lab.socket, "view", "rts:wfs") as terminal:
        terminal.wait_for("scale")
        terminal.send(signal.SIGKILL)
        terminal.wait_end()
    wait_until(lambda: is_released(hosts), 5.0, "the mirror's end")
    assert not hosts.lab.path("remote_rts_wfs").exists()


def test_a_mirror_that_others_hold_stays(hosts: Fleet, wfs: Segment) -> None:
    hosts.lab.mirror("rts:wfs").close()
    with daosupctl(hosts.lab.socket, "view", "rts:wfs") as terminal:
        terminal.wait_for("scale")
        terminal.type("q")
        terminal.wait_end()
    assert ctl(hosts.lab.socket, "view", "remote_rts_wfs", "--once").returncode == 0
    assert not is_released(hosts)


def test_the_source_may_be_made_anew_and_the_daemon_replaced_meanwhile(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    fleet.rts.create("wfs", (36, 36)).close()
    with daosupctl(fleet.lab.socket, "view", "rts:wfs") as terminal:
        terminal.wait_for("36x36 uint16")
        with fleet.rts.create("wfs", (20, 50), "float32") as other:
            other.write(np.ones((20, 50), "f4"))
            terminal.wait_for("20x50 float32")
            fleet.lab.reexec()
            other.write(np.full((20, 50), 3, "f4"))
            terminal.wait_for("min 3  max 3")
        terminal.type("q")
        assert terminal.wait_end() == 0
    # The new daemon may keep what it found for a while; but the viewer is not among those for whom it does.
    wait_until(lambda: _holders(fleet) <= {"adopted"}, 5.0, "the viewer to be forgotten")
    fleet.remove("rts:wfs", Segment.open(fleet.rts.path("wfs")))


def _holders(fleet: Fleet) -> set[str]:
    return {holder for row in fleet.lab.status()["workers"] if row["kind"] == "mirror" for holder in row["holders"]}


def test_on_a_line_that_stands_still_pictures_are_skipped_and_the_newest_is_shown(hosts: Fleet, wfs: Segment) -> None:
    with daosupctl(hosts.lab.socket, "view", "rts:wfs") as terminal, filming(wfs, 0.01) as camera:
        terminal.wait_for("Hz")
        terminal.is_answering = False
        terminal.wait_quiet(0.3)
        before, seen = camera.written, len(terminal.written)
        wait_until(lambda: camera.written > before + 100, what="100 frames")
        terminal.wait_quiet(0.2)
        assert len(terminal.written) == seen
        with Segment.open(hosts.lab.path("remote_rts_wfs"), writable=False) as mirror:
            last = mirror.counter
        terminal.is_answering = True
        terminal.type("\033[0n")
        terminal.wait_for(lambda: _frame_of(terminal) >= last, 5.0, "the newest frame")
        terminal.type("q")
        assert terminal.wait_end() == 0


def _frame_of(terminal: Terminal) -> int:
    return int(terminal.lines[0].partition("frame ")[2].split()[0])


def test_once_and_without_a_terminal_it_is_text(hosts: Fleet, wfs: Segment) -> None:
    done = ctl(hosts.lab.socket, "view", "rts:wfs")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\033" not in done.stdout
    assert done.stdout.startswith("rts:wfs  36x36 uint16  frame 1\nmin 0  max 900  mean")
    assert done.stdout.count("@") == 1
    told = json.loads(ctl(hosts.lab.socket, "view", "rts:wfs", "--json").stdout)
    check_schema("view", told)
    assert (told["source"], told["shape"], told["max"], told["not_finite"]) == ("rts:wfs", [36, 36], 900, 0)
    wait_until(lambda: is_released(hosts), 5.0, "the mirror's end")


def test_one_frame_as_a_picture(hosts: Fleet, wfs: Segment, tmp_path: Path) -> None:
    file = tmp_path / "wfs.png"
    done = ctl(hosts.lab.socket, "view", "rts:wfs", "--png", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the picture is in {file}" in done.stdout
    assert file.read_bytes()[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert b"tEXtTitle\0rts:wfs" in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (("view", "wsf"), 69, "this host has no segment wsf; did you mean 'wfs'?"),
        (("view", "rts:none", "--wait", "1"), 69, "none"),
        (("view", "/nowhere/x.im.shm"), 66, "no such segment"),
        (("view", ":wfs"), 64, "cannot be a host name"),
        (("dump", "wfs", "x.txt"), 64, "'x.txt' ends neither in .npy nor in .fits"),
        (("dump", "wfs", "/nowhere/x.npy"), 74, "/nowhere/x.npy cannot be written: No such file"),
        (("write", "wfs", "/nowhere/x.npy"), 64, "/nowhere/x.npy cannot be read: No such file"),
        (("dump", "wfs"), 64, "dump needs a file"),
    ],
)
def test_mistakes_are_one_line(
    hosts: Fleet, wfs: Segment, arguments: tuple[str, ...], exit_code: int, told: str
) -> None:
    done = ctl(hosts.rts.socket, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (exit_code, "", 1)
    assert told in done.stderr


class Denying(Daemon):
    """A daemon for which we are nobody who may change things; it mirrors rts:wfs already."""

    async def handle(self, request: Request) -> object:
        if request.command != "status":
            raise DeniedError("only members of the group dao may do that")
        return a_status(host="lab", workers=[a_worker()], segment_folder={"path": str(self.path.parent)})


def test_who_may_only_look_sees_what_is_mirrored_already_and_is_told_what_else_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "remote_rts_wfs.im.shm"
    with Segment.create(path, (3, 4), "int16") as segment:
        segment.write(np.arange(12, dtype="i2").reshape(3, 4))
    with serving_as(Denying(tmp_path / "lab.sock")) as daemon:
        assert "min 0  max 11" in ctl(daemon.path, "view", "rts:wfs").stdout
        for arguments in (("view", "rts:dm"), ("write", "rts:wfs", "x.npy")):
            done = ctl(daemon.path, *arguments)
            assert (done.returncode, done.stdout) == (77, "")
            assert "only members of the group dao may do that" in done.stderr
    unlink_segment(path)


@contextmanager
def serving_as(daemon: Daemon) -> Iterator[Daemon]:
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()


# -- dump and write


def test_a_frame_is_dumped_as_npy_and_fits(hosts: Fleet, dm: Segment, tmp_path: Path) -> None:
    dm.keywords["GAIN"] = 0.5
    dm.write(dm.read(), frame_id=77)
    frame = dm.read()
    done = ctl(hosts.lab.socket, "dump", "rts:dm", tmp_path / "dm.npy", "--json")
    told = json.loads(done.stdout)
    check_schema("dump", told)
    assert np.array_equal(np.load(tmp_path / "dm.npy"), frame)
    assert (told["source"], told["shape"], told["dtype"], told["frame_id"]) == ("rts:dm", [60, 1], "float32", 77)
    done = ctl(hosts.lab.socket, "dump", "rts:dm", tmp_path / "dm.fits")
    assert done.stdout.startswith("rts:dm, frame ")
    raw = (tmp_path / "dm.fits").read_bytes()
    assert len(raw) == 2 * 2880
    for card in (
        b"BITPIX  =                  -32",
        b"NAXIS2  =                   60",
        b"HIERARCH DAO GAIN = ",
        b"FRAMEID =                   77",
    ):
        assert card in raw
    assert raw[2880 : 2880 + 240] == frame.astype(">f4").tobytes()
    wait_until(lambda: is_released(hosts, "rts:dm"), 5.0, "the mirror's end")


def test_a_segment_that_was_never_written_is_waited_for(hosts: Fleet, tmp_path: Path) -> None:
    segment = hosts.rts.create("empty", (4, 4))
    try:
        done = ctl(hosts.rts.socket, "dump", "empty", tmp_path / "x.npy", "--wait", "0.2")
        assert done.returncode == 69
        assert "nothing was ever written into it (waited 0.2 s)" in done.stderr
        assert not (tmp_path / "x.npy").exists()
    finally:
        hosts.remove("rts:empty", segment)


def test_a_file_is_written_into_a_segment_of_this_host_and_of_another(
    hosts: Fleet, dm: Segment, tmp_path: Path
) -> None:
    file = tmp_path / "flat.npy"
    np.save(file, np.full(60, 0.25, ">f4"))
    done = ctl(hosts.rts.socket, "write", "dm", file, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    check_schema("write", json.loads(done.stdout))
    assert (dm.read() == 0.25).all()
    np.save(file, np.full((60, 1), 0.5, "f4"))
    done = ctl(hosts.lab.socket, "write", "rts:dm", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert (dm.read() == 0.5).all()  # at once: it returned because the owner has it
    assert done.stdout.startswith(f"rts:dm has {file}, as frame ")
    wait_until(lambda: is_released(hosts, "rts:dm"), 5.0, "the mirror's end")


def test_what_does_not_fit_is_told_and_nothing_is_written(hosts: Fleet, dm: Segment, tmp_path: Path) -> None:
    file, before = tmp_path / "a.npy", dm.counter
    for array, told in (
        (np.zeros(60), f"{file} holds float64, and rts:dm takes float32; convert it: "),
        (np.zeros((6, 10), "f4"), f"{file} is 6x10, and rts:dm takes 60x1"),
    ):
        np.save(file, array)
        done = ctl(hosts.lab.socket, "write", "rts:dm", file)
        assert done.returncode == 64
        assert told in done.stderr
    assert dm.counter == before


def test_into_a_mirror_that_is_not_written_back_nothing_is_written(hosts: Fleet, dm: Segment, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((60, 1), "f4"))
    with hosts.lab.mirror("rts:dm") as mirror:
        before = mirror.counter
        done = ctl(hosts.lab.socket, "write", "remote_rts_dm", tmp_path / "a.npy")
        assert done.returncode == 76
        assert "is a mirror that is not written back: nothing was written" in done.stderr
        assert mirror.counter == before


def test_a_path_needs_no_daemon(segment_path: Path, tmp_path: Path) -> None:
    with Segment.create(segment_path, (3, 4), "int16") as segment:
        segment.write(np.arange(12, dtype="i2").reshape(3, 4))
    nobody = tmp_path / "none.sock"
    assert ctl(nobody, "dump", segment_path, tmp_path / "a.npy").returncode == 0
    assert np.load(tmp_path / "a.npy")[2, 3] == 11
    assert "min 0  max 11" in ctl(nobody, "view", segment_path).stdout
    unlink_segment(segment_path)
