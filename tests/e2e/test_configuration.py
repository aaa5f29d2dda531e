"""A configuration read anew, good and bad, and one that cannot be started with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.lab import Host
from tests.e2e.readme import typed
from tests.e2e.story import PYTHON, UNITS, USER, Story, is_active, status
from tests.e2e.telling import wait_for_notice
from tests.waiting import wait_until

FILE = "/etc/daosup/master.toml"
_MAKE = "import daosup; daosup.Segment.create('/tmp/dark.im.shm', (4, 4), 'float32')"


@pytest.fixture
def alpha(streaming: Story) -> Iterator[Host]:
    """Alpha with a second segment, ``dark``; both it and the configuration are as before in the end."""
    alpha = streaming.alpha
    before = alpha.read(FILE)
    alpha.run(PYTHON, "-c", _MAKE, user=USER)
    wait_until(lambda: "dark" in _published(alpha), 10, "dark to be published")
    yield alpha
    alpha.write(FILE, before)
    alpha.systemctl("reload", UNITS["alpha"])
    alpha.run("rm", "-f", "/tmp/dark.im.shm", user=USER)
    wait_until(lambda: "dark" not in _published(alpha), 10, "dark to be gone")


def _published(host: Host) -> set[str]:
    return {segment["name"] for segment in status(host)["segments"]}


def _edit(alpha: Host, line: str) -> None:
    alpha.write(FILE, alpha.read(FILE).replace('#exclude = ["test_*"]', line))


def test_a_reload_puts_a_configuration_in_force(alpha: Host, streaming: Story) -> None:
    since, pid = alpha.cursor(), streaming.main_pid(alpha)
    _edit(alpha, 'exclude = ["dark*"]')
    alpha.systemctl("reload", UNITS["alpha"])
    assert _published(alpha) == {"cam"}
    assert streaming.main_pid(alpha) == pid
    assert "exclude" in wait_for_notice(alpha, "configuration-read", since)["CHANGED"]


def test_readme_tells_how_to_have_it_read(streaming: Story) -> None:
    since = streaming.beta.cursor()
    (reload,) = typed(starting="systemctl reload")
    streaming.type(reload)
    wait_for_notice(streaming.beta, "configuration-read", since)


def test_a_mistake_is_refused_and_said_and_nothing_changes(alpha: Host, streaming: Story) -> None:
    since, pid = alpha.cursor(), streaming.main_pid(alpha)
    _edit(alpha, 'exclude = "dark*"')
    refused = alpha.systemctl("reload", UNITS["alpha"], is_checked=False)
    assert refused.returncode != 0
    assert is_active(alpha, UNITS["alpha"])
    assert streaming.main_pid(alpha) == pid
    assert _published(alpha) == {"cam", "dark"}
    assert "exclude" in status(alpha)["config"]["mistakes"][0]
    assert "exclude" in alpha.enter("daosupctl", "status", is_checked=False).stdout
    wait_until(
        lambda: "refused" in alpha.properties(UNITS["alpha"], "StatusText")["StatusText"],
        5,
        "the status line to say so",
    )
    assert FILE in wait_for_notice(alpha, "configuration-refused", since)["MISTAKE"]
    streaming.wait_for_frames()


def test_a_wrong_configuration_is_not_started_with_again_and_again(streaming: Story) -> None:
    beta, unit = streaming.beta, "daoserver@broken.service"
    since = beta.cursor()
    beta.write("/etc/daosup/broken.toml", 'role = "king"\n')
    try:
        assert beta.systemctl("start", unit, is_checked=False).returncode != 0
        facts = beta.properties(unit, "ActiveState", "ExecMainStatus", "NRestarts")
        assert facts == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
        assert "role" in wait_for_notice(beta, "configuration-wrong", since)["MISTAKE"]
    finally:
        beta.enter("rm", "/etc/daosup/broken.toml")
        beta.systemctl("reset-failed", "*@broken.service", is_checked=False)
