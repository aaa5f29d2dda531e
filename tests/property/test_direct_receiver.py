"""The receiver of direct connections, built with sanitizers: whatever comes, cut anywhere, it does what a model does.

The model is a few lines of Python upon the pure codec. Only whole, newer frames of the size described are written; the
first byte that should not be there ends it; and neither memory nor arithmetic goes wrong on the way.
"""

from __future__ import annotations

import shlex
import struct
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daosup.core import dnet
from daosup.core.dnet import Flag, Header, Kind
from daosup.errors import ProtocolError

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "daosup" / "shm"
PARTS = (
    "direct_receiver", "direct_checking", "direct_straight", "direct_taking", "direct_unpacking", "packing", "shuffle",
    "liblz4", "frames", "frames_waiting", "copying", "huge_pages", "quiet_thread", "semaphores", "guard", "latency",
    "statistics",
)  # fmt: skip
SOURCES = [
    ROOT / "tests" / "native" / "direct_receiver.c",
    *(NATIVE / f"{name}.c" for name in PARTS),
]
FLAGS = [
    "-std=c11",
    "-g",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
FRAME_BYTES = 24
FROM_OWNERS = (Kind.META, Kind.FRAME, Kind.HEARTBEAT, Kind.BYE, Kind.DESCRIBE, Kind.ANSWER)


@pytest.fixture(
    scope="module", params=[[], ["-DDIRECT_STRAIGHT_BYTES=0"]], ids=["as it is", "small ones straight, too"]
)
def sanitized(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    program = tmp_path_factory.mktemp("bin") / "direct_receiver"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    subprocess.run(
        [*compiler, *FLAGS, *request.param, f"-I{NATIVE}", "-o", program, *SOURCES, "-lpthread", "-lrt", "-ldl"],
        check=True,
        timeout=100,
    )
    return program


def run(
    program: Path,
    cases: list[tuple[bytes, int]],
    mode: str,
    frame_bytes: int = FRAME_BYTES,
    form: str = "plain",
    depth: int = 1,
) -> list[list[str]]:
    """What became of each case: of bytes that are sent in pieces of that size."""
    script = b"".join(struct.pack("<II", len(raw), piece) + raw for raw, piece in cases)
    words = [str(frame_bytes), mode, form, str(depth)]
    done = subprocess.run([program, *words], input=script, capture_output=True, timeout=100)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return [line.split() for line in done.stdout.decode().splitlines()]


def expected(raw: bytes) -> tuple[str, int, int, int, int, int, int, int, int]:
    """What becomes of these bytes where every frame is wanted."""
    taken = torn = skipped = gaps = others = total = 0
    following = 1
    ended = "closed"
    while len(raw) >= dnet.HEADER_BYTES:
        try:
            header = dnet.decode_header(raw)
            check(header)
        except ProtocolError:
            ended = "bad"
            break
        end = dnet.HEADER_BYTES + header.payload_bytes
        if len(raw) < end:
            break
        payload, raw = raw[dnet.HEADER_BYTES : end], raw[end:]
        if header.kind == Kind.FRAME and not header.flags & Flag.ECHO:
            if header.counter < following:
                continue
            if payload[FRAME_BYTES:] != dnet.TRAILER.pack(header.counter):
                if header.flags & Flag.HAS_FRAME_ID:
                    ended = "bad"
                    break
                torn += 1
                continue
            skipped, gaps = skipped + header.counter - following, gaps + (header.counter > following)
            taken, following = taken + 1, header.counter + 1
        elif header.kind != Kind.HEARTBEAT:
            others, total = others + 1, total + sum(payload)
    return ended, taken, torn, skipped, gaps, others, total, taken, 1


def check(header: Header) -> None:
    if header.kind not in FROM_OWNERS:
        raise ProtocolError("not from an owner")
    if header.kind == Kind.FRAME and (
        header.payload_bytes != FRAME_BYTES + dnet.TRAILER_BYTES or header.counter >= 2**63
    ):
        raise ProtocolError("not a frame of this source")


COUNTERS = st.integers(0, 12) | st.integers(0, 2**64 - 1)
FRAMES = st.builds(
    lambda counter, frame_id, value, torn, is_echo: (
        dnet.encode_frame(bytes([value]) * FRAME_BYTES, counter, counter % 2**40, frame_id=frame_id, is_echo=is_echo)[
            :-8
        ]
        + dnet.TRAILER.pack(counter ^ torn)
    ),
    COUNTERS,
    st.sampled_from([1, 1, None]),
    st.integers(0, 255),
    st.sampled_from([0, 0, 0, 0, 1]),
    st.sampled_from([False, False, False, True]),
)
MESSAGES = (
    FRAMES
    | st.just(dnet.HEARTBEAT)
    | st.just(dnet.BYE)
    | st.builds(lambda size: dnet.message(Kind.DESCRIBE, bytes(range(32)) + bytes(size)), st.integers(0, 300))
    | st.builds(lambda size: dnet.message(Kind.META, b"m" * (288 + size)), st.integers(0, 300))
    | st.builds(lambda size: dnet.message(Kind.ANSWER, b"a" * size), st.integers(1, 1024))
)
HEADERS = st.builds(
    lambda kind, flags, counter, payload_bytes: dnet.encode_header(
        Header(kind, flags, counter=counter, payload_bytes=payload_bytes)
    ),
    st.sampled_from([*map(int, Kind), 0, 6, 19, 65535]),
    st.integers(0, 2**32 - 1),
    COUNTERS,
    st.integers(0, 400) | st.integers(2**20, 2**64 - 1),
)
STREAMS = st.builds(
    lambda messages, garbage, cut: (b"".join(messages) + garbage)[: cut if cut else None],
    st.lists(MESSAGES, max_size=12),
    st.just(b"") | st.binary(max_size=200) | HEADERS,
    st.just(0) | st.integers(0, 2000),
)
CASES = st.lists(st.tuples(STREAMS, st.sampled_from([1, 7, 64, 65, 4096])), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None)
@given(CASES, st.sampled_from([1, 2, 5]))
def test_whatever_comes_it_does_what_the_model_does(
    sanitized: Path, cases: list[tuple[bytes, int]], depth: int
) -> None:
    for (raw, _), line in zip(cases, run(sanitized, cases, "every", depth=depth)):
        assert (line[0], *map(int, line[1:])) == expected(raw), raw


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("is_ours", [False, True])
@pytest.mark.parametrize(("frame_bytes", "count"), [(24, 100), (20_000, 50), (200_000, 10)])
def test_a_long_stream_of_frames_is_whole_however_it_is_cut(
    sanitized: Path, frame_bytes: int, count: int, is_ours: bool, depth: int
) -> None:
    frames = [
        dnet.encode_frame(bytes([counter % 251]) * frame_bytes, counter, counter, frame_id=counter if is_ours else None)
        for counter in range(1, count + 1)
    ]
    cases = [
        (b"".join(frames)[:-cut], piece) for cut in (1, 8, 9, frame_bytes, 7 * frame_bytes) for piece in (999, 2**20)
    ]
    for (raw, _), every, newest in zip(
        cases,
        run(sanitized, cases, "every", frame_bytes, depth=depth),
        run(sanitized, cases, "newest", frame_bytes, depth=depth),
    ):
        whole = len(raw) // len(frames[0])
        assert every == ["closed", str(whole), "0", "0", "0", "0", "0", str(whole), "1"]
        assert newest[0] == "closed"
        assert int(newest[1]) + int(newest[2]) == whole
        assert newest[8] == "1"


def test_golden_messages_are_understood(sanitized: Path) -> None:
    folder = ROOT / "tests" / "vectors" / "dnet"
    names = ["heartbeat", "meta", "describe", "answer", "bye"]
    raw = b"".join((folder / f"{name}.bin").read_bytes() for name in names)
    golden = (folder / "frame.bin").read_bytes()
    frame = golden[:8] + bytes(4) + golden[12:]  # not an echo
    ours = (folder / "frame_ours.bin").read_bytes()
    assert [line[:2] for line in run(sanitized, [(raw + frame, 4096)], "every")] == [["closed", "1"]]
    assert [line[:2] for line in run(sanitized, [(raw + ours, 4096)], "every", 6)] == [["closed", "1"]]
    assert run(sanitized, [(raw, 4096)], "every") == [list(map(str, expected(raw)))]
