"""Commands about mirrors: to have one, for now or for good, and to let it go."""

from __future__ import annotations

from daosup.ctl.asking import ANSWER_S, ask, ask_object, tell
from daosup.ctl.tables import safe
from daosup.ctl.units import shape

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from daosup.ctl.options import Options

MIRROR_S = 30.0
CHANGE_S = 15.0


def mirror(options: Options) -> int:
    """Have a mirror; returns when its first frame is there."""
    wait_s = MIRROR_S if options.wait is None else options.wait
    source = _source(options)
    arguments = {"source": source, "bidirectional": options.write_back, "wait_s": wait_s, "holder": "operator"}
    arguments |= _how(options)
    if options.keep:
        arguments["keep"] = True
    if options.called is not None:
        arguments["name"] = options.called
    made = ask_object(options, "mirror", wait_s + ANSWER_S, arguments)
    what = f"{shape(made.get('shape'))} {safe(made.get('dtype'))}" if made.get("shape") else "shape not yet known"
    told = f"{source} is mirrored as {safe(made.get('name'))} ({what}): {safe(made.get('state'))}"
    kept = ["and will be after every restart, until it is released"] if options.keep else []
    written = [f"what is written into it goes to {source}"] if options.write_back else []
    tell(options, made, lambda style, width: [told, f"file {safe(made.get('path'))}", *written, *kept])
    return 0


def keep(options: Options) -> int:
    """Have a mirror for good, whether or not its host is there now; with --wait return when it runs."""
    source = _source(options)
    called = {} if options.called is None else {"name": options.called}
    waiting = {} if options.wait is None else {"wait_s": options.wait}
    arguments = {"source": source, "bidirectional": options.write_back, **called, **waiting, **_how(options)}
    kept = ask_object(options, "keep", CHANGE_S + (options.wait or 0.0), arguments)
    reason = f" ({safe(kept['reason'])})" if kept.get("reason") else ""
    told = f"{source} is kept as {safe(kept.get('name'))} from now on: {safe(kept.get('state'))}{reason}"
    tell(options, kept, lambda style, width: [told])
    return 0


def _how(options: Options) -> dict[str, object]:
    """How frames are to come, and how many stay, as far as that is said.

    What is said of their form replaces all that was said of it.
    """
    said = {"transport": options.transport, "depth": options.depth}
    how: dict[str, object] = {key: value for key, value in said.items() if value is not None}
    form = [options.frames, options.rate, options.roi, options.stride, options.compress]
    told = " ".join(each for each in form if each is not None)
    return {**how, "delivery": told} if told else how


def release(options: Options) -> int:
    """Give up a mirror."""
    source = _source(options)
    waiting = {} if options.wait is None else {"wait_s": options.wait}
    released = ask(options, "release", CHANGE_S + (options.wait or 0.0), {"source": source, **waiting})
    tell(options, released, lambda style, width: [f"{source} is released"])
    return 0


def _source(options: Options) -> str:
    from daosup.core.types import Source  # dear to import, and status does without

    return str(Source.parse(options.name or ""))
