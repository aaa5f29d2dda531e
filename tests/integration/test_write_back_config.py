"""Who may write back, and who does, as it comes to the processes that move frames: also over crashes and reloads."""

from __future__ import annotations

import json
import signal
from typing import Any, Optional

from daosup.core.types import OldWriter, Source, WorkerKey, WorkerKind
from daosup.workers.old_writers import read_old_writers
from daosup.workers.records import living, page_name
from tests.integration.fleet import Fleet, Host
from tests.integration.interop import MakeOld, owner_records, registry, segment_of, sources_of
from tests.integration.streams import stream, undisturbed
from tests.waiting import wait_until

WITHIN_S = 20.0


def order_of(host: Host, source: str) -> dict[str, Any]:
    """What the worker of a source was told that runs now."""
    folder = host.runtime / f"{host.name}.workers"
    orders = {str(record.key.source): (record.pid, record.order) for record in living(folder)}
    pid, order = orders.get(source, (0, {}))
    return order if pid == (host.worker(source) or {}).get("pid") else {}


def row_of(host: Host, source: str) -> dict[str, Any]:
    return next((row for row in host.status()["workers"] if row["source"] == source), {})


def reload(host: Host, tables: str) -> None:
    """Give a host the configuration that it began with, and these tables."""
    original = host.folder / "original.toml"
    if not original.exists():
        original.write_text(host.config.read_text())
    host.config.write_text(f"{original.read_text()}\n{tables}")
    host.call("reload")


def test_the_owner_s_publishers_are_told_who_may_write_and_only_those_are_replaced_that_it_concerns(
    fleet: Fleet,
) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm", (3, 1)) as dm:
        assert [row_of(fleet.rts, each.source)["writing"] for each in (wfs, dm)] == ["open", "open"]
        before = row_of(fleet.rts, dm.source)
        with undisturbed(wfs):
            reload(fleet.rts, '[publish]\nsingle_writer = ["d*"]\nread_only = ["nothing"]\n')
            fleet.rts.worker_pid(dm.source, other_than=before["pid"])
            row = row_of(fleet.rts, dm.source)
            assert (row["writing"], row["port"]) == ("single_writer", before["port"])
            assert order_of(fleet.rts, dm.source)["writing"] == "single_writer"
            dm.check_going(WITHIN_S)
        reload(fleet.rts, '[publish]\nsingle_writer = ["d*"]\nread_only = ["dm"]\n')
        wait_until(lambda: order_of(fleet.rts, dm.source).get("writing") == "read_only", WITHIN_S, "the next publisher")


def test_a_mirror_of_the_configuration_is_written_back_until_that_says_otherwise(fleet: Fleet) -> None:
    fleet.start("rts", "lab")

    def is_told(source: str, is_written_back: bool) -> bool:
        return order_of(fleet.lab, source).get("is_written_back") is is_written_back

    with stream(fleet, "wfs") as wfs, stream(fleet, "dm", (3, 1)) as dm:
        with undisturbed(wfs):
            reload(fleet.lab, f'[[mirror]]\nsource = "{dm.source}"\nwrite_back = true\n')
            wait_until(lambda: is_told(dm.source, True), WITHIN_S, "the mirror to be written back")
            order = order_of(fleet.lab, dm.source)
            assert (order["host"], order["semaphore"], order["write_port"]) == ("lab", 9, 0)
            assert row_of(fleet.lab, dm.source)["write_back"]["state"] in ("asking", "open")
            assert row_of(fleet.lab, wfs.source)["write_back"] is None

        def readers_written_down() -> list[bool]:
            (values,) = registry(fleet, ("HVALS", "daosup:readers:rts"))
            return sorted(json.loads(value)["bidirectional"] for value in values)

        wait_until(lambda: readers_written_down() == [False, True], WITHIN_S, "the registry to say so")
        reload(fleet.lab, f'[[mirror]]\nsource = "{dm.source}"\n')
        wait_until(lambda: is_told(dm.source, False), WITHIN_S, "the mirror to be one way")
        assert row_of(fleet.lab, dm.source)["write_back"] is None
        reload(fleet.lab, "")


def test_one_that_is_kept_is_written_back_by_the_same_process_after_a_crash_and_by_another_after_a_stop(
    fleet: Fleet,
) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        fleet.lab.call("keep", source=wfs.source, bidirectional=True)
        wait_until(lambda: order_of(fleet.lab, wfs.source).get("is_written_back"), WITHIN_S, "a mirror that writes")
        pid = fleet.lab.worker_pid(wfs.source)
        fleet.lab.signal(signal.SIGKILL)
        fleet.lab.start()
        assert row_of(fleet.lab, wfs.source)["write_back"] is not None
        assert fleet.lab.worker_pid(wfs.source) == pid
        fleet.lab.signal(signal.SIGTERM)
        fleet.lab.start()
        wait_until(lambda: order_of(fleet.lab, wfs.source).get("is_written_back"), WITHIN_S, "it after a stop")
        wfs.reopen()
        wfs.check_going(WITHIN_S)


def test_an_old_owner_has_a_record_that_says_which_port_to_follow(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    source = "owner:interop_back"
    owner.create("interop_back", (4, 6), "float32")
    wait_until(lambda: source in sources_of(fleet.lab), WITHIN_S, "it to be announced")
    fleet.lab.mirror(source).close()
    assert [record["bidirectional"] for record in owner_records(fleet, source)] == [False]
    fleet.lab.call("keep", source=source, bidirectional=True)

    def port() -> Optional[int]:
        writing = [record for record in owner_records(fleet, source) if record["bidirectional"]]
        return writing[-1]["client_pub_port"] if writing else None

    told = wait_until(port, WITHIN_S, "the old host's record")
    # Without ports of its own the mirror takes any, and says which one.
    wait_until(lambda: row_of(fleet.lab, source)["state"] == "running", WITHIN_S, "the mirror")
    assert order_of(fleet.lab, source)["write_port"] in (0, told)
    wait_until(
        lambda: owner.status()["published"]["interop_back"]["written_by"] == "lab", WITHIN_S, "the owner to follow"
    )
    fleet.lab.release(source)


def writers_of(host: Host, name: str) -> tuple[OldWriter, ...]:
    key = WorkerKey(WorkerKind.PUBLISHER, Source(host.name, name))
    path = (host.runtime / f"{host.name}.workers" / page_name(key)).with_suffix(".writers")
    try:
        return read_old_writers(path)[1]
    except FileNotFoundError:
        return ()


def test_a_publisher_is_told_of_an_old_reader_that_writes_and_so_is_the_next_supervisor(
    fleet: Fleet, make_old: MakeOld
) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_wfs"):
        gui = make_old("gui")
        gui.mirror("rts:interop_wfs", bidirectional=True)
        (writer,) = wait_until(lambda: writers_of(fleet.rts, "interop_wfs"), WITHIN_S, "the publisher's file")
        (record,) = owner_records(fleet, "rts:interop_wfs")
        assert (record["bidirectional"], record["client_pub_port"]) == (True, writer.port)
        assert (writer.host, writer.ip, record["client_ip"]) == ("gui", "127.0.0.1", "127.0.0.1")
        fleet.rts.signal(signal.SIGKILL)
        fleet.rts.start()

        def is_known_again() -> bool:
            peers = (fleet.rts.worker("rts:interop_wfs") or {}).get("peers", [])
            return any(peer["host"] == "gui" for peer in peers)

        wait_until(is_known_again, 60.0, "the old reader to be known again")
        assert writers_of(fleet.rts, "interop_wfs") == (writer,)
