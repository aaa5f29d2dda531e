"""The words about the configuration, from its schema: docs/configuration.md, and tables for the manual page.

``python -m daosup.config.reference > docs/configuration.md`` writes that file.

Invariant: every key of `Config` is in the text, in the words that its check uses.
"""

from __future__ import annotations

from collections.abc import Iterator

from daosup.config import Config
from daosup.config.kinds import Key
from daosup.config.reading import arrays_of, keys_of, tables_of

_HEAD = """\
# Configuration

<!-- Written by `python -m daosup.config.reference > docs/configuration.md`; a test compares. -->
"""

INTRODUCTION = """\
An instance reads `/etc/daosup/<instance>.toml`, in [TOML](https://toml.io). Without that file all keys have their
defaults; a file that is named with `--config` must exist. Options of the command line win over the file.

The file is checked as a whole before anything is started. All mistakes are reported at once, each with file, line and
key, and the daemon ends with exit code 78; systemd does not start it again until somebody does. An unknown key is a
mistake.

It is read anew on `systemctl reload`, `daosupctl reload` and SIGHUP, by the same rules: if anything in it is wrong, all
of it is refused and what was in force stays so. A key that takes effect by *reload* is in force at once, and only what
it concerns is touched. A key that takes effect by *restart* keeps its old value until the supervisor is restarted; log,
`daosupctl status` and the answer of `daosupctl reload` name it.
"""

_EXAMPLES = """\
`packaging/master.toml` has all keys with their defaults; `packaging/minion.toml` is what a further host needs.
"""

_ROW = "| key | allowed | default | takes effect by | meaning |\n|---|---|---|---|---|\n"

CONCLUSION = """\
`redis.url` replaces `redis.host`, `redis.port` and `redis.db`; giving both is a mistake. An address on the command line
replaces the whole address in the file. Passwords are never shown or logged; keep them in `redis.password_file` rather
than in the URL.

Modes are text in quotes, since TOML would read `0660` as a mistake and `660` as a decimal number.
"""


def tables() -> Iterator[tuple[str, str, dict[str, tuple[Key, bool]]]]:
    """Each table as it begins in the file, what it is about, and its keys: which, and whether they are live."""
    rows: dict[str, dict[str, tuple[Key, bool]]] = {"": {}, **{name: {} for name in tables_of(Config)}}
    for dotted, key in keys_of(Config).items():
        table, _, name = dotted.rpartition(".")
        rows[table][name] = (key, key.is_live)
    yield "Top level", "", rows[""]
    for name, (_, doc) in tables_of(Config).items():
        yield f"[{name}]", doc, rows[name]
    for name, array in arrays_of(Config).items():
        keys = {inner: (key, array.is_live) for inner, key in keys_of(array.cls).items()}
        yield f"[[{name}]]", f"{array.doc} There may be any number of these.", keys


def markdown() -> str:
    """The reference of all keys."""
    sections = [_HEAD, INTRODUCTION, _EXAMPLES]
    for heading, doc, keys in tables():
        text = "".join(_row(name, key, is_live=is_live) for name, (key, is_live) in keys.items())
        sections.append("\n\n".join(filter(None, (f"## {heading}", doc, _ROW + text))))
    return "\n".join([*sections, CONCLUSION])


def _row(name: str, key: Key, *, is_live: bool) -> str:
    effect = "reload" if is_live else "restart"
    return f"| `{name}` | {key.kind.allowed} | {key.default} | {effect} | {key.doc} |\n"


if __name__ == "__main__":
    print(markdown(), end="")
