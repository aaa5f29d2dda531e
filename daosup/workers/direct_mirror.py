"""A mirror that takes its frames from a direct connection to the owner's publisher.

Invariants: what comes is in order and whole, or the connection is over: a byte that should not be there is the last one
that is read. A frame belongs to the description that came last. Nothing is asked for but the newest frame, if the
mirror lacks it. What was written here and is still on its way when the connection is lost does not arrive any later.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import NoReturn, Optional, Union

from daosup.core import dnet
from daosup.core.delivery import COMPRESSIONS
from daosup.core.dnet import Described, Flag, Header, Kind
from daosup.core.header import Description
from daosup.errors import ProtocolError, SegmentLostError
from daosup.shm._native import BAD, CLOSED, OTHER, TIMEOUT, DirectReceiver
from daosup.stream.direct_upstream import DirectUpstream
from daosup.workers.dnet_writing_back import DnetWritingBack
from daosup.workers.following import Following, Frame
from daosup.workers.limits import apply_to_connection
from daosup.workers.looking import NEAR_LOOK_INTERVAL_S, look_interval_s
from daosup.workers.mirroring import LinkLostError, Mirroring
from daosup.workers.orders import MirrorOrder
from daosup.workers.spinning import Spinner
from daosup.workers.writing_back import WritingBack


class DirectMirror(Following):
    """Mirrors one source over one connection; `LinkLostError` when that is over.

    Args:
        order: What to mirror.
        tell: Called with an event's name and its facts.
        before: What mirrored it until now, over another connection, and was unlinked.
        connection: To the owner, which has just said OK; it is ours from now on.
        writing: Hands on what is written into the mirror, if that goes to the source; it outlasts the connection.
    """

    def __init__(
        self,
        order: MirrorOrder,
        tell: Callable[..., None],
        before: Optional[Mirroring],
        connection: socket.socket,
        writing: Optional[Union[WritingBack, DnetWritingBack]] = None,
    ) -> None:
        super().__init__(order, tell, before, writing)
        self._owner = _name_of(connection)
        self._receiver = self._receiver_of(connection)
        self._upstream = DirectUpstream(self._receiver)
        if writing is not None:
            writing.link(self._upstream)
        self._spinner = Spinner(order.limits, tell)
        self._look_s = look_interval_s(order.limits)
        self._described: Optional[Described] = None
        # Whether a frame has come since that description, as no other may come for long.
        self._has_come = False
        self._sent = self._made = 0.0

    def _receiver_of(self, connection: socket.socket) -> DirectReceiver:
        apply_to_connection(self._order.limits, connection, self._tell)
        wanted = self._order.wanted
        receiver = DirectReceiver(connection.detach(), wanted.mode == "every", wanted.compress != COMPRESSIONS[0])
        receiver.is_quick = self._order.limits.quick_ack
        return receiver

    def turn(self) -> None:
        """Take what comes, for a moment.

        Raises:
            LinkLostError: If the connection is over.
        """
        try:
            self._turn()
        except LinkLostError:
            self._receiver.close(True)
            raise

    def _turn(self) -> None:
        outcome = TIMEOUT
        try:
            outcome, raw, payload = self._flow()
            if raw is not None and payload is not None:
                self._judge(raw, payload)
        except SegmentLostError:
            self._lose_replica()
        now = time.monotonic()
        if outcome == TIMEOUT and now > self._receiver.heard_s + dnet.SILENCE_S:
            raise LinkLostError(f"no word from {self._owner} for {dnet.SILENCE_S:g} s")
        if outcome != OTHER or now >= self._stamped + NEAR_LOOK_INTERVAL_S:
            self._stamped = now
            self._look_around(now)

    def _flow(self) -> tuple[int, Optional[bytes], Optional[bytes]]:
        """Let frames flow into the mirror; returns with the first message that is not a newer one."""
        replica, described, receiver = self._replica, self._described, self._receiver
        until_s = self._stamped + self._look_s
        taken, nbytes, skipped, gaps = receiver.taken, receiver.taken_bytes, receiver.skipped, receiver.gaps
        passed_over = receiver.passed_over
        frame_bytes = 0 if described is None else described.description.geometry.frame_bytes
        try:
            if (
                replica is None
                or described is None
                or self._writing is not None
                or not (replica.is_announced and self._tracker.expected >= 0 and described.epoch == self._epoch)
            ):
                came = receiver.receive(frame_bytes, self._stamped + NEAR_LOOK_INTERVAL_S)
            else:
                came = replica.segment.window.take_direct(receiver, self._tracker.expected, until_s, self._page.memory)
        finally:  # also if SIGTERM comes just now, or the mirror was lost
            self._page.passed_over += receiver.passed_over - passed_over
            if receiver.taken != taken:
                self._has_come = True
                self._took(
                    receiver.taken - taken,
                    receiver.taken_bytes - nbytes,
                    skipped=receiver.skipped - skipped,
                    gaps=receiver.gaps - gaps,
                )
        self._heard = receiver.heard_s
        if came[0] == BAD:
            self._reject(receiver.wrong)
        if came[0] == CLOSED:
            raise LinkLostError(f"{self._owner}: {receiver.wrong}")
        return came

    # -- whatever is not just a newer frame

    def _judge(self, raw: bytes, payload: bytes) -> None:
        try:
            header = dnet.decode_header(raw)
            if header.kind == Kind.DESCRIBE:
                self._note_described(dnet.decode_describe(header, payload, str(self._order.key.source)))
            elif header.kind == Kind.META:
                self._note_described(_by_meta(dnet.decode_meta(header, payload), header))
        except ProtocolError as error:
            self._reject(str(error))
        if header.kind in (Kind.DESCRIBE, Kind.META):
            self._follow()
        elif header.kind == Kind.FRAME:
            self._take_frame(header, payload)
        elif header.kind == Kind.ANSWER:
            self._take_answer(payload)
        elif header.kind == Kind.BYE:
            raise LinkLostError(f"{self._owner} is leaving{_because(payload)}")

    def _note_described(self, described: Described) -> None:
        if self._described is None or described.epoch != self._described.epoch:
            self._has_come = False
        self._described = described

    def _follow(self) -> None:
        """Become what was described last."""
        described = self._described
        if described is None or not self._adopt(*described):
            return
        replica = self._replica
        if replica is not None and not replica.is_announced:
            self._made = time.monotonic()
            if described.counter == 0 and self._tracker.expected < 0:  # it was never written
                self._announce(replica)

    def _take_frame(self, header: Header, payload: bytes) -> None:
        described, self._has_come = self._described, True
        if described is None or self._replica is None:
            return
        if payload[-dnet.TRAILER_BYTES :] != dnet.TRAILER.pack(header.counter):
            self._page.passed_over += 1  # torn at the source, as a newer one was written
            return
        frame_id = header.reserved[0] if header.flags & Flag.HAS_FRAME_ID else header.counter
        self._take(Frame(described.epoch, header.counter, frame_id, header.write_time_ns, payload, 0))

    def _take_answer(self, payload: bytes) -> None:
        if not isinstance(self._writing, WritingBack):
            self._reject("an answer, though nothing was asked")
        self._writing.heard(payload)

    def _reject(self, reason: str) -> NoReturn:
        """It is counted, and told once; nothing more is read."""
        what = f"{self._owner} sends what is no stream: {reason}"
        if self._page.rejected == 0:
            self._tell("rejected", warning=what)
        self._page.rejected += 1
        raise LinkLostError(what)

    def _ask_description(self) -> None:
        """The description is known; what the mirror may lack is the newest frame."""
        if time.monotonic() < self._retry_s:
            return
        self._follow()
        if self._is_lacking or (self._writing is not None and self._writing.needs_frame):
            self._ask_frame()

    @property
    def _is_lacking(self) -> bool:
        """Whether the mirror was made after the newest frame had come."""
        return self._replica is not None and not self._replica.is_announced and self._has_come

    def _ask_frame(self) -> None:
        """Have the newest frame sent again."""
        self._receiver.send(dnet.AGAIN)

    # -- now and then

    def _look_around(self, now: float) -> None:
        if now >= self._sent + dnet.HEARTBEAT_S - NEAR_LOOK_INTERVAL_S / 2:
            self._sent = now
            self._receiver.send(dnet.HEARTBEAT)
        super()._look_around(now)
        self._receiver.spin_ns = int(self._spinner.spin_s(now, self._receiver.taken + self._receiver.passed_over) * 1e9)
        if self._is_lacking:
            self._ask_frame()
        if self._writing is not None and self._writing.is_unanswered:
            raise LinkLostError(f"{self._owner} does not answer what was written")

    def unlink(self) -> None:
        """Close the connection alone: another one goes on with the mirror."""
        if self._writing is not None:
            self._writing.link(None)
        self._upstream.close()
        self._spinner.close()
        self._receiver.close()


def _by_meta(meta: dnet.Meta, header: Header) -> Described:
    """A meta tells no creation time: each counts as the beginning of another stream, of whatever counter."""
    return Described(Description(meta.geometry, 0.0), time.time_ns(), header.counter, meta.keywords)


def _because(payload: bytes) -> str:
    reason = dnet.decode_bye(payload)
    return f": {reason}" if reason else ""


def _name_of(connection: socket.socket) -> str:
    """The other end, for people."""
    try:
        host, port = connection.getpeername()[:2]
    except (OSError, ValueError):
        return "the owner"
    return f"{host}:{port}"
