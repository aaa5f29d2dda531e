"""What a request over the control socket may contain.

Invariant: a function here returns a value of the promised form, or raises a UsageError that says what was found and
what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, TypeVar

from daosup.adapters.control import Request
from daosup.core.delivery import Delivery, check_enough
from daosup.core.layout import check_depth
from daosup.core.mirror import ADOPTED, CONFIGURED, KEPT, OPERATOR
from daosup.core.mirror_names import check_pattern
from daosup.core.types import Source, Transport, check_host, check_name, clean_name
from daosup.errors import ProtocolError, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

_LOOKS = "only_looks"
MAX_HOLDER_LENGTH = 128
MAX_WAIT_S = 3600.0


def only_looks(command: Command) -> Command:
    """Mark a command that changes nothing, which everybody may have carried out, from other hosts as well."""
    setattr(command, _LOOKS, True)
    return command


def is_looking(command: Callable[..., Any]) -> bool:
    """Whether a command is marked so."""
    return getattr(command, _LOOKS, False)


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


def transport_of(request: Request) -> Optional[Transport]:
    """How the frames of the mirror that is asked for are to come; None: as they do without being told."""
    wanted = request.arguments.get("transport")
    if wanted is None:
        return None
    allowed = [transport.value for transport in Transport]
    if wanted not in allowed:
        raise UsageError(f"transport is {str(wanted)[:80]!r}, not one of {', '.join(allowed)}")
    return Transport(wanted)


def delivery_of(request: Request) -> Optional[Delivery]:
    """In which form the frames of the mirror that is asked for are to come; None: as without being told."""
    text = request.arguments.get("delivery")
    if text is None:
        return None
    if not isinstance(text, str):
        raise UsageError(f"delivery is {str(text)[:80]!r}, not options such as rate=10 with blanks between them")
    try:
        return Delivery.parse(text.split())
    except ProtocolError as error:
        raise UsageError(f"frames cannot come so: {error}") from None


def depth_of(request: Request) -> Optional[int]:
    """How many frames the mirror that is asked for is to keep; None: as many as without being told."""
    depth = request.arguments.get("depth")
    return None if depth is None else check_depth(depth)


def rates_of(request: Request, sources: Iterable[Source]) -> Mapping[Source, float]:
    """Of these sources, how many frames a second are enough (``rates``), where that is said."""
    rates = request.arguments.get("rates", {})
    if not isinstance(rates, dict):
        raise UsageError("rates is no object of frames a second by HOST:NAME")
    return {each: check_enough(str(each), rates[str(each)]) for each in sources if str(each) in rates}


def sources_of(request: Request, argument: str) -> list[Source]:
    """The sources of a list; an empty one if it is not there."""
    listed = request.arguments.get(argument, [])
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise UsageError(f"{argument} is not a list of HOST:NAME")
    return [Source.parse(each) for each in listed]


def hosts_of(request: Request) -> Optional[set[str]]:
    """The hosts that are to be asked; None for all of the registry."""
    hosts = request.arguments.get("hosts")
    if hosts is None:
        return None
    if not isinstance(hosts, list) or not hosts or not all(isinstance(each, str) for each in hosts):
        raise UsageError("hosts is neither a list of hosts nor null, for all of them")
    return {check_host(each) for each in hosts}


def request_of(request: Request) -> tuple[str, dict[str, object]]:
    """What is to be asked: a command, and its arguments."""
    inner = request.arguments.get("request")
    command = inner.get("command") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(command, str):
        raise UsageError('request is no request, for example {"command": "status"}')
    return command, {name: value for name, value in inner.items() if name != "command"}


def each_of(request: Request) -> Mapping[str, dict[str, object]]:
    """Arguments that are only for single hosts, by host."""
    each = request.arguments.get("each", {})
    if not isinstance(each, dict) or not all(isinstance(arguments, dict) for arguments in each.values()):
        raise UsageError("each is no object of arguments by host")
    return each


def number_of(arguments: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """A number from 0 to ``most``."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise UsageError(f"{name} is {value!r}, not a number from 0 to {most:g}")
    return float(value)
