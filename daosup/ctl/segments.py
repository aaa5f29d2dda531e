"""The segments of all hosts: what the registry knows of them, and what each host's daemon tells beside.

Invariant: a host that does not answer is listed with what the registry knows, and it is said that this is all.
"""

from __future__ import annotations

from daosup.core.nearest import did_you_mean_source
from daosup.core.segment_patterns import fits
from daosup.core.types import Source
from daosup.ctl.asking import ask, ask_all, ask_object, tell
from daosup.ctl.segments_report import segments_report
from daosup.errors import DaosupError, NotFoundError, ProtocolError, UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

MACHINES_S = 10.0
#: Counting frames takes half a second.
SEGMENTS_S = 5.0
NOT_COMPLETE = 69
_WILD = "*?["
#: What only a host's daemon knows of its segments.
_TOLD = ("layout", "depth", "nbytes", "rate_hz", "age_s", "counter", "user", "writing")


def ls(options: Options) -> int:
    """All hosts and what they have; 69 if the registry is away and so only this host can be told of."""
    pattern = options.name or "*"
    try:
        machines = ask(options, "machines", MACHINES_S)
    except UnavailableError as error:
        hosts, trouble = _own_host(options, pattern, error) + _nodes(options, pattern), str(error)
        tell(options, hosts, lambda style, width: segments_report(hosts, options, style, width, trouble))
        return NOT_COMPLETE
    if not isinstance(machines, list):
        raise ProtocolError("daosupd answered with something else than a list of machines")
    hosts = joined(machines, _answers(options, pattern), pattern)
    known = {host["hostname"] for host in hosts}  # ours may be heard as nodes, too
    hosts += [node for node in _nodes(options, pattern) if node["hostname"] not in known]
    if options.name and not any(host["segments"] for host in hosts):
        raise NotFoundError(f"no segment fits {pattern!r}{_near(pattern, machines)}")
    tell(options, hosts, lambda style, width: segments_report(hosts, options, style, width))
    return 0


def _answers(options: Options, pattern: str) -> dict[str, Any]:
    """What each host says; nothing if our daemon is one that cannot ask them."""
    try:
        return ask_all(options, "segments", SEGMENTS_S, {"names": [pattern]})
    except DaosupError as error:
        return {"": {"ok": False, "error": {"kind": "unsupported", "message": str(error)}}}


def _nodes(options: Options, pattern: str) -> list[dict[str, Any]]:
    """The nodes of DAO's network service that this host hears, as other hosts; none if our daemon knows of none."""
    try:
        nodes = ask(options, "nodes", SEGMENTS_S, {"names": [pattern]})
    except DaosupError:
        return []
    return [
        {
            **{key: node.get(key) for key in ("hostname", "ip", "role", "last_connect")},
            "is_answering": node.get("error") is None,
            "error": node.get("error") and {"kind": "unavailable", "message": node["error"]},
            "segments": [
                {**dict.fromkeys(("readers", "reader_hosts", "writers", *_TOLD)), **segment}
                for segment in _list(node.get("segments"))
            ],
        }
        for node in _list(nodes)
    ]


def _own_host(options: Options, pattern: str, error: UnavailableError) -> list[dict[str, Any]]:
    """This host alone, for the registry cannot be asked for others.

    Raises:
        UnavailableError: The same as before, if not even that is told.
    """
    try:
        status = ask_object(options, "status", SEGMENTS_S)
        answer = {"ok": True, "result": ask(options, "segments", SEGMENTS_S, {"names": [pattern]})}
    except DaosupError:
        raise error from None
    machine = {"hostname": status.get("host"), "ip": None, "role": status.get("role"), "last_connect": None}
    return joined([machine | {"segments": []}], {str(status.get("host")): answer}, pattern)


def joined(machines: list[Any], answers: dict[str, Any], pattern: str) -> list[dict[str, Any]]:
    """What the registry knows of each host, with what the hosts themselves answer.

    Args:
        machines: As the command ``machines`` has them.
        answers: Of ``segments``, by host, as ``ask`` has them; under no name why nobody could be asked.
        pattern: Which segments.

    Returns:
        For each host its ``hostname``, ``ip``, ``role``, ``last_connect``, ``is_answering``, ``error`` (``kind`` and
        ``message``, or None) and ``segments``: each with what the registry knows of it (``name``, ``shape``, ``dtype``,
        ``readers``: how many) and what is known if its host answers, None else: ``reader_hosts``, ``writers`` (the
        hosts that write to it from their mirrors) and those of ``_TOLD``.
    """
    told = {host: _result(answer) for host, answer in answers.items()}
    writers: dict[str, list[str]] = {}
    for host, result in sorted(told.items()):
        for source in _list(result.get("writes_to")):
            writers.setdefault(str(source), []).append(host)
    hosts = []
    for machine in machines:
        host = str(machine.get("hostname"))
        answer, result = answers.get(host) or answers.get("") or {}, told.get(host) or {}
        live = {str(each.get("name")): each for each in _list(result.get("segments")) if isinstance(each, dict)}
        known = {str(each.get("name")): each for each in machine.get("segments") or ()}
        names = [name for name in sorted(known.keys() | live.keys()) if fits(pattern, host, name)]
        hosts.append(
            {key: machine.get(key) for key in ("hostname", "ip", "role", "last_connect")}
            | {
                "is_answering": answer.get("ok") is True,
                "error": None if answer.get("ok") is True else answer.get("error") or _UNASKED,
                "segments": [_segment(name, known.get(name), live.get(name), writers, host) for name in names],
            }
        )
    return hosts


_UNASKED = {"kind": "no_answer", "message": "it was not asked"}


def _result(answer: Any) -> dict[str, Any]:
    result = answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
    return result if isinstance(result, dict) else {}


def _segment(
    name: str, known: dict[str, Any] | None, live: dict[str, Any] | None, writers: dict[str, list[str]], host: str
) -> dict[str, Any]:
    both = {**(known or {}), **(live or {})}
    readers = None if live is None else sorted(map(str, _list(live.get("readers"))))
    writing = None if live is None else {*map(str, _list(live.get("writers"))), *writers.get(f"{host}:{name}", ())}
    return {
        "name": name,
        "shape": both.get("shape"),
        "dtype": both.get("dtype"),
        "readers": len(readers) if readers is not None else both.get("readers"),
        "reader_hosts": readers,
        "writers": sorted(writing) if writing is not None else None,
        **{key: live.get(key) if live else None for key in _TOLD},
    }


def _list(value: object) -> list[Any]:
    """What another host says is a list."""
    return value if isinstance(value, list) else []


def _near(pattern: str, machines: list[Any]) -> str:
    """What was probably meant by one that is no pattern at all."""
    if any(character in pattern for character in _WILD):
        return "; `daosupctl ls` lists all"
    known = {str(each["hostname"]): [segment["name"] for segment in each["segments"]] for each in machines}
    host, _, name = pattern.rpartition(":")
    try:
        return did_you_mean_source(Source(host or "", name), known) or "; `daosupctl ls` lists all"
    except UsageError:
        return ""
