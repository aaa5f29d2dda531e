"""What `daosupctl who` makes of two looks at a segment, and what it tells of them."""

from __future__ import annotations

from typing import Any

from daosup.ctl.tables import Style
from daosup.ctl.who import is_whole, merged, who_report

PLAIN = Style(False)


def a_process(pid: int = 10, **changes: object) -> dict[str, Any]:
    process = {
        "pid": pid,
        "command": "python3 recon.py",
        "user": "ao",
        "access": "read",
        "is_mapped": True,
        "is_replaced": False,
        "is_stopped": False,
        "semaphores": [3],
        "waits": [{"semaphore": 3, "asleep": 0.9}],
        "is_exact": True,
        "late": 0.05,
        "worker": None,
        "worker_source": None,
        "behind": None,
    }
    return {**process, **changes}


def a_look(*processes: dict[str, Any], **changes: object) -> dict[str, Any]:
    look = {
        "host": "rts",
        "name": "wfs",
        "source": "rts:wfs",
        "path": "/tmp/wfs.im.shm",
        "shape": [240, 240],
        "dtype": "uint16",
        "layout": "fifo",
        "depth": 1,
        "nbytes": 115200,
        "rate_hz": 500.0,
        "age_s": 0.002,
        "counter": 12345,
        "user": "ao",
        "processes": list(processes),
        "semaphores": [],
        "unseen": [],
        "is_hidden": False,
        "seen_as": "dao",
    }
    return {**look, **changes}


def text_of(look: dict[str, Any], width: int | None = 80) -> str:
    return "\n".join(who_report(look, PLAIN, width))


def test_a_report_names_who_waits_on_what_and_fits_80_columns() -> None:
    publisher = a_process(11, worker="publisher", worker_source="rts:wfs", behind=0, access="write")
    text = text_of(a_look(a_process(), publisher))
    assert text.startswith("rts:wfs\n  240x240 uint16, fifo, 115 kB, of user ao\n  /tmp/wfs.im.shm\n")
    assert "  frame 12345 written just now, 500 Hz\n" in text
    assert "python3 recon.py   read     3             90%" in text
    assert "publisher rts:wfs  write" in text
    assert max(map(len, text.splitlines())) <= 80


def test_troubles_are_told_in_words() -> None:
    for process, told in (
        (a_process(late=0.97), "recon.py (10) is too slow: a frame waited for it 97% of the time"),
        (a_process(is_replaced=True), "removed or made anew since, and sees no frame of this one: restart it"),
        (a_process(is_stopped=True, late=1.0), "stands still, by a signal or in a debugger; kill -CONT 10"),
    ):
        assert told in text_of(a_look(process), None)
    assert len(text_of(a_look(a_process())).splitlines()) == 7


def test_what_was_concluded_only_is_marked_and_what_is_not_known_is_a_dash() -> None:
    assert "  3?  " in text_of(a_look(a_process(is_exact=False)))
    line = text_of(a_look(a_process(waits=[], semaphores=[], late=None))).splitlines()[-1]
    assert line.split()[-4:] == ["-"] * 4


def test_who_cannot_be_seen_is_counted() -> None:
    unseen = [{"pid": 1, "command": "init", "user": "root"}, {"pid": 2, "command": "x", "user": "ao"}]
    told = "2 processes may not be looked into (1 of ao, 1 of root); all are seen with: sudo daosupctl who wfs"
    assert told in text_of(a_look(unseen=unseen), None)
    assert "nobody has it open, as far as is seen" in text_of(a_look(unseen=unseen))
    assert text_of(a_look(unseen=unseen[:1], seen_as="root"), None).endswith(
        "\n1 process may not be looked into (1 of root)"
    )
    assert "rts: only processes of user dao are seen" in text_of(a_look(is_hidden=True), None)


def test_sleepers_that_nobody_saw_are_told() -> None:
    semaphores = [{"number": 3, "value": 0, "sleepers": 2, "late": 0.0}]
    text = text_of(a_look(a_process(), semaphores=semaphores))
    assert "semaphore 3: 2 sleep on it, as it counts, and 1 were seen" in text
    assert "as it counts" not in text_of(a_look(a_process(), semaphores=[{**semaphores[0], "sleepers": 1}]))


def test_a_mirror_is_named_as_one_and_an_unread_segment_is_said_to_be() -> None:
    assert text_of(a_look(name="remote_rts_wfs")).startswith("remote_rts_wfs, mirror of rts:wfs\n")
    unread = dict.fromkeys(("shape", "dtype", "layout", "depth", "nbytes", "rate_hz", "age_s", "counter", "user"))
    assert "  may not be read by you\n  /tmp/wfs.im.shm\n  never written\n" in text_of(a_look(**unread))


def test_a_second_look_is_for_what_the_first_may_not_see() -> None:
    assert is_whole(a_look(a_process()))
    assert not is_whole(a_look(a_process(), is_hidden=True))
    assert not is_whole(a_look(unseen=[{"pid": 1, "command": "init", "user": "root"}]))
    assert not is_whole(a_look(a_process(), a_process(11, is_exact=False)))
    assert not is_whole(a_look(counter=None))


def test_two_looks_tell_of_everybody_that_either_saw() -> None:
    theirs = a_look(a_process(11, user="dao", worker="publisher", worker_source="rts:wfs", behind=2), is_hidden=True)
    own = a_look(a_process(10), seen_as="ao", host=None, source=None)
    own["unseen"] = [
        {"pid": 11, "command": "dao>wfs", "user": "dao"},
        {"pid": 12, "command": "daosupd", "user": "dao"},
        {"pid": 1, "command": "init", "user": "root"},
    ]
    both = merged(theirs, own)
    assert [each["pid"] for each in both["processes"]] == [10, 11]
    # What runs as the daemon's user, the daemon has looked into; of others it knows nothing.
    assert [each["pid"] for each in both["unseen"]] == [1]
    assert (both["source"], both["is_hidden"]) == ("rts:wfs", False)


def test_of_two_looks_at_one_process_the_exact_one_counts_and_it_stays_a_worker() -> None:
    theirs = a_look(a_process(worker="publisher", worker_source="rts:wfs", behind=2, is_exact=False, late=None))
    own = a_look(a_process(late=0.5), seen_as="root")
    (process,) = merged(theirs, own)["processes"]
    assert (process["late"], process["worker"], process["behind"]) == (0.5, "publisher", 2)
    (process,) = merged(own, theirs)["processes"]
    assert process["late"] == 0.5


def test_hostile_names_cannot_write_to_the_terminal() -> None:
    evil = "\033]0;owned\a\n\u202e"
    look = a_look(a_process(command=evil, user=evil, late=1.0), user=evil, path=evil, name=evil, dtype=evil)
    assert all(line.isprintable() for line in who_report(look, PLAIN, None))
