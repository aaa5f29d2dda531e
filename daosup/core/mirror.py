"""A source that somebody on this host holds: who does, and what is known of it.

Invariants: whoever writes to it, or is content with some of its frames, holds it. It is written back as long as one of
its holders wants so, and each of its frames comes as long as one wants that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from daosup.core.types import OLD_PROTOCOL, PROTOCOL, Looks

#: Holds what is asked for on the command line, until it is released there. Programs have a name of their own.
OPERATOR = "operator"
#: Holds what was found running, until the programs that hold it have found us.
ADOPTED = "adopted"
ADOPTED_S = 30.0
#: Holders that nobody else can be called, too.
CONFIGURED = "[[mirror]]"
KEPT = "--keep"


@dataclass
class Mirror:
    """A source that somebody here holds; times are the supervisor's monotonic clock in seconds.

    ``writers`` are those of its holders that want what is written into it to go to its source, ``enough`` says of some
    how many frames a second are enough for them; all others want all. ``linked_s`` is when there last was a link, or
    the endpoint became known. ``given_port`` is the one that its process is told to write back from to an old owner (0:
    any, None: not yet decided), ``write_port`` the one that it has (0: not known). ``direct_port`` is where its owner
    offers its frames directly (0: nowhere).
    """

    holders: set[str] = field(default_factory=set)
    writers: set[str] = field(default_factory=set)
    enough: dict[str, float] = field(default_factory=dict)
    endpoint: str = ""
    reason: Optional[str] = "asking the registry"
    is_unknown: bool = False
    is_unsupported: bool = False
    is_linked: bool = True
    protocol: int = PROTOCOL
    linked_s: float = 0.0
    requested_s: float = float("-inf")
    looks: Optional[Looks] = None
    looked_s: float = 0.0
    adopted_s: float = 0.0
    given_port: Optional[int] = None
    write_port: int = 0
    direct_port: int = 0

    @property
    def is_written_back(self) -> bool:
        """Whether somebody who holds it wants so."""
        return bool(self.writers)

    @property
    def enough_hz(self) -> float:
        """So many frames a second are enough for whoever holds it; 0: somebody wants all."""
        return max(self.enough.values(), default=0.0) if self.holders == self.enough.keys() else 0.0

    @property
    def is_followed(self) -> bool:
        """Whether its owner, which runs the existing daemon, is to follow what is streamed from a port of this host."""
        return self.is_written_back and self.protocol == OLD_PROTOCOL

    @property
    def is_remembered_as_written_back(self) -> bool:
        """Whether it is to be so after a crash: one of the operator's as the operator wants it, others as they are."""
        return OPERATOR in self.writers if OPERATOR in self.holders else self.is_written_back
