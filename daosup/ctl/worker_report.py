"""What ``daosupctl status NAME`` prints: all that is known of one worker.

Invariant: a line is told only if there is something to say, and none is wider than the terminal, words of programs
(tracebacks, what they wrote) excepted.
"""

from __future__ import annotations

from daosup.ctl.tables import Column, Style, safe, table, wrapped
from daosup.ctl.units import UNKNOWN, count, duration, moment, percent, quantity, shape
from daosup.ctl.worker_table import STATE_COLOURS, latency_of, trouble_of

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_LABEL_WIDTH = 11
_MB = 1e6
_READERS = (
    Column("READER", is_name=True),
    Column("ADDRESS"),
    Column("PROTOCOL", is_number=True),
    Column("WRITES"),
)
_KEYWORDS = (Column("KEYWORD"), Column("VALUE"), Column("COMMENT", is_name=True))
_LEVELS = {"error": "bad", "warning": "doubtful"}
#: Of an entry of the history these say what the rest of the report says too.
_SAID = ("pid", "segment", "source")


def worker_report(story: dict[str, Any], style: Style, width: int | None, *, is_verbose: bool = False) -> list[str]:
    """The lines; with ``is_verbose`` times are absolute as well, and the history says what belongs to each entry."""
    worker, segment = story.get("worker") or {}, story.get("segment") or {}
    state = str(worker.get("state"))
    since_s = worker.get("uptime_s")
    for_long = f" for {_since(since_s, is_verbose)}" if since_s is not None else ""
    name = f"{safe(worker.get('kind'))} {safe(worker.get('source'))}"
    lines = [f"{style(name, 'strong')}  {style(safe(state), STATE_COLOURS.get(state, ''))}{for_long}"]
    for label, told, colour in _facts(story, is_verbose):
        first, *rest = wrapped(told, None if width is None else width - _LABEL_WIDTH, "")
        lines.append(f"{label:{_LABEL_WIDTH}}{style(first, colour)}".rstrip())
        lines += [" " * _LABEL_WIDTH + style(line, colour) for line in rest]
        if label == "last exit":
            lines += [f"  {safe(line)}" for line in str(worker.get("last_details") or "").splitlines()]
    readers = [
        (
            reader.get("host"),
            reader.get("ip") or UNKNOWN,
            reader.get("protocol"),
            "yes" if reader.get("writes") else "no",
        )
        for reader in story.get("readers") or ()
    ]
    if readers:
        lines += ["", *table(_READERS, readers, style, width)]
    keywords = [(each.get("name"), each.get("value"), each.get("comment")) for each in segment.get("keywords") or ()]
    if keywords:
        lines += ["", *table(_KEYWORDS, keywords, style, width)]
    history = list(_history(story.get("history") or [], style, width, is_verbose))
    return [*lines, "", *history] if history else lines


def _since(ago_s: object, is_verbose: bool) -> str:
    return f"{duration(ago_s)}, since {moment(ago_s)}" if is_verbose else duration(ago_s)


def _facts(story: dict[str, Any], is_verbose: bool) -> Iterator[tuple[str, str, str]]:
    """Label, text and colour of each line that has something to say."""
    worker, owner = story.get("worker") or {}, story.get("owner")
    trouble = trouble_of(worker)
    if trouble:
        yield "trouble", trouble, "doubtful"
    if worker.get("last_exit"):
        yield "last exit", f"{worker['last_exit']}, {_ago(worker.get('last_exit_s'), is_verbose)}", "bad"
    if owner is not None:
        yield "owner", _owner(owner, worker), ""
    else:
        yield "port", str(worker.get("port") or UNKNOWN), ""
    yield from _way(worker)
    if worker.get("kind") == "gate":
        yield "handed on", f"{count(worker.get('frames'))} readers to publishers so far", ""
    else:
        yield from _flow(worker)
    process = story.get("process")
    if process:
        yield "process", _process(process, is_verbose), ""
    limits = ", ".join(_limits(story.get("limits") or {}))
    if limits:
        yield "limits", limits, ""
    if story.get("segment"):
        yield "segment", _segment(story["segment"]), ""
    if worker.get("holders"):
        yield "held by", ", ".join(worker["holders"]), ""
    write_back = worker.get("write_back")
    if write_back or worker.get("written") or worker.get("refused"):
        state = f"{write_back.get('state')}, " if write_back else ""
        yield "write-back", f"{state}{count(worker.get('written'))} written, {count(worker.get('refused'))} refused", ""
    elif worker.get("writing"):
        yield "write-back", f"{str(worker['writing']).replace('_', ' ')} to readers", ""


def _way(worker: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if worker.get("transport") or worker.get("direct_port") or worker.get("transport_reason"):
        yield "transport", _transport(worker), ""
    delivery = ", ".join(_delivery(worker.get("delivery") or {}))
    if delivery:
        yield "delivery", delivery, ""


def _flow(worker: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if worker.get("uptime_s") is None:
        return
    rates = f"{quantity(worker.get('rate_hz'), 'Hz')}, {quantity(worker.get('bytes_per_s'), 'B/s')}"
    newest = f", the newest {duration(worker['age_s'])} old" if worker.get("age_s") is not None else ""
    yield "frames", f"{rates}, {count(worker.get('frames'))} so far{newest}", ""
    latency = worker.get("latency")
    if latency:
        p50, p99 = latency_of(worker)
        until = "sent" if worker.get("kind") == "publisher" else "here"
        told = f"p50 {p50}, p99 {p99} from written to {until} ({count(latency.get('frames'))} frames)"
        yield "latency", told, ""
    lost = f"{count(worker.get('skipped'))} frames skipped in {count(worker.get('gaps'))} gaps"
    if worker.get("passed_over"):
        lost += f", {count(worker['passed_over'])} passed over for a newer one"
    yield "lost", lost, ""


def _owner(owner: dict[str, Any], worker: dict[str, Any]) -> str:
    link = f"link {worker.get('link')}"
    if not owner.get("endpoint"):
        return f"{owner.get('host')}, {link}"
    return f"{owner.get('host')} at {owner['endpoint']} (protocol {owner.get('protocol')}), {link}"


def _transport(worker: dict[str, Any]) -> str:
    is_publisher = worker.get("kind") == "publisher"
    told = str(worker.get("transport") or ("nobody reads yet" if is_publisher else "none"))
    if worker.get("kind") == "publisher":
        where = f"directly at port {worker['direct_port']}" if worker.get("direct_port") else "not offered directly"
        return f"{told} ({worker.get('connected_direct')} of {worker.get('connected')} directly; {where})"
    if worker.get("transport_reason"):
        return f"{told}, not direct: {worker['transport_reason']}"
    return f"{told} from {worker['direct_endpoint']}" if told == "direct" and worker.get("direct_endpoint") else told


def _delivery(delivery: dict[str, Any]) -> Iterator[str]:
    """In which form frames are asked for, where that is not as usual."""
    if delivery.get("frames") not in (None, "newest"):
        yield f"{delivery['frames']} frame"
    if delivery.get("rate_hz"):
        yield f"at most {quantity(delivery['rate_hz'], 'Hz')}"
    if delivery.get("roi"):
        yield f"of each {delivery['roi']}"
    if delivery.get("stride"):
        yield f"stride {delivery['stride']}"
    if delivery.get("compress") not in (None, "none"):
        yield f"packed by {delivery['compress']}"


def _process(process: dict[str, Any], is_verbose: bool) -> str:
    memory = f"memory {quantity(process.get('memory_bytes'), 'B')}"
    shares = [
        f"{quantity(process.get(key), 'B')} {what}"
        for key, what in (("shared_out_bytes", "its share"), ("own_bytes", "its own"))
        if process.get(key) is not None
    ]
    beat = f", its loop beat {duration(process['beat_age_s'])} ago" if process.get("beat_age_s") is not None else ""
    about = f" ({', '.join(shares)})" if shares else ""
    since = f", since {moment(process.get('uptime_s'))}" if is_verbose else ""
    return f"pid {process.get('pid')}{since}, CPU {percent(process.get('cpu'))}, {memory}{about}{beat}"


def _limits(limits: dict[str, Any]) -> Iterator[str]:
    if limits.get("memory_limit_mb"):
        yield f"{quantity(limits['memory_limit_mb'] * _MB, 'B')} of its own memory"
    if limits.get("cpu_affinity"):
        yield f"CPU {', '.join(map(str, limits['cpu_affinity']))}"
    if limits.get("nice") is not None:
        yield f"nice {limits['nice']}"
    if limits.get("fifo_priority"):
        yield f"FIFO priority {limits['fifo_priority']}"
    if limits.get("lock_memory"):
        yield "memory locked"
    if limits.get("spin_ms"):
        yield f"spins for frames faster than one each {limits['spin_ms']} ms"
    if limits.get("busy_poll_us"):
        yield f"busy poll for {limits['busy_poll_us']} us"
    if limits.get("quick_ack"):
        yield "acknowledges at once"
    if limits.get("huge_pages"):
        yield "huge pages"


def _segment(segment: dict[str, Any]) -> str:
    if segment.get("error"):
        return str(segment["error"])
    depth = f" x{segment['depth']}" if segment.get("depth", 1) != 1 else ""
    looks = f"{shape(segment.get('shape'))} {segment.get('dtype')}, {segment.get('layout')}{depth}"
    return f"{segment.get('file')}: {looks}, {quantity(segment.get('nbytes'), 'B')} a frame"


def _ago(ago_s: object, is_verbose: bool) -> str:
    return f"{duration(ago_s)} ago" + (f", at {moment(ago_s)}" if is_verbose else "")


def _history(history: list[dict[str, Any]], style: Style, width: int | None, is_verbose: bool) -> Iterator[str]:
    """What the log told lately, the newest last, as in `daosupctl logs`; those with one id belong together."""
    for each in history:
        times = f" ({count(each.get('count'))} times)" if each.get("count", 1) > 1 else ""
        fields = each.get("fields") or {}
        told = ", ".join(str(value) for name, value in fields.items() if name not in _SAID and name != "delay_s")
        about = f": {told}" if told else ""
        head = f"{_ago(each.get('ago_s'), is_verbose)}: {each.get('text')}{times}{about} [{each.get('cause_id')}]"
        first, *rest = wrapped(head, None if width is None else width - 2, "")
        colour = _LEVELS.get(str(each.get("level")), "")
        yield style(first, colour)
        yield from (f"  {style(line, colour)}" for line in rest)
        if is_verbose:
            yield from (f"    {safe(line)}" for line in str(each.get("body") or "").splitlines())
