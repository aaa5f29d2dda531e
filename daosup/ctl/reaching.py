"""Gets at the frames of a segment of any host, as a file of this one.

Invariant: a mirror that is made for a command lasts as long as the command's process, however that ends: it is held
over a connection to the daemon, which the kernel closes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from daosup.adapters.control_client import find_socket
from daosup.core.nearest import did_you_mean
from daosup.core.types import SEGMENT_SUFFIX, Source, check_name, clean_name
from daosup.ctl.asking import ANSWER_S, ask_object
from daosup.ctl.options import Options
from daosup.errors import DeniedError, NotFoundError
from daosup.server.holding import Holding

STATUS_S = 5.0
MIRROR_S = 30.0


class Reached(NamedTuple):
    """Where a segment is: what people call it, ``HOST:NAME`` as far as that is known, and its file on this host."""

    source: str
    path: str


@contextmanager
def reached(options: Options, name: str, *, is_written: bool = False, enough_hz: float = 0.0) -> Iterator[Reached]:
    """Have a segment at hand.

    Args:
        options: Which daemon is asked, and how long a mirror may take.
        name: HOST:NAME; NAME for one of this host, mirrors among them; or a path, for which no daemon is asked.
        is_written: Whether what is written into it is to go to its source.
        enough_hz: So many frames a second are enough; 0: all are wanted.

    Raises:
        NotFoundError: If nobody has it.
        NoAnswerError: If its owner does not stream it in time.
        DeniedError: If this user may not mirror, or the owner lets nobody write.
        DaosupError: Any other reason why the daemon cannot be asked.
    """
    if "/" in name:
        yield Reached(os.path.basename(name).removesuffix(SEGMENT_SUFFIX), os.path.abspath(name))
        return
    source = Source.parse(name) if ":" in name else None
    status = ask_object(options, "status", STATUS_S)
    own = str(status.get("host"))
    if source is None or source.host == own:
        yield _local(status, check_name(clean_name(name)) if source is None else source.name)
        return
    holding = Holding(lambda is_in_background: find_socket(options.instance, options.socket))
    try:
        yield Reached(str(source), _mirror(options, status, holding, source, is_written, enough_hz))
    finally:
        holding.close()


def _local(status: dict[str, Any], name: str) -> Reached:
    path = _path(status, name)
    if not os.path.exists(path):
        known = [str(segment["name"]) for segment in status["segments"]]
        known += [str(worker["segment"]) for worker in status["workers"] if worker["kind"] == "mirror"]
        raise NotFoundError(
            f"this host has no segment {name}{did_you_mean(name, known)}; `daosupctl status` lists what it has"
        )
    return Reached(f"{status['host']}:{name}", path)


def _mirror(
    options: Options,
    status: dict[str, Any],
    holding: Holding,
    source: Source,
    is_written: bool,
    enough_hz: float,
) -> str:
    """The path of a mirror that lasts as long as ``holding`` is open, or that is there anyway."""
    wait_s = MIRROR_S if options.wait is None else options.wait
    asked = {"source": str(source), "wait_s": wait_s, "holder": holding.holder, "bidirectional": is_written or None}
    asked |= {"enough_hz": enough_hz}
    try:
        holding.ensure()
        made = ask_object(options, "mirror", wait_s + ANSWER_S, asked)
    except DeniedError:
        if is_written:
            raise
        for worker in status["workers"]:
            if (worker["kind"], worker["source"], worker["state"]) == ("mirror", str(source), "running"):
                return _path(status, str(worker["segment"]))
        raise
    holding.sources[str(source)], holding.rates[str(source)] = is_written, enough_hz
    return str(made["path"])


def _path(status: dict[str, Any], name: str) -> str:
    return os.path.join(str(status["segment_folder"]["path"]), name + SEGMENT_SUFFIX)
