"""A mirror of a segment that a node of DAO's own network service has.

Invariants: as of every mirror that has a direct connection (workers/direct_mirror.py); when that is over another one is
made, soon at first and then ever less often. What such a node does not tell is made up for here: its frames have no
frame id but their counter, and the mirror has the layout that the configuration says, one frame deep.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Optional

from daosup.core.dnet import Flag, Header
from daosup.core.dnet_lines import Subscription
from daosup.core.transport import Via
from daosup.stream.direct_connecting import DirectConnecting, RefusedError
from daosup.workers.direct_mirror import DirectMirror
from daosup.workers.dnet_writing_back import DnetWritingBack
from daosup.workers.mirroring import LinkLostError, Mirroring, Unlinked
from daosup.workers.orders import MirrorOrder

#: Between two connections: at first, and at most.
RECONNECT_S = (0.25, 2.0)
#: A mirror made anew lacks the newest frame. If no other comes within this time, a new connection brings it.
_FRAME_S = 0.1
#: A step on the way to one; the page is stamped with each.
_STEP_S = 0.25


def mirror_node(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped."""
    DnetMirror(order, tell).run()


class DnetMirror:
    """Mirrors one source, over one connection after the other."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order, self._tell = order, tell
        self._mirroring: Mirroring = Unlinked(order, tell)
        self._writing = DnetWritingBack(order, self._mirroring.page, tell) if order.is_written_back else None

    def run(self) -> None:
        """Mirror until stopped."""
        pause_s, most_s = RECONNECT_S
        try:
            while True:
                try:
                    connection = self._connect()
                    pause_s = RECONNECT_S[0]
                    self._follow(connection)
                except (RefusedError, LinkLostError) as error:
                    self._rest(pause_s, str(error))
                pause_s = min(most_s, 2 * pause_s)
        finally:
            self._mirroring.close()
            if self._writing is not None:
                self._writing.close()

    def _connect(self) -> socket.socket:
        """A connection over which frames come.

        Raises:
            RefusedError: If there is none to be had now.
        """
        host, _, port = self._order.endpoint.partition("://")[2].rpartition(":")
        connecting = DirectConnecting(host, int(port), Subscription(self._order.key.source.name, self._order.host))
        try:
            while True:
                connection = connecting.step(_STEP_S)
                if connection is not None:
                    return connection
                self._mirroring.page.stamp()
        finally:
            connecting.close()

    def _follow(self, connection: socket.socket) -> None:
        """Until that connection is over, which is a LinkLostError."""
        self._mirroring = link = DnetLink(self._order, self._tell, self._mirroring, connection, self._writing)
        link.page.via = int(Via.DIRECT)
        try:
            while True:
                link.turn()
        finally:
            link.unlink()

    def _rest(self, pause_s: float, reason: str) -> None:
        self._mirroring.note_lost(reason)
        until_s = time.monotonic() + pause_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._mirroring.page.stamp()
            time.sleep(min(_STEP_S, left_s))


class DnetLink(DirectMirror):
    """What goes on over one connection; ``writing``: what is written here, if that goes to the source."""

    def __init__(
        self,
        order: MirrorOrder,
        tell: Callable[..., None],
        before: Mirroring,
        connection: socket.socket,
        writing: Optional[DnetWritingBack],
    ) -> None:
        super().__init__(order, tell, before, connection, writing)
        self._own_writing = writing

    def _take_frame(self, header: Header, payload: bytes) -> None:
        if self._own_writing is not None:
            self._own_writing.is_echo = bool(header.flags & Flag.ECHO)
        super()._take_frame(header, payload)

    def _ask_frame(self) -> None:
        """Such a node sends it only with a new connection."""
        if self._own_writing is not None and self._own_writing.needs_frame:
            raise LinkLostError("what was written here was not sent; the owner's frame comes with a new connection")
        if time.monotonic() > self._made + _FRAME_S:
            raise LinkLostError("the mirror was made anew, and its newest frame comes with a new connection")
