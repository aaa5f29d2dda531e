"""What is wished of a mirror, and cannot be had with what was wished of it before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daosup.core import events as e
from daosup.core.delivery import Delivery
from daosup.core.desired import Desired
from daosup.core.host_facts import HostFacts
from daosup.core.types import Transport
from daosup.errors import UsageError
from tests.unit.hosts import HOST, IP, PORT, REMOTE, mirror
from tests.unit.test_mirror_commands import Supervisor

SLOWLY = Delivery(rate_hz=10.0)
FORMS = ["rate=10", "mode=every", "roi=0:4", "stride=2", "compress=lz4"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path)


def refused(supervisor: Supervisor, complaint: str, command: str, **arguments: Any) -> None:
    """It says why, and nothing is other than before."""
    desired, before = supervisor.lasting.desired, _state(supervisor)
    with pytest.raises(UsageError, match=complaint):
        supervisor.ask(command=command, **arguments)
    assert supervisor.lasting.desired is desired
    assert _state(supervisor) == before


def _state(supervisor: Supervisor) -> tuple[object, ...]:
    held, worker = supervisor.state.mirrors.get(REMOTE), supervisor.state.crew.workers.get(mirror())
    return repr(held), worker and (worker.pid, worker.order)


@pytest.mark.parametrize("command", ["mirror", "keep"])
@pytest.mark.parametrize("form", FORMS)
def test_by_zmq_comes_no_form_that_is_said_later(supervisor: Supervisor, form: str, command: str) -> None:
    supervisor.ask(*supervisor.started)
    supervisor.ask(command="keep", transport="zmq")
    supervisor.mirror_is_ready()
    why = (
        f"{form} comes by a direct connection alone, and {REMOTE} was told before to come by zmq: say --transport auto"
    )
    refused(supervisor, why, command, delivery=form)
    supervisor.ask(supervisor.mirror_is_ready, command=command, delivery=form, transport="auto")
    assert supervisor.lasting.desired.deliveries == {REMOTE: Delivery.parse([form])}


@pytest.mark.parametrize("command", ["mirror", "keep"])
@pytest.mark.parametrize("form", FORMS)
def test_what_comes_in_a_form_does_not_come_by_zmq_later(supervisor: Supervisor, form: str, command: str) -> None:
    supervisor.ask(*supervisor.started, delivery=form)
    why = f"zmq brings whole frames alone, and {REMOTE} was told before to come with {form}: say --frames newest"
    refused(supervisor, why, command, transport="zmq")
    supervisor.ask(supervisor.mirror_is_ready, command=command, delivery="mode=newest", transport="zmq")
    assert supervisor.lasting.desired.transports == {REMOTE: Transport.ZMQ}


@pytest.mark.parametrize("command", ["mirror", "keep"])
def test_what_comes_in_a_form_is_not_written_back_later(supervisor: Supervisor, command: str) -> None:
    supervisor.ask(*supervisor.started, delivery="rate=10")
    why = f"written back has whole frames, and {REMOTE} was told before to come with rate=10: say --frames newest"
    refused(supervisor, why, command, bidirectional=True)
    refused(supervisor, why, "mirror", bidirectional=True, keep=True, holder="program")
    says = supervisor.owner_says("open")
    supervisor.ask(supervisor.mirror_is_ready, says, command=command, bidirectional=True, delivery="mode=newest")
    assert supervisor.state.mirrors[REMOTE].is_written_back


@pytest.mark.parametrize(
    ("before", "asked", "back"),
    [
        (["mirror"], {"command": "keep", "bidirectional": False}, "mirror desk:cam"),
        (["mirror"], {"command": "mirror"}, "mirror desk:cam"),
        (["keep"], {"command": "mirror", "bidirectional": False}, "keep desk:cam"),
        (["mirror", "keep"], {"command": "mirror"}, "mirror desk:cam --keep"),
    ],
)
def test_what_is_written_back_comes_in_no_form_that_is_said_later(
    supervisor: Supervisor, before: list[str], asked: dict[str, Any], back: str
) -> None:
    supervisor.ask(*supervisor.started)
    for command in before:
        says = supervisor.owner_says("open")
        supervisor.ask(supervisor.mirror_is_ready, says, command=command, bidirectional=True)
    why = f"rate=10 is not for a mirror that is written back, and {REMOTE} was told so before: run `daosupctl {back}`"
    refused(supervisor, why, delivery="rate=10", **asked)
    # As the advice says.
    command, _, *rest = back.split()
    is_kept = {"keep": True} if rest else {}
    supervisor.ask(*supervisor.started, command=command, bidirectional=False, **is_kept)
    supervisor.ask(supervisor.mirror_is_ready, delivery="rate=10", **asked)
    assert supervisor.state.crew.workers[mirror()].order.delivery == SLOWLY


def test_who_takes_the_one_back_and_says_the_other_at_once_is_not_refused(supervisor: Supervisor) -> None:
    says = supervisor.owner_says("open")
    supervisor.ask(*supervisor.started, says, bidirectional=True, keep=True)
    supervisor.ask(supervisor.mirror_is_ready, bidirectional=False, keep=True, delivery="rate=10")
    assert supervisor.lasting.desired.written_back == frozenset()
    assert supervisor.state.crew.workers[mirror()].order.delivery == SLOWLY


def test_a_program_writes_back_whatever_was_said(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, delivery="rate=10")
    says = supervisor.owner_says("open")
    supervisor.ask(supervisor.mirror_is_ready, says, bidirectional=True, holder="program")
    assert supervisor.state.mirrors[REMOTE].writers == {"program"}
    supervisor.ask(delivery="compress=lz4")
    assert supervisor.lasting.desired.deliveries == {REMOTE: Delivery(compress="lz4")}


def test_what_the_configuration_says_of_its_form_was_said_before(supervisor: Supervisor) -> None:
    supervisor.post(
        e.ConfigChanged(HostFacts(HOST, IP, base_port=PORT, mirrors=(REMOTE,), deliveries={REMOTE: SLOWLY}))
    )
    supervisor.ask(*supervisor.started)
    why = (
        f"{REMOTE} was told before to come with rate=10: take that out of its \\[\\[mirror\\]\\] and run `daosupctl rel"
    )
    refused(supervisor, why, "mirror", bidirectional=True)


def test_what_was_let_be_said_by_an_older_version_goes_on_and_can_be_taken_back(supervisor: Supervisor) -> None:
    both = Desired().keeping(REMOTE, is_written_back=True).with_delivery(REMOTE, SLOWLY)
    old = Desired.of_json(both.with_transport(REMOTE, Transport.ZMQ).as_json())
    supervisor.lasting.desired = old
    supervisor.post(e.DesiredChanged(old))
    says = supervisor.owner_says("open")
    supervisor.ask(*supervisor.started, says)
    supervisor.ask(supervisor.mirror_is_ready, depth=4, name="cam")
    supervisor.ask(supervisor.mirror_is_ready, delivery="mode=newest")
    assert supervisor.lasting.desired.deliveries == {}
    assert supervisor.lasting.desired.written_back == {REMOTE}
