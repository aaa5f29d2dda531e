"""Keywords travel: what changes at the source is in the mirror within a second, with frames or without."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from daosup.core.mirror_names import FRESHNESS
from daosup.shm import Keyword, Segment
from daosup.shm.keywords import Value, decode
from tests.integration.fleet import Fleet
from tests.integration.obstacles import ask_without_waiting, wait_for_reason
from tests.integration.steps import stepping
from tests.integration.streams import FOLLOWED_S, Stream, filming, stream, wait_for_frames
from tests.waiting import wait_until

#: Half a second is what it takes at most on a machine that is not busy; the rest is for one that is.
TOLD_S = 1.0
FIRST = [Keyword("GAIN", 3, "of the loop"), Keyword("EXPTIME", 0.25, "s"), Keyword("MODE", "closed", ""), None, None]
#: Each a value of one of the types there are, and the ends of what they can be.
VALUES: dict[str, tuple[Value, ...]] = {
    "GAIN": (4, -(2**63), 2**63 - 1, 0.5, "text"),
    "EXPTIME": (0.5, -1e300, float("inf"), 7),
    "MODE": ("open", "sixteen_bytes_16", "", "größe", 1),
    "NEWCOMER": (1, 2.5, "new"),
}


def make(hosts: Fleet, name: str) -> Stream:
    segment = hosts.rts.create(name, keywords=FIRST)
    segment.write(np.zeros((16, 16), "uint16"))
    return Stream(hosts, name, segment, hosts.lab.mirror(f"rts:{name}"))


def end(made: Stream) -> None:
    made.mirror.close()
    made.hosts.remove(made.source, made.segment)


def wait_for_keyword(mirror: Segment, name: str, value: object, timeout_s: float = TOLD_S) -> None:
    wait_until(lambda: mirror.keywords.get(name) == value, timeout_s, f"{name} = {value!r}")


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("is_written", [True, False], ids=["flowing", "resting"])
def test_a_keyword_of_any_type_that_changes_or_is_new_is_told_soon(hosts: Fleet, name: str, is_written: bool) -> None:
    made = make(hosts, f"kw_{name.lower()}_{is_written:d}")
    with filming(made.segment, 0.002 if is_written else 3600.0):
        wait_for_frames(made.mirror, 1 if is_written else 0)
        for value in VALUES[name]:
            made.segment.keywords.put(Keyword(name, value, f"is {value}"[:80]))
            wait_for_keyword(made.mirror, name, value)
        comments = [slot.comment for slot in made.mirror.keywords.slots() if slot is not None and slot.name == name]
        assert comments == [f"is {value}"]
        del made.segment.keywords[name]
        wait_for_keyword(made.mirror, name, None)
    made.mirror.check()
    assert [slot and slot.name for slot in made.mirror.keywords.slots()][-len(FRESHNESS) :] == list(FRESHNESS)
    end(made)


def test_keywords_that_change_all_the_time_cost_no_frame(hosts: Fleet) -> None:
    made = make(hosts, "kw_busy")
    with stepping(made) as steps:
        for number in range(40):
            made.segment.keywords["GAIN"] = number
            wait_for_keyword(made.mirror, "GAIN", number, FOLLOWED_S)
    assert steps.frames > 40
    worker = hosts.lab.worker(made.source)
    assert worker is not None
    assert (worker["gaps"], worker["skipped"], worker["rejected"]) == (0, 0, 0)
    end(made)


def test_keywords_that_change_raise_no_counter_and_wake_nobody(hosts: Fleet) -> None:
    made = make(hosts, "kw_quiet")
    counter = made.mirror.counter
    made.mirror.read()
    made.segment.keywords["GAIN"] = 9
    wait_for_keyword(made.mirror, "GAIN", 9)
    with pytest.raises(TimeoutError):
        made.mirror.wait(counter, timeout_s=0.3)
    assert made.mirror.counter == counter
    end(made)


def test_what_is_written_into_a_mirrors_keywords_is_its_sources_again(hosts: Fleet) -> None:
    made = make(hosts, "kw_own")
    with Segment.open(made.mirror.path, writable=True) as local:
        local.keywords["GAIN"] = 1000
        local.keywords["NET_LINK"] = 5
        local.keywords["NET_REPLICA"] = 0
    wait_for_keyword(made.mirror, "NET_LINK", 1, 2.0)
    wait_for_keyword(made.mirror, "NET_REPLICA", 1, 2.0)
    wait_for_keyword(made.mirror, "GAIN", 3, 2.0)
    end(made)


def test_a_source_with_more_keywords_than_before_has_a_mirror_with_as_many(hosts: Fleet) -> None:
    made = make(hosts, "kw_more")
    assert made.mirror.geometry.keyword_count == len(FIRST) + len(FRESHNESS)
    made.segment.close()
    more = [Keyword(f"KEY{number}", number, "") for number in range(40)]
    made.segment = Segment.create(hosts.rts.path("kw_more"), (16, 16), "uint16", keywords=more)
    made.segment.write(np.ones((16, 16), "uint16"))
    wait_until(
        lambda: made.reopen().geometry.keyword_count == 40 + len(FRESHNESS), FOLLOWED_S, "a mirror with more keywords"
    )
    wait_for_keyword(made.mirror, "KEY39", 39)
    wait_for_keyword(made.mirror, "NET_LINK", 1)
    end(made)


def test_a_source_with_more_keywords_than_a_mirror_has_room_for_is_told(hosts: Fleet) -> None:
    segment = hosts.rts.create("kw_most", (4, 4), keywords=65528)
    segment.write(np.ones((4, 4), "uint16"))
    with ask_without_waiting(hosts.lab, "rts:kw_most") as asking:
        wait_for_reason(hosts.lab, "rts:kw_most", "its source has 65528 keywords, a mirror has 8 more, and 65535")
        segment.close()
        segment = Segment.create(hosts.rts.path("kw_most"), (4, 4), "uint16", keywords=65527)
        segment.write(np.ones((4, 4), "uint16"))
        assert asking.wait(20.0) == 0
    with Segment.open(hosts.lab.path("remote_rts_kw_most"), writable=False) as mirror:
        assert mirror.geometry.keyword_count == 65535
        assert mirror.keywords["NET_LINK"] == 1
    hosts.remove("rts:kw_most", segment)


def test_a_mirrors_freshness_is_its_own_whatever_keywords_its_source_has(hosts: Fleet) -> None:
    impostors = [Keyword(name, 12345, "not the mirror's") for name in FRESHNESS]
    keywords = [Keyword("FIRST", 1, ""), *impostors, Keyword("LAST", 2, "")]
    segment = hosts.rts.create("kw_net", keywords=keywords)
    segment.write(np.ones((16, 16), "uint16"))
    made = Stream(hosts, "kw_net", segment, hosts.lab.mirror("rts:kw_net"))
    for _ in range(2):  # also after they changed there
        wait_for_keyword(made.mirror, "NET_LINK", 1)
        assert made.mirror.keywords["NET_REPLICA"] == 1
        assert made.mirror.keywords["NET_SRC_CNT"] == 1
        slots = made.mirror.keywords.slots()
        assert [slot and slot.name for slot in slots] == ["FIRST", *[None] * len(FRESHNESS), "LAST", *FRESHNESS]
        for name in FRESHNESS:
            made.segment.keywords[name] = "hello"
        made.segment.keywords["LAST"] = 3
        wait_for_keyword(made.mirror, "LAST", 3)
    assert "kw_net" in [each["name"] for each in hosts.rts.status()["segments"]]
    end(made)


def test_keywords_of_any_bytes_arrive_as_they_are_and_do_no_harm(hosts: Fleet) -> None:
    with stream(hosts, "kw_other") as other:
        made = make(hosts, "kw_bytes")
        raw = b"".join(
            (
                struct.pack("<16sc7x16s80s", b"\xff" * 16, b"S", b"\xfe" * 16, b"\xfd" * 80),
                struct.pack("<16sc7x16s80s", b"", b"L", b"", b""),
                struct.pack("<16sc7x16s80s", b"ODD", b"?", b"\x00" * 16, b"\x01"),
                struct.pack("<16sc7x16s80s", b"NET_LINK\0garbage", b"D", b"\x01" * 16, b""),
                bytes(range(120)),
            )
        )
        made.segment.keywords.replace_raw(0, raw)
        kept = raw[:360]
        wait_until(lambda: made.mirror.keywords.raw()[:360] == kept, TOLD_S, "the bytes as they are")
        assert made.mirror.keywords["NET_LINK"] == 1
        assert decode(made.mirror.keywords.raw()[360:480]) is None
        assert made.mirror.keywords.raw()[480:600] == bytes(range(120))
        made.check_going()
        other.check_going()
        end(made)
