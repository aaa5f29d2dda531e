"""Manual pages from text as our programs and documents have it: a little Markdown becomes roff.

Invariant: every character of the text is one that the reader sees, and copies. No text can be taken for a request:
backslashes, hyphens, quotes and dots at the beginning of a line are escaped; what is not ASCII is named by its number.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_ESCAPES = {"\\": r"\(rs"}
# What formatters make typographic of, and what they need not: code is to be copied.
_CODE_ESCAPES = {"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
_INLINE = re.compile(r"`([^`]+)`|(?<!\w)\*(\w[^*]*)\*|(https?://[^\s)]*[^\s).,])")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)]+)\)")


_WIDTH = 80


def title(name: str, section: int, date: str, version: str) -> str:
    """The first line of a page."""
    return f'.TH {name.upper()} {section} "{date}" "daosup {version}" "daosup"\n'


def code(text: str) -> str:
    """Text that is to be copied as it is."""
    return _guarded("".join(_CODE_ESCAPES.get(letter, _of(letter)) for letter in text))


def bold(text: str) -> str:
    """The same, as what is to be typed."""
    return rf"\fB{code(text)}\fR"


def inline(text: str) -> str:
    """Prose in one line, with code between backticks and *stress* between asterisks, as Markdown has them."""
    text = _LINK.sub(r"\1, \2", text)
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(_prose(text[end : match.start()]))
        typed, stressed, address = match.groups()
        parts.append(bold(typed) if typed else rf"\fI{_prose(stressed)}\fR" if stressed else code(address))
        end = match.end()
    return _guarded("".join([*parts, _prose(text[end:])]))


def entry(term: str, text: str) -> str:
    """A term, already roff, and below it what it means."""
    return f".TP\n{term}\n{paragraphs(text, begins=True)}"


def heading(text: str) -> str:
    """The heading of a section."""
    return f".SH {_prose(text.upper())}\n"


def subheading(text: str) -> str:
    """The heading of a part of a section, already roff."""
    return f".SS {text}\n"


def paragraphs(text: str, *, begins: bool = False) -> str:
    """Text with blank lines between its paragraphs.

    What is indented are examples, each with what it does behind it or without. A line and below it one that begins with
    ``:`` is a term and what it means.

    Args:
        text: The text.
        begins: Whether it comes at once after a heading.
    """
    parts: list[str] = []
    for block in _blocks(text):
        if block[0].startswith("  "):
            parts.append(_examples(block, begins=begins and not parts))
        elif len(block) > 1 and block[1].startswith(":"):
            parts.append(f".TP\n{inline(block[0])}\n{_lines(' '.join(map(str.strip, block[1:]))[1:].strip())}")
        else:
            parts.append(("" if begins and not parts else ".PP\n") + _lines(" ".join(block)))
    return "".join(parts)


def _lines(text: str) -> str:
    """Prose, where it does not matter how it is divided into lines."""
    lines = textwrap.wrap(inline(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{_guarded(line)}\n" for line in lines)


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines that belong together: paragraphs, and the examples that follow one without a blank line."""
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        is_other = bool(block) and not block[-1].startswith(":") and line.startswith("  ") != block[0].startswith("  ")
        if block and (not line.strip() or (is_other and not any(each.startswith(":") for each in block))):
            yield block
            block = []
        if line.strip():
            block.append(line.rstrip())


def literal(lines: list[str], *, begins: bool = False) -> str:
    """Lines as they stand; ``begins`` as in ``paragraphs``."""
    text = ".RS 4\n.nf\n" + "".join(f"{code(line)}\n" for line in lines) + ".fi\n.RE\n"
    return text if begins else f".PP\n{text}"


def _examples(lines: list[str], *, begins: bool) -> str:
    """Commands, with what they do behind them if any has that."""
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    pairs = [re.match(r"(\S.*?)(?:\s{2,}(\S.*))?$", line.strip()) for line in lines]
    if not any(pair and pair[2] for pair in pairs):
        return literal([line[margin:] for line in lines], begins=begins)
    return "".join(
        f".TP\n{bold(pair[1])}\n{_lines(pair[2])}" if pair[2] else f".PP\n{bold(pair[1])}\n" for pair in pairs if pair
    )


def _prose(text: str) -> str:
    return "".join(_ESCAPES.get(letter, _of(letter)) for letter in text)


def _of(letter: str) -> str:
    return letter if letter.isascii() else rf"\[u{ord(letter):04X}]"


def _guarded(line: str) -> str:
    """No request, also where a font begins the line."""
    return rf"\&{line}" if line.startswith((".", "'")) else line
