"""What daosupctl doctor makes of facts: each cause alone is named, and nothing else is blamed."""

from __future__ import annotations

from typing import Any

import pytest

from daosup.adapters.machine_look import UNLIMITED
from daosup.adapters.reachability import ANSWERS, REFUSED, SILENT, STRANGER
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.semaphore_look import Waiter
from daosup.ctl.doctor.facts import Facts, Presence
from daosup.ctl.doctor.findings import Level, few
from daosup.ctl.doctor.judging import judge
from tests import doctor_samples as some
from tests.status_samples import a_status

OURS = Waiter(some.PUBLISHER_PID, "python3", 1)
THEIRS = Waiter(99, "rtcd", 1)


def bad(facts: Facts) -> list[tuple[str, str, str]]:
    """Check, level and text of what is not well."""
    found = [each for each in judge(facts) if each.level in (Level.WARNING, Level.PROBLEM)]
    assert all(each.advice for each in found), "what is wrong comes with advice"
    return [(each.check, each.level.value, f"{each.message}: {each.advice}") for each in found]


def status(*rows: dict[str, Any], **changes: object) -> dict[str, Any]:
    return a_status(workers=list(rows) or [some.publisher(), some.mirror()], **changes)


def test_of_a_host_that_is_well_everything_is_fine() -> None:
    findings = judge(some.facts())
    assert {each.level for each in findings} == {Level.OK}
    checked = {each.check for each in findings}
    assert checked == {
        *("daemon", "configuration", "workers", "registry", "clock", "fleet", "address", "ports", "readers"),
        *("mirrors", "direct", "segments", "layouts", "semaphores", "folders", "limits"),
    }


@pytest.mark.parametrize(
    ("changes", "check", "level", "told"),
    [
        # the daemon
        ({"presence": Presence.SILENT, "told": "accepts nothing"}, "daemon", "problem", "systemctl kill"),
        ({"told": "0.2.0"}, "daemon", "warning", "`daosupctl reexec`"),
        (
            {"config_mistakes": ("/etc/daosup/master.toml:3: hots is unknown",)},
            *("configuration", "problem", "hots is unknown (refused at the next reload"),
        ),
        (
            {"status": status(config={"mistakes": ["role is 'x'"]})},
            *("configuration", "warning", "the last reload was refused: role is 'x'"),
        ),
        (
            {"status": status(config={"needs_restart": ["host", "redis.url"]})},
            *("configuration", "warning", "not in force before a restart: host, redis.url"),
        ),
        ({"status": status(state_error="no.json: bad")}, "configuration", "problem", "mend that file"),
        # its workers
        (
            {"status": status(some.mirror(state="failed", restarts=9, reason="exit code 1", next_try_s=40.0))},
            *("workers", "problem", "mirror lab:dm failed after 9 restarts: exit code 1, next try in 40 s"),
        ),
        (
            {"status": status(some.publisher(state="restarting", restarts=1), some.mirror())},
            *("workers", "problem", "`daosupctl restart wfs`"),
        ),
        ({"status": status(some.mirror(warning="nice -5 cannot be set"))}, "workers", "warning", "nice -5"),
        ({"status": status(some.mirror(restarts=3))}, "workers", "warning", "mirror lab:dm (3x)"),
        ({"status": status(some.mirror(rejected=5))}, "workers", "warning", "none of ours"),
        # the registry
        (
            {
                "status": status(registry={"state": "down", "since_s": 90.0, "error": "refused", "effect": "go on"}),
                "registry": None,
                "registry_error": "refused",
            },
            *("registry", "problem", "away for 1 min 30 s: refused; go on: mend Redis"),
        ),
        ({"registry": None, "registry_error": "it cannot be reached"}, "registry", "problem", "cannot be reached"),
        ({"registry": some.registry(refused="OOM")}, "registry", "problem", "takes no writes: OOM"),
        ({"registry": some.registry(round_trip_s=0.3)}, "registry", "warning", "answers in 300 ms"),
        ({"registry": some.registry(skipped=4)}, "registry", "warning", "4 keys or values"),
        ({"sentinels": {"a:1": True, "b:1": False}}, "registry", "warning", "1 of 2 sentinels take no connection: b:1"),
        (
            {"registry": some.registry(memory={"maxmemory": "100", "used_memory": "95"})},
            *("registry", "warning", "Redis uses 95 B of the 100 B"),
        ),
        (
            {
                "registry": some.registry(
                    memory={"maxmemory": "9", "used_memory": "1", "maxmemory_policy": "allkeys-lru"}
                )
            },
            *("registry", "warning", "maxmemory-policy allkeys-lru"),
        ),
        # clocks
        (
            {"status": status(clock={"offset_s": -3600.0, "is_off": True})},
            *("clock", "problem", "this host's clock is 1 h behind"),
        ),
        (
            {"registry": some.registry(instances={"lab": some.an_instance(90_000)})},
            *("clock", "warning", "the clock of lab is 1 min 30 s ahead"),
        ),
        # the fleet
        (
            {"registry": some.registry(machines=(some.a_machine(),))},
            *("fleet", "problem", "the registry does not know rts"),
        ),
        (
            {"registry": some.registry(machines=(some.a_machine("rts", "10.9.9.9"), some.a_machine()))},
            *("fleet", "problem", "the registry says rts is at 10.9.9.9, but its daemon here tells 10.0.0.1"),
        ),
        (
            {
                "registry": some.registry(
                    machines=(some.a_machine("rts", "10.0.0.1"), some.a_machine(), some.a_machine("copy"))
                )
            },
            *("fleet", "warning", "2 hosts tell one address, 10.0.0.2: copy, lab"),
        ),
        ({"status": status(lease={"state": "lapsed"})}, "fleet", "warning", "there is no master"),
        # the address
        ({"is_own_address": False}, "address", "problem", "10.0.0.1, which others are told, is no address of this"),
        ({"address": None}, "address", "problem", "has no IPv4 address"),
        ({"settings": some.settings(bind="127.0.0.1")}, "address", "problem", "listen on 127.0.0.1 alone"),
        # ports and readers
        ({"endpoints": {"tcp://10.0.0.1:5560": REFUSED}}, "ports", "problem", "1 port (5560)"),
        ({"endpoints": {"tcp://10.0.0.1:5560": STRANGER}}, "ports", "problem", "somebody else's"),
        (
            {
                "status": status(some.publisher(direct_port=7559)),
                "endpoints": {"tcp://10.0.0.1:5560": ANSWERS, "direct://10.0.0.1:7559": SILENT},
            },
            "direct",
            "warning",
            "where frames can be had directly: 1 port (7559)",
        ),
        (
            {
                "status": status(some.mirror(transport="zmq", transport_reason="it refuses")),
                "endpoints": {"direct://10.0.0.2:7559": SILENT},
            },
            "direct",
            "warning",
            "lab:dm (port 7559): by ZeroMQ, for the port where lab offers frames directly does not answer",
        ),
        ({"settings": some.settings(port_count=0)}, "ports", "warning", "network.port_count allows 0 publishers"),
        (
            {"status": status(some.publisher(connected=0), some.mirror())},
            *("readers", "problem", "lab, obs: written down as reader of wfs (port 5560), but not connected"),
        ),
        (
            {"status": status(some.publisher(connected=1), some.mirror())},
            *("readers", "problem", "1 of lab, obs: written down as reader of wfs"),
        ),
        # mirrors
        (
            {"status": status(some.mirror(link="down")), "endpoints": {"tcp://10.0.0.2:5561": REFUSED}},
            *("mirrors", "problem", "lab:dm: no link; tcp://10.0.0.2:5561 refuses the connection"),
        ),
        (
            {
                "status": status(some.mirror(link="down", state="starting")),
                "endpoints": {"tcp://10.0.0.2:5561": REFUSED},
            },
            *("mirrors", "problem", "lab:dm: no link; tcp://10.0.0.2:5561 refuses the connection"),
        ),
        (
            {"status": status(some.mirror(link="down")), "endpoints": {"tcp://10.0.0.2:5561": SILENT}},
            *("mirrors", "problem", "open to this host in its firewall"),
        ),
        (
            {"status": status(some.mirror(state="waiting", link="waiting", reason="waiting for lab to publish dm"))},
            *("mirrors", "problem", "lab:dm: waiting for lab to publish dm: on lab: `daosupctl doctor`"),
        ),
        (
            {
                "status": status(some.mirror(link="down", source="gone:dm", peer="gone")),
            },
            *("mirrors", "problem", "gone:dm: its owner is gone, host gone is not in the registry"),
        ),
        (
            {"status": status(some.mirror(source="gone:dm", peer="gone"))},
            *("mirrors", "warning", "gone, whose segments are mirrored here, is not in the registry"),
        ),
        # segments
        ({"refused": {"x": "x: not a DAO segment: 3 bytes"}}, "segments", "problem", "remove it if nobody writes it"),
        (
            {"refused": {"x": "x: cannot be opened: Permission denied"}},
            *("segments", "problem", "or let its user (uid 1000) at it"),
        ),
        ({"segments": {"a": "v0", "b": "fifo"}}, "layouts", "warning", "a: of the old layout v0"),
        ({"segments": {"a": "semreg"}}, "layouts", "warning", "a: of the old layout semreg"),
        # semaphores
        (
            {"semaphores": (some.semaphore(9, OURS, THEIRS),)},
            *("semaphores", "problem", "2 processes, who steal each other's frames: publisher (pid 77), rtcd (pid 99)"),
        ),
        (
            {"semaphores": (some.semaphore(2, Waiter(99, "rtcd", 2)),)},
            *("semaphores", "problem", "/wfs_sem02 is waited on by 2 threads of one process"),
        ),
        (
            {"semaphores": (some.semaphore(9, THEIRS, sleepers=1),)},
            *("semaphores", "warning", "so will the publisher when wfs is read"),
        ),
        (
            {"semaphores": (some.semaphore(3, Waiter(1, "a", 0), Waiter(2, "b", 0), is_exact=False),)},
            *("semaphores", "warning", "a (pid 1), b (pid 2) have it open: `sudo daosupctl doctor`"),
        ),
        ({"locked_semaphores": ("wfs",)}, "semaphores", "warning", "and polls instead"),
        # folders
        *(
            ({"folders": {what: some.folder("/x", **changes)}}, "folders", level, told)
            for what, changes, level, told in (
                ("segments", {"error": "No such file or directory"}, "problem", "correct segment_folder"),
                ("segments", {"is_others": True}, "problem", "PrivateTmp="),
                ("segments", {"may_write": False, "mode": 0o755}, "problem", "uid 1000) may not make files there"),
                ("segments", {"mode": 0o777}, "warning", "chmod +t /x"),
                ("segments", {"file_system": "ext4"}, "warning", "is on ext4, not in memory"),
                ("segments", {"free_bytes": 100_000}, "problem", "as good as full: 100 kB of 10 GB free"),
                ("segments", {"free_bytes": 400_000_000}, "warning", "filling up"),
                ("semaphores", {"free_inodes": 0}, "problem", "can hold no more files"),
                ("state", {"free_bytes": 0, "file_system": "ext4"}, "problem", "as good as full"),
                ("runtime", {"error": "No such file or directory"}, "problem", "correct runtime_folder"),
            )
        ),
        # DAO's network service
        (
            {"status": status(dnet=some.dnet(error="No such device"))},
            *("dnet", "problem", "239.255.77.10, UDP port 7711, cannot be joined, so no node is heard: No such device"),
        ),
        (
            {"status": status(dnet=some.dnet(nodes=[]))},
            *("dnet", "warning", "no node of domain dao is heard at 239.255.77.10, UDP port 7711"),
        ),
        (
            {
                "status": status(
                    dnet=some.dnet(nodes=[some.node(), some.node(node="cam", error="no answer within 2 s")])
                )
            },
            *("dnet", "warning", "cam (10.0.0.8:7710): heard, but what there is cannot be asked: no answer within 2 s"),
        ),
        (
            {"status": status(some.gate(link="down", reason="no beacon can be sent"), dnet=some.dnet())},
            *("dnet", "problem", "no node finds this host: no beacon can be sent"),
        ),
        (
            {
                "status": status(some.gate(), dnet=some.dnet()),
                "endpoints": {"direct://10.0.0.1:7710": SILENT},
            },
            *("dnet", "problem", "10.0.0.1:7710, where nodes look for this host's segments, does not answer"),
        ),
        (
            {
                "status": status(some.gate(), dnet=some.dnet(interface="10.1.0.1")),
                "endpoints": {"direct://10.1.0.1:7710": REFUSED},
            },
            *("dnet", "problem", "10.1.0.1:7710, where nodes look"),
        ),
        (
            {"status": status(some.gate(state="failed", restarts=9, reason="in use"), dnet=some.dnet())},
            *(
                "workers",
                "problem",
                "in use: its last words: `daosupctl status`; when the cause is mended: `daosupctl restart gate`",
            ),
        ),
        (
            {"status": status(some.of_a_node(age_s=-90.0), dnet=some.dnet())},
            *("dnet", "warning", "the clock of cam is 1 min 30 s ahead of this host's"),
        ),
        (
            {"status": status(some.of_a_node(age_s=3600.0), dnet=some.dnet())},
            *("dnet", "warning", "the clock of cam is 1 h behind this host's"),
        ),
        (
            {
                "status": status(some.of_a_node(link="down", rate_hz=0.0), dnet=some.dnet()),
                "endpoints": {"direct://10.0.0.8:7710": REFUSED},
            },
            *("mirrors", "problem", "is it dead? see whether DAO's network service runs on cam"),
        ),
        # limits
        ({"process": some.process(most_files=70)}, "limits", "warning", "set LimitNOFILE"),
        ({"process": some.process(most_files=32)}, "limits", "problem", "set LimitNOFILE"),
        ({"settings": some.settings(fifo_priority=50)}, "limits", "problem", "set LimitRTPRIO=50 and Restrict"),
        ({"settings": some.settings(lock_memory=True)}, "limits", "problem", "set LimitMEMLOCK=infinity"),
    ],
)
def test_one_cause_is_one_finding(changes: dict[str, Any], check: str, level: str, told: str) -> None:
    ((found_check, found_level, text),) = bad(some.facts(**changes))
    assert (found_check, found_level) == (check, level)
    assert told in text


@pytest.mark.parametrize(
    "changes",
    [
        # What is passing, or meant to be so, or cannot be told, is not blamed.
        {"status": status(some.publisher(connected=0, uptime_s=1.0), some.mirror(link="down", uptime_s=1.0))},
        {"status": status(some.publisher(connected=0)), "later": status(some.publisher())},
        {"status": status(some.mirror(link="down")), "later": status(some.mirror())},
        {"status": status(some.mirror(state="waiting", link="waiting")), "later": status(some.mirror())},
        {"status": status(some.mirror(state="stopped", link="down", reason="stopped"))},
        {"registry": None, "registry_unseen": "its password is not for you"},
        {"config_unread": "Permission denied"},
        {"process": None},
        {"folders": {"state": some.folder("/x", error="No such file or directory")}},
        {"folders": {"segments": some.folder(error="Permission denied")}},
        {"semaphores": (some.semaphore(9, OURS, sleepers=2),)},
        {"semaphores": (some.semaphore(3, sleepers=2),)},
        {"semaphores": (some.semaphore(3, Waiter(1, "a", 0), is_exact=False),)},
        {"settings": some.settings(fifo_priority=50), "process": some.process(capabilities=1 << 23)},
        {"settings": some.settings(fifo_priority=50), "process": some.process(most_rtprio=UNLIMITED)},
        {"settings": some.settings(lock_memory=True), "process": some.process(most_memlock_bytes=UNLIMITED)},
        {"process": some.process(most_files=UNLIMITED, open_files=None)},
        {"settings": some.settings(bind="10.0.0.1")},
        {"settings": some.settings(base_pub_port=0, port_count=1), "endpoints": {}},
        # A node is no host of the registry; one that was just started has heard nobody yet.
        {"status": status(some.gate(), some.of_a_node(), dnet=some.dnet())},
        {"status": status(dnet=some.dnet(nodes=[]), uptime_s=3.0)},
        {"status": status(some.gate(state="stopped"), dnet=some.dnet())},
        {"status": status(some.of_a_node(age_s=5.0, rate_hz=0.5), dnet=some.dnet())},
        {"status": status(some.of_a_node(age_s=500.0, rate_hz=0.0), dnet=some.dnet())},
    ],
)
def test_what_is_no_fault_is_not_blamed(changes: dict[str, Any]) -> None:
    assert bad(some.facts(**changes)) == []


def test_of_nodes_that_are_heard_it_says_how_many_and_what_they_have() -> None:
    nodes = [some.node(), some.node(node="cam", segments=3, unreadable=2)]
    changes = {"status": status(some.gate(state="stopped"), dnet=some.dnet(nodes=nodes))}
    (finding,) = [each for each in judge(some.facts(**changes)) if each.check == "dnet"]
    assert finding.level is Level.OK
    assert finding.message == (
        "2 nodes heard, with 5 segments, 2 more cannot be mirrored; they do not find this host, for its gate is stopped"
    )


def test_loopback_is_a_fault_only_if_others_are_elsewhere() -> None:
    own = {"settings": some.settings(ip="127.0.0.1"), "address": "127.0.0.1", "endpoints": {}}
    here = (some.a_machine("rts", "127.0.0.1"),)
    assert bad(some.facts(**own, registry=some.registry(machines=here), status=status(some.publisher()))) == []
    ((check, level, text),) = bad(
        some.facts(**own, registry=some.registry(machines=(*here, some.a_machine())), status=status(some.publisher()))
    )
    assert (check, level) == ("address", "problem")
    assert "where each finds itself" in text


def test_without_a_daemon_what_can_be_known_is_judged() -> None:
    ((check, level, text),) = bad(some.no_daemon())
    assert (check, level) == ("daemon", "problem")
    assert "journalctl -u daoserver@master" in text
    checked = {each.check for each in judge(some.no_daemon())}
    assert checked >= {"configuration", "registry", "clock", "address", "segments", "layouts", "semaphores", "folders"}
    found = bad(some.no_daemon(config_mistakes=("x is wrong",), registry=None, registry_error="it is away"))
    assert [check for check, _, _ in found] == ["daemon", "configuration", "registry"]


def test_a_daemon_that_may_not_be_asked_is_said_so_and_no_more() -> None:
    ((check, level, _),) = bad(some.no_daemon(presence=Presence.DENIED, told="you may not use it; join its group rtc"))
    assert (check, level) == ("daemon", "warning")


def test_what_many_have_in_common_is_one_line() -> None:
    rows = [some.mirror(source=f"gone:s{n}", peer="gone", state="waiting", link="waiting") for n in range(700)]
    ((_, _, text),) = bad(some.facts(status=status(*rows)))
    assert text.startswith("gone:s0, gone:s1, gone:s2 and 697 more: its owner is gone")


def test_a_sentinel_setup_is_named() -> None:
    address = RedisAddress(sentinels=(("a", 26379),), sentinel_service="dao")
    told = [
        each.message for each in judge(some.facts(settings=some.settings(redis=address))) if each.check == "registry"
    ]
    assert told == ["valkey 8.1 at sentinel://a:26379/dao, master, answers in 400 µs"]


def test_a_few_names_are_named_and_many_counted() -> None:
    assert few("abc") == "a, b, c"
    assert few("abcd") == "a, b, c, d"
    assert few("abcde") == "a, b, c and 2 more"
