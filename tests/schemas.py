"""The JSON Schemas of what ``daosupctl --json`` prints: docs/schemas/*.json.

``python -m tests.schemas > docs/json.md`` writes the page that is made of them.

For tests a schema is strict: what it does not name must not be there. Programs may find more in a later version.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
#: In the order in which they are told; then all others.
_FIRST = (
    "status",
    "status-name",
    "ls",
    "who",
    "discover",
    "doctor",
    "mirror",
    "keep",
    "release",
    "work",
    "reload",
    "reexec",
    "all",
)

_HEAD = """\
# What `--json` prints

<!-- Written by `python -m tests.schemas > docs/json.md`; a test compares. -->

Every command of `daosupctl` that prints a result prints it for programs with `--json`: what is described here,
exactly as the daemon answered. Each of these has a [JSON Schema](https://json-schema.org) in [schemas/](schemas/);
the tests compare real answers with them. A later version may add fields; it neither takes one away nor changes what
it means. All fields are always there; *or null* says that it may be unknown or not apply. Units are in the names:
`_s` seconds, `_bytes` bytes, `_hz` per second, `_utc` a time in ISO 8601.

An error is one line on standard error and an exit code (`daosupctl --help`), with `--json` too. `daosupctl logs
--json` prints the journal's own entries, one object a line, with the fields of [journal.md](journal.md).
"""


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """All of them, by the names of their files without suffix."""
    names = [path.stem for path in FOLDER.glob("*.json")]
    names.sort(key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return {name: json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in names}


def check(name: str, value: object) -> None:
    """See that an answer is as its schema has it, and has nothing that the schema does not name.

    Raises:
        jsonschema.ValidationError: If not.
    """
    _validator(name).validate(value)


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resources = [(f"{each}.json", DRAFT202012.create_resource(_strict(schema))) for each, schema in schemas().items()]
    schema = _strict(schemas()[name])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(
        schema,
        registry=Registry().with_resources(resources),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    schema = copy.deepcopy(schema)
    for each in (schema, *schema.get("$defs", {}).values(), *schema.get("properties", {}).values()):
        if "properties" in each:
            each["additionalProperties"] = False
    return schema


# -- the page


def markdown() -> str:
    """All schemas as people read them."""
    parts = [_HEAD]
    for name, schema in schemas().items():
        parts.append(f"\n## {schema['title']}\n\n{schema['description']} ([schema](schemas/{name}.json))\n")
        if "items" in schema:
            parts.append(f"\nA list of {_named(schema['items'])}.\n")
        if "additionalProperties" in schema:
            parts.append(f"\nBy host: {' or '.join(map(_named, schema['additionalProperties']['anyOf']))}.\n")
        parts += _table(schema)
        for key, definition in schema.get("$defs", {}).items():
            parts.append(f"\n**{key}**: {definition['description']}\n")
            parts += _table(definition)
    return "".join(parts)


def _table(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    rows = list(_rows(schema, prefix))
    if rows:
        yield "\n| field | is | what |\n|---|---|---|\n" + "".join(rows)


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        yield f"| `{prefix}{name}` | {_kind(field)} | {field.get('description', '')} |\n"
        yield from _rows(field, f"{prefix}{name}.")


def _kind(field: dict[str, Any]) -> str:
    if "type" not in field and not field.keys() & {"enum", "const", "$ref", "anyOf"}:
        return "anything"
    if "enum" in field:
        return _or_null([f"`{each}`" for each in field["enum"] if each is not None], None in field["enum"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "$ref" in field:
        return _named(field)
    if "anyOf" in field:
        kinds = [_kind(each) for each in field["anyOf"] if each.get("type") != "null"]
        return _or_null(kinds, len(kinds) < len(field["anyOf"]))
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    told = [_words(each, field) for each in types if each != "null"]
    return _or_null(told, "null" in types)


def _words(kind: str, field: dict[str, Any]) -> str:
    if kind == "array":
        return f"list of {_named(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)


def _named(item: dict[str, Any]) -> str:
    if "$ref" in item:
        file, _, name = item["$ref"].rpartition("#/$defs/")
        return f"{name} (of {schemas()[file[: -len('.json')]]['title']})" if file else str(name or item["$ref"])
    return {"string": "texts", "integer": "whole numbers", "number": "numbers"}.get(item.get("type", ""), "values")


def _or_null(told: list[str], has_null: bool) -> str:
    return ", ".join(told) + (" or null" if has_null else "")


if __name__ == "__main__":
    print(markdown(), end="")
