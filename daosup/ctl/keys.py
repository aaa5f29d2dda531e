"""What a terminal sends, as names of keys.

Invariant: each byte is told of once, however the line cut the bytes into pieces; what is no key that we know is left
out as a whole.
"""

from __future__ import annotations

import codecs
import re

ESCAPE = "escape"
#: The terminal has shown all that was written before it was asked.
CAUGHT_UP = "caught up"

_SEQUENCE = re.compile(r"\033(?:\[[0-?]*[ -/]*[@-~]|O[@-~])")
#: The beginning of one: more of it may come.
_BEGUN = re.compile(r"\033(?:\[[0-?]*[ -/]*|O)?\Z")
_NAMES = {
    "\033[A": "up",
    "\033[B": "down",
    "\033[C": "right",
    "\033[D": "left",
    "\033[H": "home",
    "\033[F": "end",
    "\033[1~": "home",
    "\033[4~": "end",
    "\033[7~": "home",
    "\033[8~": "end",
    "\033[5~": "page up",
    "\033[6~": "page down",
    "\033[3~": "delete",
    "\033[0n": CAUGHT_UP,
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x0c": "redraw",
    "\x15": "clear",
}


class Keys:
    """Takes what is read from a terminal."""

    def __init__(self) -> None:
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    @property
    def is_begun(self) -> bool:
        """Whether the last bytes may be the beginning of something; or they were the key Escape."""
        return bool(self._text)

    def take(self, data: bytes) -> list[str]:
        """The keys that are complete now: names, or the character itself."""
        text = self._text + self._decoder.decode(data)
        self._text = ""
        keys: list[str] = []
        at = 0
        while at < len(text):
            if text[at] == "\033":
                found = _SEQUENCE.match(text, at)
                if found is None and _BEGUN.match(text, at):
                    self._text = text[at:]
                    break
                # Also in their other form, which some terminals send after being asked to.
                keys.append(_NAMES.get(found[0].replace("O", "["), "") if found else ESCAPE)
                at = found.end() if found else at + 1
            else:
                keys.append(_NAMES.get(text[at], text[at] if text[at].isprintable() else ""))
                at += 1
        return [key for key in keys if key]

    def give_up(self) -> list[str]:
        """What was begun, when nothing more came: the key Escape, and what was typed after it."""
        text, self._text = self._text, ""
        return [ESCAPE, *text[1:]] if text else []
