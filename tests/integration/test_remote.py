"""Hosts ask each other through the registry: who answers, who may change things, and what is told if it fails."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from daosup.adapters.redis_link import Command, blocking_link
from daosup.core import keys
from daosup.core.questions import Kind, Purpose, Question, decode_answer, encode_question, unseal
from daosup.core.registry_values import decode_instance
from tests.integration.commands import NOBODY, daosupctl
from tests.integration.fleet import Fleet, Host
from tests.integration.hearing import Hearing
from tests.old_daemon.peer import OldPeer
from tests.waiting import wait_until

SECRET = "0123456789abcdef" * 4


@pytest.fixture(scope="module", autouse=True)
def with_secret(module_hosts: Fleet) -> None:
    for host in (module_hosts.rts, module_hosts.lab):
        give_secret(host, SECRET)
        host.call("reload")


def give_secret(host: Host, secret: str) -> None:
    file = host.folder / "secret"
    file.write_text(secret)
    file.chmod(0o600)
    host.configure(f'[control]\nsecret_file = "{file}"\n')


# looking


def test_another_host_is_looked_at_as_this_one_is(hosts: Fleet) -> None:
    seen = daosupctl(hosts.lab, "status", "-H", "rts", "--json")
    assert (seen.returncode, seen.stderr) == (0, "")
    status = json.loads(seen.stdout)
    assert (status["host"], status["pid"]) == ("rts", hosts.rts.pid)
    assert status.keys() == hosts.rts.status().keys()
    assert daosupctl(hosts.lab, "status", "-H", "rts").stdout.startswith("rts  ")


def test_this_host_can_be_named_too(hosts: Fleet) -> None:
    assert json.loads(daosupctl(hosts.lab, "status", "-H", "lab", "--json").stdout)["pid"] == hosts.lab.pid


def test_all_hosts_have_a_block_each(hosts: Fleet) -> None:
    seen = daosupctl(hosts.lab, "status", "--all")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert [line.split()[0] for line in seen.stdout.splitlines() if ", up " in line] == ["lab", "rts"]
    told = json.loads(daosupctl(hosts.lab, "status", "--all", "--json").stdout)
    assert {host: answer["result"]["pid"] for host, answer in told.items()} == {
        "lab": hosts.lab.pid,
        "rts": hosts.rts.pid,
    }


def test_a_host_that_nobody_knows_gets_the_nearest_name(hosts: Fleet) -> None:
    refused = daosupctl(hosts.lab, "status", "-H", "rst")
    assert (refused.returncode, refused.stdout) == (69, "")
    assert refused.stderr == "daosupctl: rst: the registry knows no such host; did you mean 'rts'?\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_only_look_here_may_only_look_there(hosts: Fleet) -> None:
    hosts.folder.chmod(0o755)
    assert daosupctl(hosts.lab, "status", "-H", "rts", user=NOBODY).returncode == 0
    refused = daosupctl(hosts.lab, "reload", "-H", "rts", user=NOBODY)
    assert refused.returncode == 77
    assert "you may look, but not change anything" in refused.stderr


def test_the_doctor_of_another_host_says_what_that_ones_own_says(hosts: Fleet) -> None:
    own, other = (
        daosupctl(host, "doctor", "--json", *words)
        for host, words in [
            (hosts.rts, ()),
            (hosts.lab, ("-H", "rts")),
        ]
    )
    assert own.returncode == other.returncode
    found = json.loads(other.stdout)
    assert found["host"] == "rts"
    assert [each["check"] for each in found["findings"]] == [
        each["check"] for each in json.loads(own.stdout)["findings"]
    ]
    every = daosupctl(hosts.lab, "doctor", "--all")
    assert every.stdout.count("; -v shows all") == 2, every.stderr
    assert daosupctl(hosts.lab, "doctor", "-H", "rts", "--config", "/x").returncode == 64


# hosts that do not answer


def test_a_host_whose_daemon_was_killed_is_told_with_what_was_known(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    fleet.rts.kill_all()
    refused = wait_until(lambda: _refused(fleet.lab, "nobody listens"), 10.0, "rts to be missed")
    assert "rts: nobody listens there: its daosupd has ended or lost its registry (in the registry: " in refused
    assert "at 127.0.0.1, daosup " in refused
    assert "last seen" in refused
    seen = daosupctl(fleet.lab, "status", "--all")
    assert seen.returncode == 69
    assert "lab  " in seen.stdout
    assert "\nrts\n  nobody listens there" in seen.stdout
    told = json.loads(daosupctl(fleet.lab, "status", "--all", "--json").stdout)
    assert told["lab"]["ok"]
    assert (told["rts"]["ok"], told["rts"]["error"]["kind"]) == (False, "no_answer")
    assert told["rts"]["known"]["ip"] == "127.0.0.1"


def _refused(host: Host, why: str) -> str:
    done = daosupctl(host, "status", "-H", "rts")
    return done.stderr if why in done.stderr else ""


def test_a_host_whose_daemon_is_stopped_does_not_answer_within_3_s(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    os.kill(fleet.rts.pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        refused = daosupctl(fleet.lab, "status", "-H", "rts")
        took_s = time.monotonic() - began_s
    finally:
        os.kill(fleet.rts.pid, signal.SIGCONT)
    assert refused.returncode == 69
    assert "rts: no answer within 3 s" in refused.stderr
    assert 2.5 < took_s < 8.0


def test_one_that_takes_long_is_told_from_one_that_does_not_answer(fleet: Fleet) -> None:
    for name in ("rts", "lab"):
        give_secret(fleet.add(name), SECRET)
    fleet.start("rts", "lab", "desk")
    source = fleet.desk.create("cam")
    order = {"command": "mirror", "source": "desk:cam", "wait_s": 20}
    os.kill(fleet.desk.pid, signal.SIGSTOP)
    try:
        told = fleet.lab.call("ask", hosts=["rts"], request=order, wait_s=1)["rts"]
        # Before its owner goes on, for whoever gives up late has the mirror then.
        wait_until(lambda: fleet.rts.mirrored() == [], 5.0, "it to be given up")
    finally:
        os.kill(fleet.desk.pid, signal.SIGCONT)
    assert told["error"]["kind"] == "no_answer"
    # As that host says, or this one in its place if the answer takes too long itself.
    assert told["error"]["message"].removeprefix("it is there, but ") == "mirror is not done after 1 s"
    source.unlink()
    source.close()


def test_a_host_that_runs_the_existing_daemon_is_told(fleet: Fleet, make_old: Callable[[str], OldPeer]) -> None:
    fleet.start("lab")
    make_old("oldie")
    wait_until(lambda: "oldie" in {each["hostname"] for each in fleet.lab.call("machines")}, 10.0, "oldie to be there")
    refused = daosupctl(fleet.lab, "status", "-H", "oldie")
    assert (refused.returncode, refused.stderr) == (
        76,
        "daosupctl: oldie: it runs the existing daoServer, which cannot be asked; log in there\n",
    )


def test_another_version_says_which_it_is(hosts: Fleet) -> None:
    told = hosts.lab.call("ask", hosts=["rts"], request={"command": "status"}, wait_s=5)["rts"]
    version = told["result"]["version"]
    (answer,) = asked(hosts, "rts", "levitate", None)
    assert (answer.kind, answer.value["kind"]) == (Kind.ERROR, "unsupported")
    assert f"the daosupd of rts is {version}, which has no command 'levitate'" in answer.value["message"]


def test_without_the_registry_this_host_still_answers(fleet: Fleet) -> None:
    fleet.start("lab")
    fleet.redis.stop()
    wait_until(lambda: fleet.lab.status()["registry"]["state"] != "up", 10.0, "the registry to be missed")
    assert daosupctl(fleet.lab, "status", "-H", "lab").returncode == 1
    refused = daosupctl(fleet.lab, "status", "--all")
    assert refused.returncode == 69
    assert "the registry at" in refused.stderr


# orders


def test_a_host_has_another_one_mirror_something(hosts: Fleet) -> None:
    source = hosts.rts.create("wfs")
    done = daosupctl(hosts.rts, "mirror", "rts:wfs", "-H", "lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rts:wfs is mirrored as remote_rts_wfs" in done.stdout
    assert hosts.lab.mirrored() == ["rts:wfs"]
    before = hosts.lab.worker_pid("rts:wfs")
    assert daosupctl(hosts.rts, "restart", "rts:wfs", "-H", "lab").returncode == 0
    assert hosts.lab.worker_pid("rts:wfs") != before
    refused = daosupctl(hosts.rts, "restart", "rts:no-such", "-H", "lab")
    assert refused.returncode == 69
    assert "lab: rts:no-such is not mirrored here" in refused.stderr
    assert daosupctl(hosts.rts, "release", "rts:wfs", "-H", "lab").returncode == 0
    assert hosts.lab.mirrored() == []
    assert "another host changes something here peer=rts command=release about=rts:wfs" in hosts.lab.log
    hosts.remove("rts:wfs", source)


def test_all_hosts_are_told_something_at_once(hosts: Fleet) -> None:
    done = daosupctl(hosts.lab, "reload", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n\n")[0].startswith("lab\n")
    assert done.stdout.count("the configuration is in force; changed: nothing") == 2


def test_another_host_goes_on_as_the_installed_version(fleet: Fleet) -> None:
    for name in ("rts", "lab"):
        give_secret(fleet.add(name), SECRET)
    fleet.start("rts", "lab")
    done = daosupctl(fleet.lab, "reexec", "-H", "rts")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"daosupd (pid {fleet.rts.pid}) went from version" in done.stdout


def test_remote_control_is_off_until_there_is_a_secret(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    refused = daosupctl(fleet.lab, "reload", "-H", "rts")
    assert (refused.returncode, refused.stdout) == (77, "")
    assert "rts: remote control is off; put the same secret into a file on both hosts" in refused.stderr
    give_secret(fleet.lab, SECRET)
    fleet.lab.call("reload")
    refused = daosupctl(fleet.lab, "reload", "-H", "rts")
    assert refused.returncode == 77
    assert "rts: nobody may change things from another host: remote control is off" in refused.stderr
    assert fleet.rts.status()["remote_control"] == {"state": "off", "reason": None}
    give_secret(fleet.rts, "another secret that is long enough")
    fleet.rts.call("reload")
    refused = daosupctl(fleet.lab, "reload", "-H", "rts")
    assert refused.returncode == 77
    assert "it is not signed with the secret that this host has" in refused.stderr
    (fleet.rts.folder / "secret").write_text(SECRET)
    fleet.rts.call("reload")
    assert daosupctl(fleet.lab, "reload", "-H", "rts").returncode == 0
    (fleet.rts.folder / "secret").chmod(0o644)
    fleet.rts.call("reload")
    assert fleet.rts.status()["remote_control"]["state"] == "refused"
    assert "take a new secret" in fleet.rts.status()["remote_control"]["reason"]
    assert "the secret is refused; remote control is off" in fleet.rts.log
    assert daosupctl(fleet.lab, "reload", "-H", "rts").returncode == 77


@pytest.mark.parametrize("command", ["hold", "ask"])
def test_what_belongs_to_a_connection_cannot_be_asked_from_afar(hosts: Fleet, command: str) -> None:
    told = hosts.lab.call("ask", hosts=["rts"], request={"command": command, "holder": "me"}, wait_s=5)["rts"]
    assert (told["ok"], told["error"]["kind"]) == (False, "unsupported")


# who else writes to Redis


Run = Callable[[Sequence[Command]], list[Any]]


@pytest.fixture
def run(hosts: Fleet) -> Iterator[Run]:
    with blocking_link(hosts.redis.tcp_address) as run:
        yield run


def asked(hosts: Fleet, host: str, command: str, secret: bytes | None, **changes: Any) -> list[Any]:
    """What a host answers to a question that does not come from a daemon, acknowledgements left out."""
    with (
        Hearing(hosts.redis.tcp_address, keys.answer_channel("spy")) as hearing,
        blocking_link(hosts.redis.tcp_address) as run,
    ):
        raw = written(run, host, command, secret, **changes)
        run([("PUBLISH", keys.question_channel(host), raw)])
        return answers_of(hearing)


def written(run: Run, host: str, command: str, secret: bytes | None, ident: str = "0" * 32, **changes: Any) -> bytes:
    raw, (seconds, microseconds) = run([("GET", keys.instance_key(host)), ("TIME",)])
    fields = {
        "instance": decode_instance(raw).instance,
        "time_ms": int(seconds) * 1000 + int(microseconds) // 1000,
        "arguments": {},
        **changes,
    }
    return encode_question(Question(ident, "spy", host, wait_s=5, command=command, **fields), secret)


def answers_of(hearing: Hearing) -> list[Any]:
    while True:
        answer = decode_answer(unseal(Purpose.ANSWER, hearing.next()))
        if answer.kind is not Kind.ACK:
            return [answer]


def test_an_order_that_somebody_repeats_is_carried_out_once(hosts: Fleet, run: Run) -> None:
    with Hearing(hosts.redis.tcp_address, keys.answer_channel("spy")) as hearing:
        raw = written(run, "rts", "reload", SECRET.encode(), ident="1" * 32)
        channel = keys.question_channel("rts")
        run([("PUBLISH", channel, raw)])
        (first,) = answers_of(hearing)
        run([("PUBLISH", channel, raw)])
        (second,) = answers_of(hearing)
    assert first.kind is Kind.RESULT
    assert (second.kind, second.value["kind"]) == (Kind.ERROR, "denied")
    assert "it came before: somebody repeats it" in second.value["message"]
    assert "an order of another host is refused peer=spy command=reload reason=" in hosts.rts.log


@pytest.mark.parametrize(
    ("secret", "changes", "told"),
    [
        (None, {}, "only who signs with the secret"),
        (b"guessed" * 8, {}, "not signed with the secret that this host has"),
        (SECRET.encode(), {"time_ms": 1}, "before Redis's, more than the 30 s that are allowed"),
        (SECRET.encode(), {"time_ms": 2**50}, "after Redis's"),
    ],
)
def test_what_is_no_order_is_refused(hosts: Fleet, secret: bytes | None, changes: dict[str, Any], told: str) -> None:
    before = hosts.rts.status()["config"]["loaded_utc"]
    (answer,) = asked(hosts, "rts", "reload", secret, ident="2" * 32, **changes)
    assert (answer.kind, answer.value["kind"]) == (Kind.ERROR, "denied")
    assert told in answer.value["message"]
    assert hosts.rts.status()["config"]["loaded_utc"] == before


def test_hostile_messages_do_no_harm(hosts: Fleet, run: Run) -> None:
    wrong = [
        b"",
        b"x",
        b"\0" * 1000,
        b"1 - " + b"0" * 32 + b" {}",
        b"{" * 300_000,
        b"1 " + b"f" * 64 + b" " + b"0" * 32,
    ]
    question = written(run, "rts", "status", None)
    floods: list[Command] = [("PUBLISH", keys.question_channel("rts"), question)] * 200
    for raw in wrong:
        run([("PUBLISH", channel("rts"), raw) for channel in (keys.question_channel, keys.answer_channel)])
    run(floods)
    run([("PUBLISH", keys.question_channel("rts"), written(run, "rts", "status", None, instance="gone"))])
    assert daosupctl(hosts.lab, "status", "-H", "rts").returncode == 0
    assert hosts.rts.status()["registry"]["state"] == "up"
    assert "fault" not in hosts.rts.log
    assert "Traceback" not in hosts.rts.log


def test_an_answer_that_is_not_signed_is_none_to_an_order(fleet: Fleet) -> None:
    """Somebody who can write to Redis answers faster than the host that was asked, which is stopped."""
    for name in ("rts", "lab"):
        give_secret(fleet.add(name), SECRET)
    fleet.start("rts", "lab")
    os.kill(fleet.rts.pid, signal.SIGSTOP)
    try:
        with Hearing(fleet.redis.tcp_address, keys.question_channel("rts")) as hearing:
            told = hearing.while_asking(fleet.lab, {"command": "reload"}, forge_answers(fleet))
    finally:
        os.kill(fleet.rts.pid, signal.SIGCONT)
    assert told["rts"]["ok"] is False
    assert told["rts"]["error"]["kind"] == "no_answer"


def forge_answers(fleet: Fleet) -> Callable[[bytes], None]:
    from daosup.core.questions import Answer, encode_answer

    def forge(raw: bytes) -> None:
        ident = unseal(Purpose.QUESTION, raw).ident
        messages = [
            encode_answer(Answer(ident, host, "lab", kind, {"changed": ["all"]}), secret)
            for host, kind, secret in [
                ("rts", Kind.RESULT, None),
                ("rts", Kind.RESULT, b"guessed" * 8),
                ("desk", Kind.RESULT, None),
            ]
        ]
        with blocking_link(fleet.redis.tcp_address) as run:
            run([("PUBLISH", keys.answer_channel("lab"), message) for message in messages])

    return forge
