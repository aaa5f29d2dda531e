"""What a request over the control socket may contain.

Invariant: a function here returns a value of the promised form, or raises a UsageError that says what was found and
what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from daosup.adapters.control import Request
from daosup.core.mirror import ADOPTED, CONFIGURED, KEPT, OPERATOR
from daosup.core.mirror_names import check_pattern
from daosup.core.types import Source, check_name, clean_name
from daosup.errors import UsageError

MAX_HOLDER_LENGTH = 128
MAX_WAIT_S = 3600.0


def source_of(request: Request) -> Source:
    """The source that is asked for."""
    text = request.arguments.get("source")
    if not isinstance(text, str):
        raise UsageError(f"source is {text!r}, not HOST:NAME")
    return Source.parse(text)


def named_of(request: Request, host: str) -> Source:
    """What NAME, a segment of this host, or HOST:NAME mean."""
    text = request.arguments.get("name")
    if not isinstance(text, str):
        raise UsageError(f"name is {text!r}, not NAME or HOST:NAME")
    return Source.parse(text) if ":" in text else Source(host, check_name(clean_name(text)))


def holder_of(request: Request) -> str:
    """Who asks."""
    holder = request.arguments.get("holder", OPERATOR)
    if not isinstance(holder, str) or not 0 < len(holder) <= MAX_HOLDER_LENGTH:
        raise UsageError(f"holder is {str(holder)[:80]!r}, not a name of 1 to {MAX_HOLDER_LENGTH} characters")
    if holder in (ADOPTED, CONFIGURED, KEPT):
        raise UsageError(f"holder is {holder!r}, which no program can be called; take another name")
    return holder


def mirror_name_of(request: Request) -> Optional[str]:
    """What the mirror that is asked for is to be called; None if that is not said."""
    name = request.arguments.get("name")
    if name is None:
        return None
    if not isinstance(name, str):
        raise UsageError(f"name is {str(name)[:80]!r}, not a segment's name")
    try:
        return check_pattern(name)
    except UsageError as error:
        raise UsageError(f"a mirror cannot be called {name[:80]!r}: it {error}") from None


def writing_of(request: Request) -> Optional[bool]:
    """Whether the mirror that is asked for is to be written back (``bidirectional``); None: as it is."""
    wanted = request.arguments.get("bidirectional")
    if wanted is not None and not isinstance(wanted, bool):
        raise UsageError(f"bidirectional is {str(wanted)[:80]!r}, not true or false")
    return wanted


def sources_of(request: Request, argument: str) -> list[Source]:
    """The sources of a list; an empty one if it is not there."""
    listed = request.arguments.get(argument, [])
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise UsageError(f"{argument} is not a list of HOST:NAME")
    return [Source.parse(each) for each in listed]


def number_of(arguments: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """A number from 0 to ``most``."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise UsageError(f"{name} is {value!r}, not a number from 0 to {most:g}")
    return float(value)
