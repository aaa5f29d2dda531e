"""What a notice is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A thing that may happen and that an operator is told of; what varies from time to time is told in fields.

    Attributes:
        name: Names it for ever: lower case, with hyphens.
        message_id: 128 bits in hexadecimal, the journal's MESSAGE_ID; the same for ever.
        level: info, warning or error.
        text: What happened, in a few words.
        explanation: What that means.
        advice: What to do about it.
        is_limited: Whether entries that repeat are counted instead of written; False for those that are all different
            and whose rate is bounded where they come from.
        is_event: Whether it is an event of the fleet as well, which all hosts can see (core/fleet_events.py).
    """

    name: str
    message_id: str
    level: str
    text: str
    explanation: str
    advice: str
    is_limited: bool = True
    is_event: bool = False
