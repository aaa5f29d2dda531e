"""From nested mappings to checked values, with every mistake noted instead of raised.

Invariant: each key of the input ends in exactly one place: among the values, checked, or in a mistake that names
it. Nothing is ignored and nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, field, fields
from typing import Any, NamedTuple, TypeVar

from daosup.config.kinds import Key, Refused, found, without_password

T = TypeVar("T")


def table(doc: str, cls: type) -> Any:
    """A dataclass field that is a table of the configuration, described by the dataclass ``cls``."""
    return field(metadata={"table": cls, "doc": doc})


def tables(doc: str, cls: type, *, is_live: bool = False) -> Any:
    """A dataclass field that is an array of tables (``[[name]]`` in the file), each read as the dataclass ``cls``.

    Its value is a tuple of ``cls``, empty if there are none. ``is_live`` is as for a key, of the array as a whole.
    """
    return field(default=(), metadata={"tables": cls, "doc": doc, "is_live": is_live})


def tables_of(cls: type) -> dict[str, tuple[type, str]]:
    """The tables of a configuration class: name -> (its class, what it is about)."""
    return {f.name: (f.metadata["table"], f.metadata["doc"]) for f in fields(cls) if "table" in f.metadata}


class Array(NamedTuple):
    """An array of tables: the class of each, what they are about, and whether a running supervisor takes new ones."""

    cls: type
    doc: str
    is_live: bool


def arrays_of(cls: type) -> dict[str, Array]:
    """The arrays of tables of a configuration class, by name."""
    known = {f.name: f.metadata for f in fields(cls) if "tables" in f.metadata}
    return {name: Array(about["tables"], about["doc"], about["is_live"]) for name, about in known.items()}


def keys_of(cls: type) -> dict[str, Key]:
    """All keys of a configuration class by dotted name, in the order they are declared; without arrays of tables."""
    own = {f.name: f.metadata["key"] for f in fields(cls) if "key" in f.metadata}
    inner = {f"{name}.{k}": v for name, (sub, _) in tables_of(cls).items() for k, v in keys_of(sub).items()}
    return {**own, **inner}


def build(cls: type[T], values: Mapping[str, object], prefix: str = "") -> T:
    """Make ``cls`` of checked values by dotted name; what is absent takes the class's default."""
    arguments: dict[str, object] = {
        f.name: build(f.metadata["table"], values, f"{prefix}{f.name}.")
        if "table" in f.metadata
        else values[prefix + f.name]
        for f in fields(cls)  # type: ignore[arg-type]  # T is always a dataclass here
        if "table" in f.metadata or prefix + f.name in values
    }
    return cls(**arguments)


class Source:
    """What one place (a file, the command line) sets, after checking.

    Attributes:
        where: The place, in words.
        lines: Line numbers by dotted key, as far as known.
        values: Checked values by dotted key.
        places: Where each key of an array of tables stands that is set there, by its name (``worker[0].match``).
    """

    def __init__(self, where: str, lines: Mapping[str, int]) -> None:
        self.where = where
        self.lines = lines
        self.values: dict[str, object] = {}
        self.places: dict[str, str] = {}

    def place(self, dotted: str) -> str:
        """Where ``dotted`` (``log.level``, ``worker[0].match``) stands: ``file:line``, or as much as is known."""
        table = dotted.partition(".")[0]
        line = self.lines.get(dotted) or self.lines.get(table) or self.lines.get(table.partition("[")[0])
        return f"{self.where}:{line}" if line else self.where


def read_nested(cls: type, mapping: Mapping[str, object], source: Source, mistakes: list[str]) -> None:
    """Check a nested mapping as TOML gives it; values go to ``source``, mistakes to ``mistakes``."""
    keys, tables, arrays = keys_of(cls), tables_of(cls), arrays_of(cls)
    for name, value in mapping.items():
        if name in arrays:
            _read_array(name, arrays[name].cls, value, source, mistakes, tables)
        elif name not in tables:
            _read_one(keys, shown(name), value, source, mistakes, arrays)
        elif isinstance(value, Mapping):
            for inner, inner_value in value.items():
                _read_one(keys, f"{name}.{shown(inner)}", inner_value, source, mistakes, arrays)
        else:
            mistakes.append(
                f"{source.place(name)}: {name} is {found(value)}, not a table; begin it with a line [{name}]"
            )


def read_dotted(cls: type, mapping: Mapping[str, object], source: Source, mistakes: list[str]) -> None:
    """Check a flat mapping of dotted keys; a value of None counts as not given."""
    keys, arrays = keys_of(cls), arrays_of(cls)
    for dotted, value in mapping.items():
        if dotted in arrays and value is not None:
            _read_array(dotted, arrays[dotted].cls, value, source, mistakes)
        elif value is not None:
            _read_one(keys, ".".join(shown(part) for part in dotted.split(".")), value, source, mistakes, arrays)


def shown(name: object) -> str:
    """A key as it stands in messages: bare, or quoted, shortened and with everything odd escaped."""
    return name if isinstance(name, str) and re.match(r"[A-Za-z0-9_-]{1,60}\Z", name) else found(name)


def line_numbers(text: str) -> dict[str, int]:
    """Line numbers (from 1) of the keys and tables of valid TOML text, by dotted name.

    Those of arrays of tables are named ``worker[0]``, ``worker[0].match``. Quoted keys and the inside of inline
    tables are not found.
    """
    lines: dict[str, int] = {}
    prefix, is_inside_text = "", False
    counts: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        was_inside_text = is_inside_text
        is_inside_text ^= (line.count('"""') + line.count("'''")) % 2 == 1
        if was_inside_text:
            continue
        header = re.match(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(?:#.*)?\Z", line)
        item = re.match(r"\s*\[\[\s*([A-Za-z0-9_-]+)\s*\]\]\s*(?:#.*)?\Z", line)
        assignment = re.match(r"\s*([A-Za-z0-9_.-]+)\s*=", line)
        if header:
            prefix = header.group(1) + "."
            lines.setdefault(header.group(1), number)
        elif item:
            counts[item.group(1)] = index = counts.get(item.group(1), -1) + 1
            prefix = f"{item.group(1)}[{index}]."
            lines.setdefault(item.group(1), number)
            lines[f"{item.group(1)}[{index}]"] = number
        elif assignment:
            lines.setdefault(prefix + assignment.group(1), number)
    return lines


def _read_array(
    name: str, cls: type, value: object, source: Source, mistakes: list[str], tables: Collection[str] = ()
) -> None:
    """Check an array of tables; the value is a tuple of ``cls`` if nothing in it is wrong."""
    hint = f"begin each with a line [[{name}]]"
    if isinstance(value, Mapping) and f"{name}s" in tables:
        hint += f", or write [{name}s] for what holds for all of them"
    if not isinstance(value, (list, tuple)):
        mistakes.append(f"{source.place(name)}: {name} is {found(value)}, not an array of tables; {hint}")
        return
    mistakes_before = len(mistakes)
    places: dict[str, str] = {}
    own_keys = keys_of(cls)
    items = []
    for index, table in enumerate(value):
        item, prefix = Source(source.where, source.lines), f"{name}[{index}]"
        if not isinstance(table, Mapping):
            mistakes.append(f"{source.place(prefix)}: {prefix} is {found(table)}, not a table; {hint}")
            continue
        keys = {f"{prefix}.{key}": what for key, what in own_keys.items()}
        for key, key_value in table.items():
            _read_one(keys, f"{prefix}.{shown(key)}", key_value, item, mistakes)
        mistakes.extend(
            f"{item.place(prefix)}: {prefix} has no {f.name}; set it to {own_keys[f.name].kind.allowed}"
            for f in fields(cls)
            if f.default is MISSING and f.name not in table
        )
        places.update((dotted, item.place(dotted)) for dotted in item.values)
        items.append({dotted[len(prefix) + 1 :]: checked for dotted, checked in item.values.items()})
    if len(mistakes) == mistakes_before:
        source.values[name] = tuple(build(cls, values) for values in items)
        source.places.update(places)


def _read_one(
    keys: Mapping[str, Key],
    dotted: str,
    value: object,
    source: Source,
    mistakes: list[str],
    arrays: Collection[str] = (),
) -> None:
    if dotted not in keys:
        what = "table" if _is_table(value) and "." not in dotted else "key"
        mistakes.append(f"{source.place(dotted)}: unknown {what} {dotted}; {_nearest(keys, arrays, dotted)}")
        return
    kind = keys[dotted].kind
    name, allowed = dotted, kind.allowed
    try:
        source.values[dotted] = kind.read(value)
    except Refused as refused:
        if refused.item is not None and isinstance(value, (list, tuple)):
            name, allowed, value = f"{dotted}[{refused.item}]", kind.item_allowed, value[refused.item]
        if kind.is_secret and isinstance(value, str):
            value = without_password(value)
        hint = f"; {refused.hint}" if refused.hint else ""
        mistakes.append(f"{source.place(dotted)}: {name} is {found(value)}, not {allowed}{hint}")


def _is_table(value: object) -> bool:
    items = value if isinstance(value, (list, tuple)) and value else [value]
    return all(isinstance(item, Mapping) for item in items)


def _nearest(keys: Mapping[str, Key], arrays: Collection[str], name: str) -> str:
    """What to do about an unknown key: the nearest known one, or the list of those allowed there."""
    from daosup.core.nearest import nearest  # only a mistake pays for this import

    group, _, last = name.rpartition(".")
    tables = {table: f"[{table}]" for table in sorted({dotted.partition(".")[0] for dotted in keys if "." in dotted})}
    tables |= {array: f"[[{array}]]" for array in arrays}
    beside = {dotted.rpartition(".")[2]: dotted for dotted in keys if dotted.rpartition(".")[0] == group}
    here = beside if group else {**beside, **tables}
    # Keys are short, and many are a little like each other.
    beside_it = nearest(last, here, 0.6)
    elsewhere = [dotted for dotted in keys if dotted.rpartition(".")[2] == last]
    near = here[beside_it] if beside_it else nearest(name, elsewhere, 0.0) or nearest(name, keys, 0.75)
    if near:
        return f"did you mean {near}?"
    if group and beside:
        header = f"[[{group.partition('[')[0]}]]" if "[" in group else f"[{group}]"
        return f"{header} may have " + ", ".join(beside)
    return "there may be " + ", ".join(k for k in keys if "." not in k) + " and " + ", ".join(tables.values())
