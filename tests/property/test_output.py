"""What a process wrote, cut into entries: nothing is lost, nothing is made up, and a traceback is one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daosup.adapters.output_file import MAX_TAKEN_BYTES, OutputFile
from daosup.core.output import MOST_PIECES, Piece, pieces_of

TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\nValueError: no\n'
CHAIN = "\nDuring handling of the above exception, another exception occurred:\n\n"
FATAL = "Fatal Python error: Aborted\n\nCurrent thread 0x7f (most recent call first):\n  File x\n\nExtension modules:\n"
TRACE_LINES = [*TRACE.splitlines(keepends=True), *CHAIN.splitlines(keepends=True), FATAL]
LINES = st.sampled_from(["\n", "plain\n", "  indented\n", "\r\n", "ä\udc80\n", "no end", *TRACE_LINES])


@given(st.lists(LINES | st.text(max_size=5)).map("".join), st.booleans())
def test_pieces_and_rest_are_the_text(text: str, is_final: bool) -> None:
    pieces, rest = pieces_of(text, is_final=is_final)
    assert "".join(piece.text for piece in pieces) + rest == text
    assert all(piece.text for piece in pieces)
    assert len(pieces) <= MOST_PIECES
    assert not (is_final and rest)


@pytest.mark.parametrize("story", [TRACE, TRACE + CHAIN + TRACE, FATAL])
def test_a_traceback_between_other_lines_is_one_piece(story: str) -> None:
    text = f"before\n  indented\n{story}after\n"
    before, after = Piece(False, "before\n  indented\n"), Piece(False, "after\n")
    assert pieces_of(text, is_final=False) == ([before, Piece(True, story), after], "")


def test_what_is_incomplete_waits_for_its_end() -> None:
    assert pieces_of("whole\nhal", is_final=False) == ([Piece(False, "whole\n")], "hal")
    begun = TRACE.removesuffix("ValueError: no\n")
    assert pieces_of(f"whole\n{begun}", is_final=False) == ([Piece(False, "whole\n")], begun)
    assert pieces_of(begun, is_final=True) == ([Piece(True, begun)], "")


def append(path: Path, raw: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(raw)


def taken(file: OutputFile, *, is_final: bool = False) -> str:
    return "".join(piece.text for piece in file.take(is_final=is_final).pieces)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=6000).filter(lambda raw: b"\0" not in raw), st.booleans())))
def test_all_that_is_appended_is_read_or_counted(tmp_path: Path, parts: list[tuple[bytes, bool]]) -> None:
    path = tmp_path / "x.output"
    path.unlink(missing_ok=True)
    file, written, read, cut = OutputFile(path), b"", "", 0
    for raw, is_successor in parts:
        append(path, raw)
        written += raw
        if is_successor:
            file = OutputFile(path)
        output = file.take(is_final=False)
        read += "".join(piece.text for piece in output.pieces)
        cut += output.cut_bytes
    output = file.take(is_final=True)
    read += "".join(piece.text for piece in output.pieces)
    cut += output.cut_bytes
    known = read.encode("utf-8", "surrogateescape")
    assert len(known) + cut == len(written)
    assert cut or known == written


def test_what_was_read_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "x.output"
    file = OutputFile(path)
    for _ in range(100):
        append(path, b"x" * 999 + b"\n" + b"y" * 99_000)
        file.take(is_final=True)
    assert path.stat().st_size == 10_000_000
    assert path.stat().st_blocks * 512 < 100_000


def test_a_flood_is_told_by_its_beginning_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.output"
    append(path, b"first\n" + b"middle\n" * 100_000 + b"last\n")
    output = OutputFile(path).take(is_final=False)
    text = "".join(piece.text for piece in output.pieces)
    assert text.startswith("first\n")
    assert text.endswith("\nlast\n")
    assert (len(text), output.cut_bytes) == (MAX_TAKEN_BYTES, path.stat().st_size - MAX_TAKEN_BYTES)


def test_what_is_no_file_of_ours_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "link.output").symlink_to(tmp_path / "secret")
    (tmp_path / "folder.output").mkdir()
    os.mkfifo(tmp_path / "pipe.output")
    for name in ("link", "folder", "pipe", "absent"):
        assert taken(OutputFile(tmp_path / f"{name}.output"), is_final=True) == ""
    assert (tmp_path / "secret").read_text() == "secret\n"


def test_a_file_that_is_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.output"
    append(path, b"of the first\n")
    file = OutputFile(path)
    assert taken(file) == "of the first\n"
    path.rename(tmp_path / "kept")  # so that its inode is not used again
    append(path, b"of the second\n")
    assert taken(file) == "of the second\n"
