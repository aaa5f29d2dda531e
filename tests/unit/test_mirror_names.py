"""What mirrors may be called, and by what a mirror's file is known."""

from __future__ import annotations

import pytest

from daosup.config import Config
from daosup.core.mirror_names import (
    MAX_NAME_BYTES,
    MirrorNames,
    check_mirror_name,
    check_pattern,
    is_mark_of,
    mark_of,
)
from daosup.core.types import Source
from daosup.errors import ConfigError, UsageError

WFS = Source("rts", "wfs")


def test_a_mirror_is_called_by_the_pattern_or_by_its_own() -> None:
    assert MirrorNames().of(WFS) == "remote_rts_wfs" == WFS.mirror_name
    assert MirrorNames("{name}").of(WFS) == "wfs"
    names = MirrorNames("{name}_of_{host}", {Source("rts", "dm"): "{host}dm"})
    assert (names.of(WFS), names.of(Source("rts", "dm"))) == ("wfs_of_rts", "rtsdm")
    # What stands for something is not itself looked through.
    assert MirrorNames("{name}_{host}").of(Source("rts", "{host}")) == "{host}_rts"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is empty"),
        ("a/b", "'/'"),
        ("../b", "'/'"),
        ("a b", "blank"),
        ("a:b", "':'"),
        ("a\nb", "control"),
        ("\ud800", "control"),
        (".a", "begins with a dot"),
        ("..", "begins with a dot"),
        ("a.b", "share its semaphores with all that is called a"),
        ("remote.a", "has a dot"),
        ("a" * (MAX_NAME_BYTES + 1), f"longer than {MAX_NAME_BYTES} bytes"),
        ("é" * (MAX_NAME_BYTES // 2 + 1), "longer than"),
    ],
)
def test_a_name_that_no_mirror_can_have(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        check_mirror_name(name)


@pytest.mark.parametrize("name", ["wfs", "remote_rts.lan_wfs", "a-b_c[1]*", "a" * MAX_NAME_BYTES, "größe"])
def test_a_name_that_a_mirror_can_have(name: str) -> None:
    assert check_mirror_name(name) == name


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{nmae}", "has {nmae}, and only {host} and {name}"),
        ("{}", "has {}, and only"),
        ("{name", "a brace without its other one"),
        ("name}", "a brace without its other one"),
        ("{{name}}", "a brace without its other one"),
        ("{name}.x", "has a dot"),
        ("/tmp/{name}", "'/'"),
    ],
)
def test_a_pattern_that_makes_no_names(pattern: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_pattern(pattern)
    assert words in str(caught.value)


def test_a_mark_says_which_file_mirrors_what_and_is_no_other_files() -> None:
    mark = mark_of("wfs", "rts:wfs")
    assert mark == "wfs mirrors rts:wfs"
    assert is_mark_of(mark, "wfs")
    assert not is_mark_of(mark, "wf")
    assert not is_mark_of(mark, "wfs_processed")
    assert not is_mark_of("", "wfs")
    assert not is_mark_of("1: mirror of another host's segment", "wfs")
    for name in ("n" * 200, "é" * 60, "a" + "é" * 60):
        long = mark_of(name, "rts:wfs")
        assert len(long.encode()) <= 80
        assert is_mark_of(long, name)


def mistakes_of(*mirrors: dict[str, str], name: str = "remote_{host}_{name}") -> list[str]:
    try:
        Config.from_mapping({"host": "lab", "mirrors": {"name": name}, "mirror": list(mirrors)}, "FILE")
    except ConfigError as error:
        return error.mistakes
    return []


def test_the_configuration_names_all_mirrors_or_one() -> None:
    tables = [{"source": "rts:wfs"}, {"source": "rts:dm", "name": "mirror_shape"}]
    names = Config.from_mapping({"mirrors": {"name": "{name}"}, "mirror": tables}).names
    assert [names.of(Source.parse(each)) for each in ("rts:wfs", "rts:dm", "lab:dm")] == ["wfs", "mirror_shape", "dm"]


def test_names_that_cannot_be_are_each_told_once() -> None:
    [no_name] = mistakes_of(name="mirror")
    assert "mirrors.name is 'mirror', not a segment's name with {name}" in no_name
    assert "without {name} all would have one file" in no_name
    [other] = mistakes_of({"source": "rts:wfs", "name": "{segment}"})
    assert "mirror[0].name is '{segment}', not a segment's name, in which {host} and {name} stand for" in other
    assert "it has {segment}, and only {host} and {name} stand for something" in other
    [suffix] = mistakes_of({"source": "rts:wfs", "name": "wfs.im.shm"})
    assert suffix.endswith("leave out .im.shm")
    [dot] = mistakes_of({"source": "rts:wfs.1"}, name="{name}")
    assert "would be mirrored as 'wfs.1', and that has a dot" in dot
    [two] = mistakes_of({"source": "rts:wfs"}, {"source": "obs:wfs"}, name="{name}")
    assert "mirror[1].source is 'obs:wfs', which would be mirrored as wfs just as mirror[0].source, 'rts:wfs'" in two
    assert mistakes_of({"source": "rts:wfs"}, {"source": "obs:wfs", "name": "obs_wfs"}, name="{name}") == []
    assert mistakes_of({"source": "rts_a:b"}, {"source": "rts:a_b", "name": "a_b"}) == []
