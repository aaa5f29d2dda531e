"""Errors about names that nobody knows, with the name that was probably meant."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from daosup.core.nearest import did_you_mean, did_you_mean_source, nearest
from daosup.core.types import Machine, Source
from daosup.errors import DaosupError, NotFoundError

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor


def no_such_segment(supervisor: Supervisor, name: str) -> NotFoundError:
    """Of a segment that this host does not have; who writes a mirror's own name means its source."""
    state = supervisor.state
    sources = {state.mirrors.name_of(source): str(source) for source in state.mirrors}
    near = nearest(name, (*state.segments, *sources))
    told = f"; did you mean {sources.get(near, near)!r}?" if near is not None else ""
    return NotFoundError(
        f"this host has no segment {name}"
        f"{told or '; `daosupctl status` lists what it has, and a mirror is named HOST:NAME'}"
    )


def not_mirrored(supervisor: Supervisor, source: Source) -> NotFoundError:
    """Of a source that is not mirrored here."""
    near = did_you_mean(str(source), map(str, supervisor.state.mirrors))
    return NotFoundError(f"{source} is not mirrored here{near or '; `daosupctl status` lists what is'}")


async def likely_source(supervisor: Supervisor, source: Source) -> str:
    """The end of a sentence about a source that the registry does not know; nothing if it does, or is away."""
    with suppress(DaosupError):
        machines: tuple[Machine, ...] = await supervisor.desk.machines()
        known = {machine.hostname: [each.name for each in machine.segments] for machine in machines}
        if source.name not in known.get(source.host, ()):
            return did_you_mean_source(source, known)
    return ""
