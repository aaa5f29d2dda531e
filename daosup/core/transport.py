"""How a mirror's frames come from their owner: directly, or by ZeroMQ, and then why.

Invariant: whatever the network does, there is one way at a time, and as long as the direct one is wanted and offered it
is tried again, once each ``RETRY_S``, and sooner when the owner turns out to be there again.
"""

from __future__ import annotations

from enum import IntEnum

from daosup.core.types import Transport

#: A connection that was lost, or never was, is tried to be had directly for so long before ZeroMQ goes on meanwhile.
TRY_S = 1.0
#: While ZeroMQ goes on, a direct connection is tried so often, and at the soonest.
RETRY_S = 30.0
SOONEST_RETRY_S = 2.0
#: A connection that is lost sooner was no good. After one such the next is made at once, then later and later.
GOOD_S = 1.0
_PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0)
#: After so many of them, one upon the other, ZeroMQ goes on meanwhile.
_MOST_BAD = 3


class Via(IntEnum):
    """How frames come, as a mirror's statistics page has it; those by ZeroMQ say why."""

    UNKNOWN = 0
    DIRECT = 1
    #: It was configured so.
    ZMQ_WANTED = 2
    #: Its owner has no port for it: an older version, no free port, or configured so.
    ZMQ_NOT_OFFERED = 3
    #: Nobody listens at the port, or a firewall says so.
    ZMQ_REFUSED = 4
    #: No answer within ``TRY_S``: a firewall swallows what is sent there.
    ZMQ_SILENT = 5
    #: The owner answered, and does not want to.
    ZMQ_DENIED = 6
    #: Connections can be had, but do not last: what comes over them is no stream, or nothing does.
    ZMQ_BROKEN = 7
    #: Not at all, for they are to come directly, or in a form that only comes so, and that cannot be had now.
    WAITING = 8
    #: Likewise, as the owner said that it does not send them so.
    DENIED = 9

    @property
    def transport(self) -> str:
        """In one word; empty if there is none yet."""
        return "" if self in _NONE else "direct" if self is Via.DIRECT else "zmq"

    @property
    def reason(self) -> str:
        """Why it is not direct, though that would be better; empty if it is, or nobody wants it to be."""
        return _REASONS.get(self, "")


_REASONS = {
    Via.ZMQ_NOT_OFFERED: "its owner does not offer frames directly",
    Via.ZMQ_REFUSED: "its owner's direct port refuses connections; is it open to this host?",
    Via.ZMQ_SILENT: "its owner's direct port does not answer; is it open to this host?",
    Via.ZMQ_DENIED: "its owner does not send it directly",
    Via.ZMQ_BROKEN: "its owner's direct connections do not last",
    Via.WAITING: "it waits for a direct connection to its owner",
    Via.DENIED: "its owner does not send it so",
}
_NONE = (Via.UNKNOWN, Via.WAITING, Via.DENIED)
#: Those that an operator can do something about, by letting connections through.
UNREACHABLE = (Via.ZMQ_REFUSED, Via.ZMQ_SILENT)


def via_of(number: int) -> Via:
    """What a page says; a page may say anything."""
    return Via(number) if number in tuple(Via) else Via.UNKNOWN


class Choosing:
    """Which way a mirror goes; times are seconds of one clock.

    Args:
        wanted: How its frames are to come.
        offered_port: Where its owner offers them directly; 0: nowhere.
        is_plain: Whether its frames are to come as they do by ZeroMQ, too.

    Attributes:
        why_not: Why it does not go directly; UNKNOWN before that was tried.
        may_wait: Whether there is another way than the direct one.
        is_settled: Whether it never goes directly, by this order.
    """

    def __init__(self, wanted: Transport, offered_port: int, *, is_plain: bool = True) -> None:
        self.may_wait = is_plain and wanted is not Transport.DIRECT
        self.why_not = Via.UNKNOWN
        if wanted is Transport.ZMQ:
            self.why_not = Via.ZMQ_WANTED
        elif not offered_port:
            self.why_not = Via.ZMQ_NOT_OFFERED
        self.is_settled = self.why_not is not Via.UNKNOWN
        self._retry_s = self._tried_s = 0.0
        self._bad = 0

    @property
    def reason(self) -> str:
        """Why it does not go directly."""
        return "transport is zmq" if self.why_not is Via.ZMQ_WANTED else self.why_not.reason

    def lost(self, lasted_s: float) -> float:
        """A direct connection was lost that lasted so long; returns for how long to wait before the next."""
        self._bad = 0 if lasted_s >= GOOD_S else self._bad + 1
        return 0.0 if self._bad == 0 else _PAUSES_S[min(self._bad, len(_PAUSES_S)) - 1]

    @property
    def is_broken(self) -> bool:
        """Whether direct connections are lost as soon as they are there."""
        return self._bad >= _MOST_BAD

    def failed(self, why_not: Via, now: float) -> None:
        """A direct connection could not be had."""
        self.why_not, self._tried_s, self._retry_s = why_not, now, now + RETRY_S

    def owner_seen(self, now: float) -> None:
        """After a silence the owner is heard again: what was in the way may be gone."""
        self._retry_s = min(self._retry_s, max(now, self._tried_s + SOONEST_RETRY_S))

    def is_due(self, now: float) -> bool:
        """Whether a direct connection is to be tried (again)."""
        return not self.is_settled and now >= self._retry_s
