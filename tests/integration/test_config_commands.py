"""daosupctl config, with real daemons: what it finds is what a reload then does, and nothing is changed by asking."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daosup.config import Config
from daosup.errors import UsageError
from tests.integration.fleet import Fleet, Host
from tests.integration.shells import environment
from tests.integration.terminals import check_golden, screen_of, steady
from tests.schemas import check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PASSWORD = "geheim"
MIRRORS = '[[mirror]]\nsource = "rts:wfs"\n\n[[mirror]]\nsource = "rts:dm"\nmode = "0600"\n'


@pytest.fixture(autouse=True)
def configured_as_before(hosts: Fleet) -> Iterator[None]:
    before = hosts.lab.config.read_text()
    yield
    hosts.lab.config.write_text(before)
    hosts.lab.call("reload")


def ctl(*arguments: object, socket: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    where = ("--socket", str(socket)) if socket else ()
    command = [sys.executable, "-m", "daosup.ctl", *where, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**environment(), **more})


def ask(host: Host, *arguments: object) -> Any:
    done = ctl("config", *arguments, "--json", socket=host.socket)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    if "--all" not in arguments:
        check(f"config-{arguments[0]}", answer)
    return answer


def keys(host: Host) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in ask(host, "show")["keys"]}


def test_a_check_tells_what_a_reload_then_does(hosts: Fleet) -> None:
    lab = hosts.lab
    text = lab.config.read_text()
    assert ask(lab, "check")["changed"] == ask(lab, "check")["needs_restart"] == []
    lab.config.write_text(text.replace('host = "lab"', 'host = "desk"') + f'{MIRRORS}[log]\nlevel = "debug"\n')
    before = keys(lab)
    found = ask(lab, "check")
    assert (found["file"], found["mistakes"], found["daemon"]["pid"]) == (str(lab.config), [], lab.pid)
    lines = lab.config.read_text().splitlines()
    level, mirrors = (f"{lab.config}:{lines.index(text) + 1}" for text in ('level = "debug"', "[[mirror]]"))
    assert found["changed"] == [
        {"key": "log.level", "before": "info", "after": "debug", "origin": level},
        {
            "key": "mirror",
            "before": [],
            "after": [{"source": "rts:wfs"}, {"source": "rts:dm", "mode": "0600"}],
            "origin": mirrors,
        },
    ]
    assert [each["key"] for each in found["needs_restart"]] == ["host"]
    assert keys(lab) == before
    done = lab.call("reload")
    assert done["changed"] == [each["key"] for each in found["changed"]]
    assert done["needs_restart"] == [each["key"] for each in found["needs_restart"]]
    after = keys(lab)
    assert after["log.level"]["value"] == "debug"
    assert after["host"]["value"] == "lab"
    assert after["mirror[1].mode"]["value"] == "0600"
    assert ask(lab, "check")["changed"] == []
    assert [each["key"] for each in ask(lab, "check")["needs_restart"]] == ["host"]


def test_a_file_that_only_the_caller_can_read_is_checked_against_the_daemon(hosts: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(hosts.lab.config.read_text() + '[log]\nlevel = "debug"\n')
    found = ask(hosts.lab, "check", file)
    assert [each["key"] for each in found["changed"]] == ["log.level"]
    assert found["changed"][0]["origin"].startswith(f"{file}:")
    file.write_text('levle = "debug"\n[log]\nlevel = "loud"\n')
    done = ctl("config", "check", file, socket=hosts.lab.socket)
    assert done.returncode == 78
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == [f"{file}:1:", f"{file}:3:"]
    assert keys(hosts.lab)["log.level"]["value"] == "info"
    assert hosts.lab.status()["config"]["mistakes"] == []
    done = ctl("config", "check", tmp_path / "none.toml", socket=hosts.lab.socket)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"daosupctl: {tmp_path}/none.toml: cannot be read: No such file")


def test_what_is_shown_is_a_configuration_that_is_the_same(hosts: Fleet) -> None:
    done = ctl("config", "show", socket=hosts.rts.socket)
    assert done.returncode == 0
    told, own = tomllib.loads(done.stdout), tomllib.loads(hosts.rts.config.read_text())
    assert {name: value for name, value in told.items() if value != {}} == own
    assert Config.from_mapping(told, instance="rts") == Config.from_mapping(own, instance="rts")


def test_the_command_line_and_secrets(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    redis = fleet.redis.tcp_address
    text = re.sub(
        r"host = \"127.*\nport = .*\n",
        f'url = "redis://default:{PASSWORD}@{redis.host}:{redis.port}"\n',
        rts.config.read_text(),
    )
    assert PASSWORD in text
    rts.config.write_text(text)
    rts.start("--set", 'log.level="debug"', "--heartbeat-interval", "7")
    found = keys(rts)
    assert found["log.level"] == {"key": "log.level", "value": "debug", "origin": "command line", "is_live": True}
    assert found["heartbeat_interval_s"]["origin"] == "command line"
    assert found["redis.url"]["value"] == f"redis://***@{redis.host}:{redis.port}"
    assert found["redis.url"]["origin"] == f"{rts.config}:{1 + text[: text.index('url = ')].count(chr(10))}"
    assert found["publish.semaphore"] == {"key": "publish.semaphore", "value": 9, "origin": None, "is_live": True}
    rts.config.write_text(text.replace(PASSWORD, "other"))
    done = ctl("config", "check", socket=rts.socket)
    assert f'redis.url: "redis://***@{redis.host}:{redis.port}", in what is hidden' in done.stdout
    assert PASSWORD not in done.stdout + ctl("config", "show", socket=rts.socket).stdout
    assert PASSWORD not in str(rts.call("config")) + str(rts.call("check_config"))


def test_other_hosts_are_asked_too(hosts: Fleet, tmp_path: Path) -> None:
    done = ctl("config", "show", "-H", "lab", socket=hosts.rts.socket)
    assert tomllib.loads(done.stdout)["host"] == "lab"
    found = ask(hosts.rts, "check", "--all")
    assert {host: answer["result"]["mistakes"] for host, answer in found.items()} == {"rts": [], "lab": []}
    hosts.lab.config.write_text("[log]\nlevel = 5\n")
    done = ctl("config", "check", "-H", "lab", socket=hosts.rts.socket)
    assert (done.returncode, "log.level is 5" in done.stdout) == (78, True)
    done = ctl("config", "check", "--all", socket=hosts.rts.socket)
    assert (done.returncode, "rts.toml is right" in done.stdout) == (78, True)


def test_without_a_daemon_a_file_is_checked_and_shown_all_the_same(tmp_path: Path) -> None:
    nobody = tmp_path / "none.sock"
    file = tmp_path / "lab.toml"
    file.write_text('host = "lab"\n')
    done = ctl("config", "check", file, socket=nobody)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file} is right\nno daosupd answers here, so there is nothing to compare it with\n"
    found = json.loads(ctl("config", "check", file, "--json", socket=nobody).stdout)
    check("config-check", found)
    check("config-show", json.loads(ctl("config", "show", file, "--json", socket=nobody).stdout))
    assert found == {"daemon": None, "file": str(file), "mistakes": [], "changed": None, "needs_restart": None}
    assert 'host = "lab"' in ctl("config", "show", file, socket=nobody).stdout
    file.write_text('hots = "lab"\n')
    assert ctl("config", "check", file, socket=nobody).returncode == 78
    done = ctl("config", "show", file, socket=nobody)
    assert (done.returncode, done.stdout) == (78, "")
    assert ctl("config", "check", "-H", "lab", file, socket=nobody).returncode == 69


@pytest.mark.parametrize(
    "arguments", [{"text": 5}, {"text": "x" * (1 << 18) + "x"}, {"text": "", "name": 5}, {"text": "", "name": "a\nb"}]
)
def test_requests_that_make_no_sense_are_refused(hosts: Fleet, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        hosts.lab.call("check_config", **arguments)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "\0", "a = 1\n" * 20000, 'a = "' + "x" * 200_000 + '"'])
def test_hostile_texts_are_mistakes_and_the_daemon_goes_on(hosts: Fleet, text: str) -> None:
    assert hosts.lab.call("check_config", text=text)["mistakes"]
    assert hosts.lab.status()["config"]["mistakes"] == []


@pytest.mark.parametrize("columns", [80, 160])
def test_what_is_on_the_screen(hosts: Fleet, columns: int) -> None:
    lab = hosts.lab
    lab.config.write_text(
        lab.config.read_text().replace('host = "lab"', 'host = "desk"') + MIRRORS + '[log]\nlevel = "debug"\n'
    )
    words = {
        r"fleet-\w{8}": "fleet-abcdefgh",
        r"pid \d+": "pid 1234",
        r"(?m:^port = \d+)": "port = 6379",
        r"read [^\n]* ago": "read a moment ago",
        r"daosupd \d[^,]*,": "daosupd VERSION,",
    }
    for command in ("check", "show"):
        lines = screen_of(lab.socket, "config", command, columns=columns)
        assert max(map(len, lines)) <= columns
        check_golden(f"config-{command}-{columns}", steady(lines, words))
