"""What an operator says of a mirror beside that it be there: its name, its depth, and how its frames come.

Invariant: wishes that cannot be had together are refused before anything is changed.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from daosup.adapters.control import Request
from daosup.core.delivery import PLAIN, Delivery
from daosup.core.desired import Desired
from daosup.core.mirror import OPERATOR
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

    def upon(self, before: Wishes) -> Wishes:
        """Those that are in force from now on."""
        delivery = before.delivery if self.delivery is None else self.delivery
        return Wishes(
            self.name or before.name, self.transport or before.transport, delivery, self.depth or before.depth
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
