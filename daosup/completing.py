"""What may come next on a command line: the half of shell completion that is not the shell's.

A shell's function (`ctl/completion.*`) runs the program that is typed as ``PROGRAM __complete WORD ...``: the words
after its name up to the one to complete, which is last and may be empty. The answer has a line for each word that can
stand there, ``WORD<tab>WHAT IT IS``, whether or not it begins as what is typed; or the one line ``:files``.

Invariant: completing never disturbs who types. Whatever is wrong, nothing is printed, and it ends soon.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping

    Words = Iterable[tuple[str, str]]
    Options = Mapping[str, tuple[str, str]]

ASKED = "__complete"
FILES = ":files"


class Line:
    """What is typed before the word to complete.

    Attributes:
        arguments: The words that are no options and no option's.
        values: What the options are followed by, and "" for those that take nothing.
        pending: What the option before the word is followed by: its name in help (FILE); else "".
    """

    def __init__(self, words: list[str], options: Options) -> None:
        takes = {form: value for names, (value, _) in options.items() for form in names.split(", ")}
        self.arguments: list[str] = []
        self.values: dict[str, str] = {}
        self.pending = ""
        option = ""
        for word in words:
            if self.pending:
                self.values[option], self.pending = word, ""
            elif word.startswith("-") and len(word) > 1:
                option, equals, value = word.partition("=")
                self.values[option] = value
                value_form = takes.get(option, "")
                # What may follow or not, in brackets, is not waited for.
                self.pending = "" if equals or value_form.startswith("[") else value_form
            else:
                self.arguments.append(word)


def options_of(parser: argparse.ArgumentParser) -> dict[str, tuple[str, str]]:
    """The options of a parser as its help shows them: what each is followed by (choices joined by ``|``), and does."""
    shown = {}
    for action in parser._actions:
        if action.option_strings and action.help != "==SUPPRESS==":
            value = "|".join(action.choices) if action.choices else action.metavar
            shown[", ".join(action.option_strings)] = (str(value or ""), action.help or "")
    return shown


def next_words(line: Line, typed: str, options: Options, kinds: Mapping[str, Callable[[], Words]]) -> Words:
    """What can stand where ``typed`` is: an option's value or an option; nothing where an argument is to be.

    Args:
        line: What is before it.
        typed: What is there already.
        options: Those that may be used here.
        kinds: What is known to offer, by what options are followed by.
    """
    if line.pending:
        return _values(line.pending, kinds)
    option, equals, _ = typed.partition("=")
    if equals and option.startswith("--"):
        values = _values(options.get(option, ("", ""))[0], kinds)
        return [(value if value == FILES else f"{option}={value}", text) for value, text in values]
    if not typed.startswith("-"):
        return ()
    forms = {names: names.split(", ") for names in options}
    unused = [names for names in options if line.values.keys().isdisjoint(forms[names])]
    return [(forms[names][-1], options[names][1]) for names in unused]  # the long form, which says more


def _values(name: str, kinds: Mapping[str, Callable[[], Words]]) -> Words:
    if "|" in name:
        return [(word, "") for word in name.split("|")]
    return kinds[name]() if name in kinds else ()


def files() -> Words:
    """Have the shell offer files."""
    return [(FILES, "")]


def configured_instances() -> Words:
    """Instances that have a configuration on this machine."""
    from daosup.config import CONFIG_FOLDER

    try:
        names = sorted(os.listdir(CONFIG_FOLDER))
    except OSError:
        return []
    return [(name[: -len(".toml")], f"{CONFIG_FOLDER}/{name}") for name in names if name.endswith(".toml")]


def answer(find: Callable[[list[str]], Words], words: list[str]) -> int:
    """Print what ``find`` offers for ``words``; returns the exit code.

    Some words come from other hosts: one with a character that means something to a shell is left out.
    """
    try:
        found = [(word, text if text.isprintable() else "") for word, text in find(words or [""]) if _is_harmless(word)]
        print("".join(f"{word}\t{text}\n" if text else f"{word}\n" for word, text in found), end="", flush=True)
    except Exception:
        pass
    return 0


def _is_harmless(word: str) -> bool:
    return word.isascii() and all(letter.isalnum() or letter in "_.:@=+,-" for letter in word)
