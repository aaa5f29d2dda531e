"""What Tab completes in a real bash, and in a zsh where there is one, with real daemons."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from daosup.ctl import completing, options
from daosup.ctl.commands import COMMANDS, Command
from daosup.ctl.completing import script
from daosup.ctl.options import Option
from tests.integration.fleet import Fleet
from tests.integration.shells import environment, line_after_tab, offered_by_bash
from tests.waiting import wait_until

SHELLS = ["bash", "zsh"]
LEAST_TRIES = 5


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """An environment in which there is no daemon."""
    return environment(tmp_path / "none.sock")


@pytest.fixture
def lab(hosts: Fleet) -> dict[str, str]:
    """An environment in which the daemon of lab is asked; it mirrors wfs, and of rts there is dm, too."""
    for name in ("wfs", "dm"):
        if not hosts.rts.path(name).exists():
            hosts.rts.create(name, (12, 9), "float32")
    if not hosts.lab.path("scope").exists():
        hosts.lab.create("scope")
    hosts.lab.mirror("rts:wfs").close()
    return environment(hosts.lab.socket)


def test_commands_and_their_own_options(nobody: dict[str, str]) -> None:
    assert offered_by_bash("daosupctl ", nobody) == list(COMMANDS)
    assert offered_by_bash("daosupctl re", nobody) == ["release", "restart", "reload", "reexec"]
    assert offered_by_bash("daosupctl --json re", nobody) == ["release", "restart", "reload", "reexec"]
    offered = offered_by_bash("daosupctl mirror --", nobody)
    own = {options.OWN[option].forms[-1] for option in COMMANDS["mirror"].options}
    assert {*own, "--json", "--help"} <= set(offered)
    assert "--verbose" not in offered
    assert "--wait" not in offered_by_bash("daosupctl mirror --wait 3 --", nobody)
    assert "--verbose" in offered_by_bash("daosupctl doctor ", nobody)


def test_segments_are_those_that_the_command_is_about(lab: dict[str, str], hosts: Fleet) -> None:
    # The shell replaces what follows the colon.
    assert offered_by_bash("daosupctl mirror ", lab) == ["rts:dm", "rts:wfs"]
    assert offered_by_bash("daosupctl keep rts:", lab) == ["dm", "wfs"]
    assert offered_by_bash("daosupctl mirror --as x rts:w", lab) == ["wfs"]
    assert offered_by_bash("daosupctl release ", lab) == ["rts:wfs"]
    assert offered_by_bash("daosupctl release rts:d", lab) == []
    assert offered_by_bash("daosupctl restart ", lab) == ["rts:wfs", "scope"]
    assert offered_by_bash("daosupctl start ", lab) == []
    assert offered_by_bash("daosupctl view ", lab) == ["rts:dm", "rts:wfs", "scope"]
    hosts.lab.call("stop", name="rts:wfs", wait_s=10)
    try:
        assert offered_by_bash("daosupctl start ", lab) == ["rts:wfs"]
    finally:
        hosts.lab.call("start", name="rts:wfs", wait_s=10)


def test_what_readline_replaces_depends_on_what_breaks_words(lab: dict[str, str]) -> None:
    assert offered_by_bash("daosupctl mirror rts:w", lab, breaks="=") == ["rts:wfs"]
    assert offered_by_bash("daosupd --role=mi", lab, breaks="") == ["--role=minion"]


def test_the_daemon_that_is_named_on_the_line_is_asked(hosts: Fleet, lab: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "daosup").symlink_to(hosts.rts.runtime)
    known = environment(XDG_RUNTIME_DIR=str(tmp_path))
    assert "rts" in offered_by_bash("daosupctl --instance ", known)
    assert "rts" in offered_by_bash("daosupctl --instance=", known)
    assert offered_by_bash("daosupctl --instance rts stop ", known) == ["dm", "wfs"]
    assert offered_by_bash(f"daosupctl --socket={hosts.lab.socket} release ", known) == ["rts:wfs"]


def test_without_a_daemon_nothing_is_offered_and_nothing_is_said(nobody: dict[str, str]) -> None:
    for command in ("mirror ", "release rts:", "stop w", "nonsense ", "mirror rts:wfs --as ", "mirror rts:wfs --wait "):
        assert offered_by_bash(f"daosupctl {command}", nobody) == []


def test_options_of_daosupd(nobody: dict[str, str]) -> None:
    assert offered_by_bash("daosupd --role ", nobody) == ["master", "minion"]
    assert offered_by_bash("daosupd --role=mi", nobody) == ["minion"]
    assert {"--instance", "--config", "--takeover"} <= set(offered_by_bash("daosupd ", nobody))


def test_a_word_that_means_something_to_a_shell_is_not_offered(hosts: Fleet, lab: dict[str, str]) -> None:
    odd = hosts.rts.create("$(reboot)", (2,))
    try:
        wait_until(
            lambda: any(
                each["name"] == "$(reboot)" for host in hosts.lab.call("machines") for each in host["segments"]
            ),
            what="lab to know of it",
        )
        assert offered_by_bash("daosupctl mirror ", lab) == ["rts:dm", "rts:wfs"]
    finally:
        odd.unlink()
        odd.close()


def test_an_option_that_is_followed_by_a_host_is_offered_those_of_the_registry(
    hosts: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAOSUP_SOCKET", str(hosts.lab.socket))
    monkeypatch.setitem(options.OWN, "--from", Option("--from", "whose", "HOST", "whose"))
    film = {"film": Command("", "a film", "frames as a film", options=("--from",), more="")}
    assert [word for word, _ in completing.offers(["film", "--from", ""], film)] == ["lab", "rts"]


def test_an_answer_is_there_before_anybody_waits_for_it(lab: dict[str, str]) -> None:
    def asked_s() -> float:
        start_s = time.monotonic()
        done = subprocess.run(["daosupctl", "__complete", "mirror", ""], env=lab, capture_output=True, text=True)
        assert done.stdout == "rts:dm\t12x9 float32\nrts:wfs\t12x9 float32\n"
        return time.monotonic() - start_s

    # The best of some: other programs may keep this machine busy, but not each time.
    assert min(asked_s() for _ in range(LEAST_TRIES)) < 0.3


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("daosupctl rele", ["daosupctl", "release"]),
        ("daosupctl release r", ["daosupctl", "release", "rts:wfs"]),
        ("daosupctl mirror --json rts:d", ["daosupctl", "mirror", "--json", "rts:dm"]),
        ("daosupctl stop sc", ["daosupctl", "stop", "scope"]),
        ("daosupctl doctor --config my", ["daosupctl", "doctor", "--config", "my file.toml"]),
        ("daosupctl doctor --config=my", ["daosupctl", "doctor", "--config=my file.toml"]),
        ("daosupctl mirror 'rts:d", ["daosupctl", "mirror", "rts:dm"]),
        ("X=1 daosupctl stop sc", ["X=1", "daosupctl", "stop", "scope"]),
        ("daosupd --takeover --role=mi", ["daosupd", "--takeover", "--role=minion"]),
    ],
)
def test_tab(shell: str, typed: str, line: list[str], lab: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "my file.toml").touch()
    assert line_after_tab(shell, typed, lab, tmp_path) == line


def test_scripts_are_right_for_their_shells(tmp_path: Path) -> None:
    for shell in SHELLS:
        path = tmp_path / shell
        path.write_text(script(shell))
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(path)], check=True)
    assert script("zsh").startswith("#compdef daosupctl daosupd\n")


def test_zsh_finds_the_file_that_a_package_installs(lab: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh on this machine")
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "_daosupctl").write_text(script("zsh"))
    (tmp_path / ".zshenv").write_text(f"fpath=({functions} $fpath)\n")
    line = line_after_tab("zsh", "daosupctl release rts:", lab, tmp_path, sources=False)
    assert line == ["daosupctl", "release", "rts:wfs"]
