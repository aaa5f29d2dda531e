"""Which way a mirror's frames come, and when the other one is tried."""

from __future__ import annotations

import pytest

from daosup.core.transport import GOOD_S, RETRY_S, SOONEST_RETRY_S, UNREACHABLE, Choosing, Via, via_of
from daosup.core.types import Transport


@pytest.mark.parametrize(
    ("wanted", "port", "why_not", "may_wait"),
    [
        (Transport.AUTO, 7559, Via.UNKNOWN, True),
        (Transport.AUTO, 0, Via.ZMQ_NOT_OFFERED, True),
        (Transport.ZMQ, 7559, Via.ZMQ_WANTED, True),
        (Transport.ZMQ, 0, Via.ZMQ_WANTED, True),
        (Transport.DIRECT, 7559, Via.UNKNOWN, False),
        (Transport.DIRECT, 0, Via.ZMQ_NOT_OFFERED, False),
    ],
)
def test_the_order_says_whether_it_may_be_direct(wanted: Transport, port: int, why_not: Via, may_wait: bool) -> None:
    choosing = Choosing(wanted, port)
    assert (choosing.why_not, choosing.may_wait) == (why_not, may_wait)
    assert choosing.is_settled is (why_not is not Via.UNKNOWN)
    assert choosing.is_due(0.0) is (why_not is Via.UNKNOWN)


def test_what_cannot_be_had_is_tried_again_after_a_time() -> None:
    choosing = Choosing(Transport.AUTO, 7559)
    choosing.failed(Via.ZMQ_SILENT, 100.0)
    assert choosing.why_not is Via.ZMQ_SILENT
    assert not choosing.is_due(100.0 + RETRY_S - 0.01)
    assert choosing.is_due(100.0 + RETRY_S)


def test_it_is_tried_sooner_when_the_owner_is_back_but_not_each_time_a_link_flaps() -> None:
    choosing = Choosing(Transport.AUTO, 7559)
    choosing.failed(Via.ZMQ_REFUSED, 100.0)
    choosing.owner_seen(100.5)
    assert not choosing.is_due(100.5)
    assert choosing.is_due(100.0 + SOONEST_RETRY_S)
    choosing.failed(Via.ZMQ_REFUSED, 110.0)
    choosing.owner_seen(120.0)
    assert choosing.is_due(120.0)


def test_a_page_may_say_anything() -> None:
    assert [via_of(number) for number in (1, 2, -1, 99)] == [Via.DIRECT, Via.ZMQ_WANTED, Via.UNKNOWN, Via.UNKNOWN]


def test_each_way_has_its_words() -> None:
    assert {via.transport for via in Via} == {"", "direct", "zmq"}
    assert [via for via in Via if not via.reason] == [Via.UNKNOWN, Via.DIRECT, Via.ZMQ_WANTED]
    assert all("open to this host?" in via.reason for via in UNREACHABLE)


def test_connections_that_do_not_last_are_made_later_and_later() -> None:
    choosing = Choosing(Transport.DIRECT, 5000)
    assert [choosing.lost(0.01) for _ in range(7)] == [0.0, 0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert choosing.is_broken


def test_one_that_lasted_makes_up_for_all_before() -> None:
    choosing = Choosing(Transport.AUTO, 5000)
    for _ in range(3):
        choosing.lost(GOOD_S / 2)
    assert choosing.is_broken
    assert choosing.lost(GOOD_S) == 0.0
    assert not choosing.is_broken
    assert choosing.lost(0.0) == 0.0


def test_two_that_did_not_last_are_no_reason_to_go_another_way() -> None:
    choosing = Choosing(Transport.AUTO, 5000)
    assert [choosing.lost(0.0), choosing.lost(0.0)] == [0.0, 0.25]
    assert not choosing.is_broken


@pytest.mark.parametrize(
    ("wanted", "port", "why_not", "reason"),
    [
        (Transport.AUTO, 7559, Via.UNKNOWN, ""),
        (Transport.AUTO, 0, Via.ZMQ_NOT_OFFERED, "its owner does not offer frames directly"),
        (Transport.ZMQ, 7559, Via.ZMQ_WANTED, "transport is zmq"),
    ],
)
def test_a_form_that_zeromq_has_not_never_comes_so(wanted: Transport, port: int, why_not: Via, reason: str) -> None:
    choosing = Choosing(wanted, port, is_plain=False)
    assert not choosing.may_wait
    assert (choosing.why_not, choosing.reason) == (why_not, reason)


@pytest.mark.parametrize("via", [Via.WAITING, Via.DENIED])
def test_who_waits_has_no_transport_and_a_reason(via: Via) -> None:
    assert via.transport == ""
    assert via.reason
