"""The schemas of what --json prints, and the page made of them; real answers: integration/test_json.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError

from daosup.ctl.commands import COMMANDS
from tests.schemas import check, markdown, schemas
from tests.status_samples import a_status, a_story, a_told, a_worker

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
#: Those that print no JSON of their own.
WITHOUT = {"logs", "completion", "top"}


def test_the_page_is_what_the_schemas_say() -> None:
    assert PAGE.read_text("utf-8") == markdown(), "run: python -m tests.schemas > docs/json.md"


def test_every_command_that_prints_json_has_a_schema() -> None:
    titles = " ".join(schema["title"] for schema in schemas().values())
    assert {name for name in COMMANDS if not re.search(rf"\b{name}\b", titles)} <= WITHOUT


def test_every_field_says_what_it_is() -> None:
    def fields(schema: Any) -> Any:
        if isinstance(schema, dict):
            yield from schema.get("properties", {}).items()
            for each in schema.values():
                yield from fields(each)

    assert [
        name for schema in schemas().values() for name, field in fields(schema) if not field.get("description")
    ] == []


def test_samples_are_as_the_schemas_have_it() -> None:
    check("status", a_status())
    check("status", a_status(degraded={"since_s": 1.5, "reasons": ["the registry is away"]}, role=None))
    check("status-name", a_story())
    check("status-name", a_story(process=None, owner=None, readers=[], history=[a_told(body="a line")]))


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"role": "emperor"},
        {"uptime_s": "long"},
        {"workers": [a_worker(more=1)]},
        {"workers": [a_worker(latency={"p50_s": 1.0})]},
        {"config": {"file": None, "loaded_utc": "yesterday", "mistakes": [], "needs_restart": []}},
    ],
)
def test_what_is_otherwise_is_found_out(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check("status", a_status(**changes))


def test_what_is_missing_is_found_out() -> None:
    for name in a_status():
        with pytest.raises(ValidationError):
            check("status", {key: value for key, value in a_status().items() if key != name})
