"""[[hook]] in the configuration: what it takes, and what it says of what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from daosup.config import Config
from daosup.config.hooks import HookConfig, Scope
from daosup.core.fleet_events import FleetEvent
from daosup.errors import ConfigError

PAGE = {"on": ["worker-died"], "command": ["/usr/bin/page", "--who", "ao"]}


def hook_of(**more: Any) -> HookConfig:
    (hook,) = Config.from_mapping({"host": "rts", "hook": [{**PAGE, **more}]}).hook
    return hook


def test_what_is_left_out() -> None:
    hook = hook_of()
    assert hook == HookConfig(("worker-died",), ("/usr/bin/page", "--who", "ao"), Scope.HOST, "info", None, 30.0)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"command": "page me"}, 'in brackets; for a shell: ["/bin/sh", "-c", "..."]'),
        ({"command": []}, "not an array of a program's absolute path and its arguments"),
        ({"command": ["page"]}, "hook[0].command[0] is 'page', not a text of at most 4096 characters"),
        ({"command": ["/bin/page", 3]}, "hook[0].command[1] is 3"),
        ({"command": ["/bin/page", "a\0b"]}, "hook[0].command[1]"),
        ({"command": ["/bin/page", "x" * 5000]}, "hook[0].command[1]"),
        ({"command": ["/bin/page", "\ud800"]}, "hook[0].command[1]"),
        ({"on": []}, '["*"] is all of them'),
        ({"on": "worker-died"}, "put it in brackets"),
        ({"on": ["worker-dead"]}, "did you mean 'worker-died'?"),
        ({"on": ["worker-output"]}, "hook[0].on[0] is 'worker-output', not the name of an event"),
        ({"on": ["zzz*"]}, "docs/journal.md marks what is an event"),
        ({"of": "world"}, 'hook[0].of is \'world\', not one of "host", "fleet"'),
        ({"level": "debug"}, 'one of "info", "warning", "error"'),
        ({"match": "a b"}, "not a pattern NAME or HOST:NAME"),
        ({"timeout_s": 0}, "not a number of seconds from 0.1 to 600"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hook_of(**more)
    (mistake,) = caught.value.mistakes
    assert told in mistake


def test_it_wants_what_it_says() -> None:
    died = FleetEvent("lab", "worker-died", "error", "", "run.1", source="rts:wfs")
    assert hook_of().wants(died, is_own=True)
    assert not hook_of().wants(died, is_own=False)
    assert hook_of(of="fleet").wants(died, is_own=False)
    assert hook_of(level="error", match="rts:w*").wants(died, is_own=True)
    assert not hook_of(match="rts:dm").wants(died, is_own=True)
    assert not hook_of(on=["link-*"]).wants(died, is_own=True)
    assert not hook_of(on=["*"], level="error").wants(FleetEvent("lab", "link-up", "info", "", "run.2"), is_own=True)
