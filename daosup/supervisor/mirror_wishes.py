"""What an operator says of a mirror beside that it be there: its name, its depth, and how its frames come.

Invariant: wishes that cannot be had together, whether said at once or one after the other, are refused before anything
is changed. Only a request that says one of them is: what an older version let be said goes on, and can be taken back.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Optional

from daosup.adapters.control import Request
from daosup.core.delivery import PLAIN, Delivery
from daosup.core.desired import Desired
from daosup.core.mirror import KEPT, OPERATOR
from daosup.core.types import Source, Transport
from daosup.errors import UsageError
from daosup.supervisor.requests import delivery_of, depth_of, holder_of, mirror_name_of, transport_of, writing_of


class Wishes(NamedTuple):
    """What is said of one mirror, until it is released; None: nothing."""

    name: Optional[str]
    transport: Optional[Transport]
    delivery: Optional[Delivery]
    depth: Optional[int]

    @classmethod
    def of(cls, request: Request) -> Wishes:
        """Those of a request."""
        wishes = cls(mirror_name_of(request), transport_of(request), delivery_of(request), depth_of(request))
        if wishes.depth is not None and holder_of(request) != OPERATOR:
            raise UsageError("how many frames a mirror keeps is the operator's to say, not a program's")
        delivery = wishes.delivery or PLAIN
        if delivery.is_plain:
            return wishes
        if holder_of(request) != OPERATOR:
            raise UsageError("in which form frames come is the operator's to say; of a program's, only what is enough")
        if writing_of(request):
            raise UsageError(f"a mirror that is written back has whole frames: leave out that, or {delivery.text}")
        if wishes.transport is Transport.ZMQ:
            raise UsageError(f"{delivery.text} comes by a direct connection alone, not by zmq")
        return wishes

    @classmethod
    def before(cls, desired: Desired, source: Source) -> Wishes:
        """Those that are in force."""
        told = desired.deliveries.get(source, PLAIN)
        name, transport = desired.mirror_names.get(source), desired.transports.get(source)
        return cls(name, transport, told, desired.depths.get(source))

    def upon(self, before: Wishes, source: Source) -> Wishes:
        """Those that are in force from now on.

        Raises:
            UsageError: If what is said cannot be had with what was said before.
        """
        delivery = (before.delivery if self.delivery is None else self.delivery) or PLAIN
        transport = self.transport or before.transport
        if transport is Transport.ZMQ and not delivery.is_plain:
            if self.transport is not None:
                raise UsageError(
                    f"zmq brings whole frames alone, and {source} was told before to come with {delivery.text}: "
                    "say --frames newest as well, which takes that back, or leave out --transport zmq"
                )
            if self.delivery is not None:
                raise UsageError(
                    f"{delivery.text} comes by a direct connection alone, and {source} was told before to come by "
                    f"zmq: say --transport auto as well, which takes that back, or leave out {delivery.text}"
                )
        return Wishes(self.name or before.name, transport, delivery, self.depth or before.depth)

    def check_written_back(
        self, request: Request, source: Source, told: Delivery, configured: Delivery, writers: Collection[str]
    ) -> None:
        """Refuse to have frames in a form if operators have the mirror written back, and the other way round.

        What a program writes back is not refused: frames come whole as long as it does.

        Args:
            request: The one that these are of.
            source: What is mirrored.
            told: In which form frames are to come from now on.
            configured: In which form they come if that is plain.
            writers: Who has it written back.

        Raises:
            UsageError: If what is said cannot be had with what was said before.
        """
        delivery = configured if told.is_plain else told
        still = _writers_upon(request, writers)
        if delivery.is_plain or not still:
            return
        is_operators = _is_for_good(request) or holder_of(request) == OPERATOR
        if writing_of(request) and is_operators:
            is_configured = told.is_plain
            back = "say --frames newest as well, which takes that back"
            if is_configured:
                back = "take that out of its [[mirror]] and run `daosupctl reload`"
            raise UsageError(
                f"a mirror that is written back has whole frames, and {source} was told before to come with "
                f"{delivery.text}: {back}, or leave out --write-back"
            )
        if self.delivery is not None and not self.delivery.is_plain:
            command = f"{'keep' if still == {KEPT} else 'mirror'} {source}{' --keep' if len(still) > 1 else ''}"
            raise UsageError(
                f"{delivery.text} is not for a mirror that is written back, and {source} was told so before: run "
                f"`daosupctl {command}`, which takes that back, or leave out {delivery.text}"
            )

    def noted(self, desired: Desired, source: Source) -> Desired:
        """With these in force."""
        named = desired.with_name(source, self.name).with_transport(source, self.transport)
        return named.with_delivery(source, self.delivery or PLAIN).with_depth(source, self.depth)

    @property
    def what(self) -> str:
        """What it is that is said."""
        said = zip(("name", "transport", "delivery", "depth"), self)
        return next(what for what, wish in said if wish is not None)


def _is_for_good(request: Request) -> bool:
    return request.command == "keep" or bool(request.arguments.get("keep"))


def _writers_upon(request: Request, before: Collection[str]) -> set[str]:
    """Which of an operator's holds of a mirror have it written back from now on."""
    writers, is_writing, holder = set(before), writing_of(request), holder_of(request)
    if request.command == "keep":
        is_writing, holder = bool(is_writing), KEPT
    if is_writing is not None:
        (writers.add if is_writing else writers.discard)(holder)
    if _is_for_good(request):
        (writers.add if holder in writers else writers.discard)(KEPT)
    return writers & {KEPT, OPERATOR}
