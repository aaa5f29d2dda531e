"""The loop of ``daosupctl top``: keys and answers in, screens out.

Invariant: it decides nothing: what a key does is ``Top``'s, what a worker does the daemon's.
"""

from __future__ import annotations

import copy
import gc
import time

from daosup.ctl.asking import ask_object
from daosup.ctl.ending import Ended, Ending
from daosup.ctl.options import Options
from daosup.ctl.terminal import Terminal, check_terminal
from daosup.ctl.top.asker import Asker
from daosup.ctl.top.screen import DO, QUIT, VIEW, Order, Top
from daosup.errors import DaosupError, UsageError

_STATUS_S = 5.0
_REDRAW_S = 1.0
#: A picture is not waited for longer than this.
_VIEW_S = 5.0


def top(options: Options) -> int:
    """Show workers until told to end."""
    if options.json:
        raise UsageError("top draws on a terminal; for programs there is `daosupctl status --json`")
    check_terminal("top", "daosupctl status")
    state = Top(ask_object(options, "status", _STATUS_S))
    gc.enable()  # what answers once does without; what lives does not
    with Ending() as ending:
        asker = Asker(options, ending.wake)
        try:
            with Terminal(ending) as terminal:
                _live(options, terminal, state, asker)
        except Ended as ended:
            return ended.exit_code
        finally:
            asker.close()
    return 0


def _live(options: Options, terminal: Terminal, state: Top, asker: Asker) -> None:
    while True:
        _take_answers(state, asker)
        if terminal.is_ready:
            age_s = time.monotonic() - asker.answered_s
            terminal.draw(state.lines(terminal.size(), terminal.style, age_s, asker.error))
        for key in terminal.keys(_REDRAW_S):
            order = state.press(key)
            if order is not None and not _carry_out(order, options, terminal, state, asker):
                return
        asker.tell_story_of(state.story_of)


def _take_answers(state: Top, asker: Asker) -> None:
    status, story, outcome = asker.take_status(), asker.take_story(), asker.take_outcome()
    if status is not None:
        state.take(status)
    if story is not None and story[0] == state.story_of:
        if isinstance(story[1], DaosupError):
            state.tell(str(story[1]), is_bad=True)
        else:
            state.take_story(story[1])
    if outcome is not None:
        state.tell(outcome[0], is_bad=outcome[1])


def _carry_out(order: Order, options: Options, terminal: Terminal, state: Top, asker: Asker) -> bool:
    """Do what a key asked for; False if that is to end."""
    if order.verb == VIEW:
        try:
            _view(options, terminal, order.name)
        except DaosupError as error:
            state.tell(f"{order.name}: {error}", is_bad=True)
    elif order.verb == DO and asker.is_busy:
        state.tell("the last order is still being carried out; try again", is_bad=True)
    elif order.verb == DO:
        state.tell(f"{order.command} {order.name} ...")
        asker.do(order.command, order.name)
    return order.verb != QUIT


def _view(options: Options, terminal: Terminal, source: str) -> None:
    """Look at a worker's segment, from here, until the key q."""
    from daosup.ctl.reaching import reached  # with NumPy, which top itself does without
    from daosup.ctl.view import ENOUGH_HZ, watch

    here = copy.copy(options)
    here.host, here.wait = None, _VIEW_S
    with reached(here, source, enough_hz=ENOUGH_HZ) as place:
        watch(terminal, place)
