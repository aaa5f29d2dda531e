"""A mirror by whichever way its frames come: directly from its owner where that can be, else by ZeroMQ.

Invariants: there is one way at a time, and the mirror stays the same one, with its counts, when the way changes; while
ZeroMQ goes on, the next direct connection is made beside it, so that no frame waits for it; each change is told once,
with the reason, and the statistics page has it. Frames that are to come in a form that ZeroMQ has not come directly or
not at all.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Optional

from daosup.core.dnet_lines import Subscription
from daosup.core.transport import GOOD_S, TRY_S, Choosing, Via
from daosup.core.types import Transport
from daosup.shm import lz4
from daosup.stream.direct_connecting import DirectConnecting, RefusedError
from daosup.workers.direct_mirror import DirectMirror
from daosup.workers.mirror import Mirror
from daosup.workers.mirroring import LinkLostError, Mirroring, Unlinked
from daosup.workers.orders import MirrorOrder
from daosup.workers.writing_back import WritingBack

#: While there is nothing but to try: a publisher that is being replaced is back in a moment.
_PAUSE_S = 0.05
#: Where there is no other way, after a try that failed; and after one that the owner denied.
_LONG_PAUSE_S = 0.5
_DENIED_PAUSE_S = 2.0


def mirror(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped."""
    AnyMirror(order, tell).run()


class AnyMirror:
    """Mirrors one source of protocol 2; ``tell`` is called with an event's name and its facts."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order, self._tell = order, tell
        self._choosing = Choosing(Transport(order.transport), order.offered_port, is_plain=not order.delivery)
        self._mirroring: Mirroring = Unlinked(order, tell)
        # What is written here is known to it, whichever way it goes.
        self._writing = WritingBack(order, self._mirroring.page, tell) if order.is_written_back else None
        self._connecting: Optional[DirectConnecting] = None
        self._told = ""

    def run(self) -> None:
        """Mirror until stopped."""
        is_lost = False
        try:
            while True:
                connection = self._connect_now(is_insistent=is_lost)
                if connection is None and self._choosing.may_wait:
                    connection = self._by_zmq()
                is_lost = connection is not None
                if connection is not None:
                    self._directly(connection)
        finally:
            if self._connecting is not None:
                self._connecting.close()
            if self._writing is not None:
                self._writing.close()
            self._mirroring.close()

    # -- directly

    def _directly(self, connection: socket.socket) -> None:
        """Until that connection is over."""
        self._mirroring = direct = DirectMirror(self._order, self._tell, self._mirroring, connection, self._writing)
        began_s = time.monotonic()
        try:
            while True:
                if not self._choosing.is_broken or time.monotonic() >= began_s + GOOD_S:
                    self._note(Via.DIRECT)
                direct.turn()
        except LinkLostError as lost:
            direct.unlink()
            self._back_off(str(lost), time.monotonic() - began_s)

    def _back_off(self, reason: str, lasted_s: float) -> None:
        """Whoever accepts connections that are of no use is not asked again and again without a pause."""
        choosing = self._choosing
        pause_s = choosing.lost(lasted_s)
        if choosing.is_broken and choosing.may_wait:
            self._give_up(RefusedError(Via.ZMQ_BROKEN, reason))
        elif pause_s:
            self._rest(pause_s, reason)

    def _connect_now(self, *, is_insistent: bool) -> Optional[socket.socket]:
        """Try, while nothing else is done; ``is_insistent``: for a moment also if somebody refuses."""
        choosing = self._choosing
        if choosing.is_settled:
            if choosing.may_wait:
                self._note(choosing.why_not)
            else:
                self._wait_for_it(choosing.reason)
            return None
        until_s = time.monotonic() + TRY_S
        if choosing.is_broken and choosing.may_wait and not choosing.is_due(time.monotonic()):
            return None
        while True:
            try:
                connection = self._step(_PAUSE_S)
            except RefusedError as refused:
                if not is_insistent or time.monotonic() >= until_s:
                    self._give_up(refused)
                    return None
                self._rest(_PAUSE_S)
            else:
                self._mirroring.page.stamp()
                if connection is not None:
                    return connection

    def _rest(self, wait_s: float, reason: Optional[str] = None) -> None:
        if reason is not None:
            self._mirroring.note_lost(reason)
            if self._writing is not None:
                self._writing.tend(time.monotonic(), has_link=False)
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._mirroring.page.stamp()
            time.sleep(min(left_s, _LONG_PAUSE_S))

    def _wait_for_it(self, reason: str, *, is_denied: bool = False) -> None:
        """There is no other way, and this is why there is not that one."""
        form = self._order.delivery
        why = f"{form} comes by a direct connection alone, and {reason}" if form else reason
        self._note(Via.DENIED if is_denied else Via.WAITING, why)
        self._rest(_DENIED_PAUSE_S if is_denied else _LONG_PAUSE_S, why)

    def _step(self, wait_s: float) -> Optional[socket.socket]:
        """A step on the way to a direct connection."""
        order = self._order
        try:
            if self._connecting is None:
                why_not = lz4.why_not(order.wanted.compress, "here")
                if why_not is not None:
                    raise RefusedError(Via.ZMQ_DENIED, why_not)
                host = order.endpoint.partition("://")[2].rpartition(":")[0]
                wanted = Subscription(
                    order.key.source.name, order.host, is_ours=True, delivery=order.wanted,
                    is_writing=self._writing is not None,
                )  # fmt: skip
                self._connecting = DirectConnecting(host, order.offered_port, wanted)
            connection = self._connecting.step(wait_s)
        except RefusedError:
            self._connecting = None
            raise
        if connection is not None:
            self._connecting = None
        return connection

    def _give_up(self, refused: RefusedError) -> None:
        self._choosing.failed(refused.via, time.monotonic())
        if self._choosing.may_wait:
            self._note(refused.via, str(refused))
        else:
            self._wait_for_it(str(refused), is_denied=refused.via is Via.ZMQ_DENIED)

    # -- by ZeroMQ

    def _by_zmq(self) -> Optional[socket.socket]:
        """For ever, or until there is a direct connection."""
        self._mirroring = zmq_mirror = Mirror(self._order, self._tell, self._mirroring, self._writing)
        # A link that is up now is the one that was lost. An owner that is back before that counts as a silence is news,
        # too; but not one that was there all the time, whose connections do not last.
        had_link = self._choosing.is_broken and bool(zmq_mirror.page.has_link)
        while True:
            zmq_mirror.turn()
            now, has_link = time.monotonic(), bool(zmq_mirror.page.has_link)
            if has_link and not had_link:
                self._choosing.owner_seen(now)
            had_link = has_link
            if self._connecting is None and not self._choosing.is_due(now):
                continue
            try:
                connection = self._step(0.0)
            except RefusedError as refused:
                self._give_up(refused)
                continue
            if connection is not None:
                zmq_mirror.unlink()
                return connection

    # -- both

    def _note(self, via: Via, detail: Optional[str] = None) -> None:
        """Say how frames come from now on; ``detail``: why not directly, if that is worth a word."""
        told = f"{via.transport} {detail or ''}"
        if told != self._told and (detail or via is Via.DIRECT):
            self._told = told
            self._tell("transport", reason=detail)
        self._mirroring.page.via = int(via)
