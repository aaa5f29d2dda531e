"""What may happen where frames flow without Python: signals, damaged segments, wrong sockets; and no memory is lost."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zmq

from daosup.core.layout import CREATION_TIME, WRITE
from daosup.core.pickled import pickled_ends
from daosup.errors import SegmentBusyError, SegmentLostError
from daosup.shm import _native
from daosup.shm._native import NEW, OTHER, TIMEOUT
from tests.integration.pumps import Inlet, Outlet, Rig, pumps, resident_bytes
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def set_field(rig: Rig, offset: int, raw: bytes) -> None:
    """What another program does to the file."""
    with open(rig.segment.path, "r+b") as file:
        file.seek(offset)
        file.write(raw)


# -- signals


class Alarm(BaseException):
    """As life.Told: not to be caught by accident."""


def rest_out(rig: Rig) -> None:
    rig.outlet.send(rest_s=60.0)


def flow_out(rig: Rig) -> None:
    while True:
        rig.outlet.send_for_a_turn()


def flow_in(rig: Rig) -> None:
    while True:
        rig.inlet.take_for_a_turn()


def feed(rig: Rig, use: Callable[[Rig], None], ending: threading.Event) -> None:
    """Frames for what flows, until the end."""
    number = 0
    while not ending.wait(0.0005):
        number += 1
        if use is flow_out:
            rig.write(number)
        elif use is flow_in:
            rig.near.send(rig.message(number))


@pytest.mark.parametrize("is_fed", [True, False], ids=["flowing", "idle"])
@pytest.mark.parametrize("use", [rest_out, flow_out, flow_in])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_and_what_was_done_is_counted(
    rig: Rig, aside: ThreadPoolExecutor, use: Callable[[Rig], None], is_fed: bool, number: int
) -> None:
    def on_signal(*_: Any) -> None:
        raise Alarm

    def is_inside() -> bool:
        done = rig.window.sequence if use is flow_out else rig.window.taken
        return sys._current_frames()[main].f_code in inside and (use is rest_out or not is_fed or done > 20)

    def interrupt() -> float:
        wait_until(is_inside, what="frames to flow")
        signal.pthread_kill(main, number)
        return time.monotonic()

    inside = (Outlet.send.__code__, Inlet.take.__code__)
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(number, on_signal)
    ending = threading.Event()
    feeding = threading.Thread(target=feed, args=(rig, use, ending))
    try:
        if is_fed:
            feeding.start()
        sent = aside.submit(interrupt)
        with pytest.raises(Alarm):
            use(rig)
        assert time.monotonic() - sent.result() < 1.0
    finally:
        signal.signal(number, before)
        ending.set()
        if is_fed:
            feeding.join()
    if use is flow_out:
        assert len(rig.arrived()) == rig.window.sequence
    elif use is flow_in:
        assert rig.window.taken + rig.inlet.judged == rig.segment.counter


def test_other_threads_run_meanwhile(rig: Rig, aside: ThreadPoolExecutor) -> None:
    for use in (lambda: rig.outlet.send(0.2), lambda: rig.inlet.take(1)):
        pumping = aside.submit(use)
        turns = 0
        while not pumping.done():
            turns += 1
        assert turns > 1000


# -- damage


def test_a_segment_that_is_damaged_while_frames_flow_is_lost_and_soon(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("pump_victim.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    outcomes = json.loads(ended.stdout)
    assert len(outcomes) == 15 * 2
    assert {case: what for case, (what, _) in outcomes.items() if what != "SegmentLostError"} == {}
    assert {case: seconds for case, (_, seconds) in outcomes.items() if seconds > 1.0} == {}


def test_what_was_taken_before_the_damage_is_counted(rig: Rig, aside: ThreadPoolExecutor) -> None:
    taking = aside.submit(rig.inlet.take, 1)
    while rig.window.counter() < 5:
        counter = rig.window.counter() + 1
        rig.near.send(rig.message(counter))
        wait_until(lambda: rig.window.counter() == counter, what="the frame")  # noqa: B023
    set_field(rig, CREATION_TIME, struct.pack("<d", 1.0))
    rig.near.send(rig.message(6))
    with pytest.raises(SegmentLostError, match="made anew"):
        taking.result()
    assert rig.window.taken == 5


# -- memory

LARGE = (512, 512)


def busy(rig: Rig, outlet: Outlet) -> None:
    set_field(rig, WRITE, b"\x01")
    for _ in range(200):
        with pytest.raises(SegmentBusyError, match="no whole frame"):
            outlet.send(read_timeout_s=0.0)


def set_back(rig: Rig, outlet: Outlet) -> None:
    rig.window.sent = 10
    for _ in range(200):
        with pytest.raises(SegmentLostError, match="made anew"):
            outlet.send()


def unlinked(rig: Rig, outlet: Outlet) -> None:
    os.unlink(rig.segment.path)
    for _ in range(200):
        with pytest.raises(SegmentLostError, match="made anew"):
            outlet.send()


def dropped(rig: Rig, outlet: Outlet) -> None:
    for _ in range(200):
        rig.window.sent = 0
        assert outlet.send() == TIMEOUT


def dropped_pickled(rig: Rig, outlet: Outlet) -> None:
    outlet.ends = pickled_ends(rig.segment.geometry)
    dropped(rig, outlet)


@pytest.mark.parametrize("use", [busy, set_back, unlinked, dropped, dropped_pickled])
def test_a_message_that_is_not_sent_is_no_memory_lost(tmp_path: Path, use: Callable[[Rig, Outlet], None]) -> None:
    with pumps(tmp_path, LARGE) as rig, zmq.Context() as context, context.socket(zmq.PUSH) as lonely:
        outlet = Outlet(rig.segment, lonely)
        rig.write(1)
        assert outlet.send() == TIMEOUT
        rig.window.sent = 0
        before, sequence = resident_bytes(), rig.window.sequence
        use(rig, outlet)  # 100 MB
        assert resident_bytes() - before < 10_000_000
        assert (rig.window.sequence == sequence) == (use not in (dropped, dropped_pickled))
        assert not rig.arrived()


def test_messages_that_were_taken_are_no_memory_lost(tmp_path: Path) -> None:
    with pumps(tmp_path, LARGE) as rig:

        def turns(count: int) -> None:
            for counter in range(count):
                assert rig.offer(counter, rig.message(counter)) == (NEW, None)
                assert rig.offer(counter, rig.message(counter + 1))[0] == OTHER

        turns(3)
        before = resident_bytes()
        turns(100)  # 100 MB
        assert resident_bytes() - before < 20_000_000


# -- what cannot be


def test_without_a_socket_or_a_proper_header_it_is_refused(rig: Rig) -> None:
    address = rig.inlet.address
    with pytest.raises(ValueError, match="socket is closed"):
        rig.window.send_frames(0, bytes(64), 9, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="header has 64 bytes, not 63"):
        rig.window.send_frames(address, bytes(63), 9, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="socket is closed"):
        rig.window.take_frames(0, bytes(16), bytes(8), 1, 0.0)
    with pytest.raises(ValueError, match="begin has 16 bytes, not 15"):
        rig.window.take_frames(address, bytes(15), bytes(8), 1, 0.0)
    with pytest.raises(ValueError, match="end has 8 bytes, not 9"):
        rig.window.take_frames(address, bytes(16), bytes(9), 1, 0.0)


def test_a_socket_whose_context_ends_is_an_error(rig: Rig, aside: ThreadPoolExecutor) -> None:
    rig.write(1)
    context = zmq.Context()
    near, far = context.socket(zmq.PUSH), context.socket(zmq.SUB)
    outlet, inlet = Outlet(rig.segment, near), Inlet(rig.segment, far)
    ending = aside.submit(context.term)  # and waits for the sockets

    def is_ending() -> bool:
        try:
            far.getsockopt(zmq.EVENTS)
        except zmq.ContextTerminated:
            return True
        return False

    wait_until(is_ending, what="the context to end")
    for use in (outlet.send, lambda: inlet.take(1)):
        with pytest.raises(OSError, match=str(int(zmq.Errno.ETERM))):
            use()
    near.close()
    far.close()
    ending.result(timeout=5)


#: Makes a sender with a pyzmq that says to call libzmq from another module.
OTHER_BACKEND = """
import sys, types, zmq.backend
from daosup.errors import UnavailableError
from daosup.stream.sender import Sender
sys.modules["other"] = types.SimpleNamespace(__file__=sys.argv[1])
zmq.backend.Socket = type("Socket", (), {"__module__": "other"})
try:
    Sender("127.0.0.1", [0], 128)
except UnavailableError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere/_zmq.so", "/nowhere/_zmq.so is not an extension module that is in use"),
        (str(struct.__file__), "struct.py is not an extension module that is in use"),
        (str(_native.__file__), "does not show the functions of libzmq"),
    ],
    ids=["nothing", "Python", "another module"],
)
def test_a_pyzmq_that_does_not_share_its_libzmq_is_said_to_be_unavailable(path: str, why: str) -> None:
    command = [sys.executable, "-c", OTHER_BACKEND, path]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert why in ended.stdout, ended.stderr
    assert "install pyzmq 25 or newer" in ended.stdout
