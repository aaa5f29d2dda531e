"""Writes the manual pages and shell completions: ``python packaging/manuals FOLDER``, where FOLDER becomes /usr/share.

What the programs know of themselves (commands, options, examples, keys of the configuration) comes from them; the
rest is in the ``.md`` files beside this one. There, a paragraph ``@word`` stands for what is made.

Invariant: the same daosup and the same SOURCE_DATE_EPOCH make the same bytes. Without SOURCE_DATE_EPOCH pages have no
date.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import roff

from daosup import __version__, daosupd
from daosup.completing import options_of
from daosup.config import reference
from daosup.config.kinds import Key
from daosup.ctl import arguments, completing
from daosup.ctl.commands import COMMANDS, Command

_HERE = Path(__file__).parent


def main() -> int:
    """Write all files; returns the exit code."""
    options = argparse.ArgumentParser(prog="packaging/manuals", description=(__doc__ or "").partition(":")[0] + ".")
    options.add_argument("folder", type=Path, metavar="FOLDER", help="becomes /usr/share")
    folder: Path = options.parse_args().folder
    for name, section, made in PAGES:
        _write(folder / f"man/man{section}/{name}.{section}", page(name, section, made))
    _write(folder / "bash-completion/completions/daosupctl", completing.script("bash"))
    _link(folder / "bash-completion/completions/daosupd", "daosupctl")
    _write(folder / "zsh/site-functions/_daosupctl", completing.script("zsh"))
    _link(folder / "zsh/vendor-completions/_daosupctl", "../site-functions/_daosupctl")  # where Debian's zsh looks
    return 0


def page(name: str, section: int, made: Mapping[str, Callable[[], str]]) -> str:
    """A manual page: its text, with what is ``made`` in place."""
    text = (_HERE / f"{name}.{section}.md").read_text("utf-8")
    parts = [roff.title(name, section, _date(), __version__)]
    for chapter in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = chapter.partition("\n")
        parts.append(roff.heading(heading))
        if heading == "Name":
            parts.append(" \\- ".join(map(roff.inline, body.strip().split(" - ", 1))) + "\n")
            continue
        is_first = True
        for piece in re.split(r"^(@\w+)$", body, flags=re.MULTILINE):
            if piece.startswith("@"):
                parts.append(made[piece[1:]]())
            elif piece.strip():
                parts.append(roff.paragraphs(piece, begins=is_first))
            is_first = is_first and not piece.strip()
    return "".join(parts)


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc).date().isoformat() if epoch else ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


# -- daosupctl


def _options(options: Mapping[str, tuple[str, str]]) -> str:
    return "".join(roff.entry(_option(names, value), _sentence(text)) for names, (value, text) in options.items())


def _option(names: str, value: str) -> str:
    shown = ", ".join(map(roff.bold, names.split(", ")))
    if "|" in value:
        return f"{shown} " + r"\fR|\fR".join(map(roff.bold, value.split("|")))
    return rf"{shown} \fI{roff.code(value)}\fR" if value else shown


def _sentence(text: str) -> str:
    """What a help text says, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _common_options() -> str:
    return _options(arguments.options_for(COMMANDS))


def _commands() -> str:
    return "".join(_command(name, command) for name, command in COMMANDS.items())


def _command(name: str, command: Command) -> str:
    common = arguments.options_for(COMMANDS)
    own = {key: about for key, about in arguments.options_for(COMMANDS, name).items() if key not in common}
    form = " ".join([roff.bold(f"daosupctl {name}"), *map(_argument, command.arguments)])
    parts = [roff.subheading(form), roff.paragraphs(_sentence(command.summary), begins=True), _options(own)]
    return "".join([*parts, roff.paragraphs(command.more)])


def _argument(name: str) -> str:
    if "|" in name:
        return "|".join(map(roff.bold, name.split("|")))
    return rf"\fI{roff.code(name)}\fR"


def _exit_codes_of(text: str) -> str:
    """From the last part of a help text: ``0 all is well; 64 wrong command line``."""
    codes: list[tuple[str, str]] = []
    told = " ".join(re.split(r"exit codes:\s*", text, flags=re.IGNORECASE)[1].partition("\n\n")[0].split())
    for each in told.rstrip(".").split("; " if ";" in told else ", "):
        match = re.match(r"(\d+) (.*)", each)
        if match:
            codes.append((match[1], match[2]))
        else:
            codes[-1] = (codes[-1][0], f"{codes[-1][1]}; {each}")
    return "".join(roff.entry(roff.bold(number), _sentence(meaning)) for number, meaning in codes)


# -- daosupd


def _daosupd_options() -> str:
    return _options(options_of(daosupd.parser()))


def _daosupd_examples() -> str:
    return roff.paragraphs(daosupd.EPILOG.partition("Examples:\n")[2], begins=True)


# -- daosup.toml


def _introduction() -> str:
    return roff.paragraphs(reference.INTRODUCTION, begins=True)


def _keys() -> str:
    parts = []
    for heading, doc, rows in reference.tables():
        parts += [roff.subheading(roff.code(heading)), roff.paragraphs(doc, begins=True)]
        parts += [_key(name, key, is_live=is_live) for name, (key, is_live) in rows.items()]
    return "".join([*parts, roff.paragraphs(reference.CONCLUSION)])


def _key(name: str, key: Key, *, is_live: bool) -> str:
    effect = "reload" if is_live else "restart"
    allowed = f"Allowed: {key.kind.allowed}; default: {key.default}. Takes effect by *{effect}*."
    return f"{roff.entry(roff.bold(name), key.doc)}.br\n{roff.paragraphs(allowed, begins=True)}"


PAGES: list[tuple[str, int, dict[str, Callable[[], str]]]] = [
    (
        "daosupctl",
        1,
        {"options": _common_options, "commands": _commands, "codes": lambda: _exit_codes_of(arguments.EXIT_CODES)},
    ),
    ("daosup.toml", 5, {"introduction": _introduction, "keys": _keys}),
    (
        "daosupd",
        8,
        {
            "options": _daosupd_options,
            "codes": lambda: _exit_codes_of(daosupd.EPILOG),
            "examples": _daosupd_examples,
        },
    ),
]

if __name__ == "__main__":
    sys.exit(main())
