"""``daosupctl view``: a segment's frames in the terminal, or one of them as a picture.

Invariant: what is on the screen is the newest frame that the line to it has had the time for; a mirror that was made to
be looked at is gone with the look.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from daosup.ctl.asking import tell
from daosup.ctl.copying import facts_of, first_shot
from daosup.ctl.ending import Ended, Ending
from daosup.ctl.frame_files import png, utc, write_file
from daosup.ctl.ink import Ink, ink_of
from daosup.ctl.options import Options
from daosup.ctl.reaching import Reached, reached
from daosup.ctl.seen import Rate, Seen, facts_line, flattened, pixels, statistics_of
from daosup.ctl.tables import safe
from daosup.ctl.terminal import Terminal
from daosup.ctl.units import shape
from daosup.ctl.watching import Shot, Watched

#: Between two pictures at least; and at most this share of the time is spent on making them.
PERIOD_S = 0.1
#: A mirror that is made to be looked at needs no more.
ENOUGH_HZ = 1 / PERIOD_S
_SHARE = 0.5
_ONCE_SIZE = (80, 24)


def view(options: Options) -> int:
    """Show frames until told to end; or one, if there is no terminal or one is asked for."""
    is_living = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    with reached(options, options.name or "", enough_hz=ENOUGH_HZ) as place:
        if options.png is not None or options.once or options.json or not is_living:
            return _once(options, place)
        gc.enable()  # what answers once does without; what lives does not
        with Ending() as ending:
            try:
                with Terminal(ending) as terminal:
                    watch(terminal, place)
            except Ended as ended:
                return ended.exit_code
    return 0


def watch(terminal: Terminal, place: Reached) -> None:
    """Show a segment until the key q.

    Raises:
        Ended: If the program is asked to end.
    """
    watched, seen, rate = Watched(place.source, place.path), Seen(), Rate()
    shot, rate_hz, next_s = watched.look(), None, 0.0
    try:
        while True:
            rate_hz = rate.take(watched.written)
            began_s = time.monotonic()
            if terminal.is_ready and began_s >= next_s:
                if not seen.is_held:
                    shot = watched.look() or shot
                size = terminal.size()
                terminal.draw(seen.lines(shot, rate_hz, watched.trouble, size, terminal.ink, terminal.style))
                spent_s = time.monotonic() - began_s
                next_s = began_s + max(PERIOD_S, spent_s / _SHARE)
            left_s = next_s - time.monotonic()
            for key in terminal.keys(left_s if left_s > 0 else PERIOD_S):
                if key in ("q", "Q", "escape"):
                    return
                seen.press(key)
                next_s = 0.0
    finally:
        watched.close()


def _once(options: Options, place: Reached) -> int:
    shot = first_shot(options, place.source, place.path)
    picture = None if options.png is None else os.path.abspath(options.png)
    told = {**facts_of(shot, place.path), **statistics_of(shot.frame), "file": picture}
    lines = [f"{safe(shot.source)}  {shape(shot.frame.shape)} {shot.frame.dtype.name}  frame {shot.counter}"]
    lines.append(facts_line(shot.frame))
    if options.png is not None:
        _write_picture(options.png, shot)
        lines.append(f"the picture is in {options.png}")
    tell(options, told, lambda style, width: lines if options.png is not None else [*lines, *_picture(shot, width)])
    return 0


def _picture(shot: Shot, width: int | None) -> list[str]:
    """On a terminal as high as there is room; in a pipe as on a terminal of 80x24, and without colours."""
    columns, rows = os.get_terminal_size(1) if width is not None else _ONCE_SIZE
    ink = ink_of(os.environ, sys.stdout.encoding)
    if ink.has_colours and width is None:
        ink = Ink.UNICODE
    values, _ = flattened(shot.frame)
    seen = Seen()
    lines = seen.picture(values, max(1, (rows or 24) - 4), columns or 80, ink, seen.scale(values))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _write_picture(path: str, shot: Shot) -> None:
    levels, scale = pixels(shot.frame)
    facts = {
        "Title": shot.source,
        "Creation Time": f"{utc(shot.time_ns)} UTC",
        "Description": f"frame {shot.counter}, {shape(shot.frame.shape)} {shot.frame.dtype.name}, "
        f"dark {scale.low:.9g}, bright {scale.high:.9g}",
        "Software": "daosup",
    }
    write_file(path, png(levels, facts))
