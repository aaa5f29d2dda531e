"""Hosts for the tests, booted once for the whole run, and the order in which the story is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lab import KEEP, Host, Lab, why_not
from tests.e2e.story import MEASURED, Story

ADDRESSES = {"alpha": "10.77.0.1", "beta": "10.77.0.2", "gamma": "10.77.0.3"}
#: A folder with `this/` and `newer/`, each with a .deb and an .rpm.
PACKAGES = "DAOSUP_E2E_PACKAGES"
_PARTS = ("installing", "streaming", "configuration", "logs", "operating", "faults", "upgrade", "removing", "rpm")
#: Modules in the order of the story: what is removed at its end is used before.
ORDER = [f"test_{part}" for part in _PARTS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the story from its beginning, whatever the alphabet says."""
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    places = iter(sorted(ours, key=lambda item: ORDER.index(item.path.stem)))
    items[:] = [next(places) if item in ours else item for item in items]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    if MEASURED:
        terminalreporter.section("measured")
        for line in MEASURED:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def is_possible() -> None:
    """Hosts can be booted here; where not, all tests are skipped, but never where CI is set."""
    reason = why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def packages(is_possible: None) -> Path:
    """The packages that are tried: `build` makes them."""
    folder = Path(os.environ.get(PACKAGES, Path(__file__).parents[2] / "dist" / "e2e"))
    for kind in ("this/*.deb", "this/*.rpm", "newer/*.deb", "newer/*.rpm"):
        assert len(list(folder.glob(kind))) == 1, f"there is not one {folder}/{kind}: make them with tests/e2e/build"
    return folder


@pytest.fixture(scope="session")
def lab(packages: Path) -> Iterator[Lab]:
    """A switch for hosts."""
    kept = os.environ.get(KEEP)
    lab = Lab(ADDRESSES, Path(kept) if kept else None)
    try:
        yield lab
    finally:
        lab.end()


@pytest.fixture(scope="session")
def hosts(lab: Lab, packages: Path) -> list[Host]:
    """Alpha, beta and gamma, without daosup."""
    return lab.boot(list(ADDRESSES), {packages: "/packages"})


@pytest.fixture(scope="session")
def story(hosts: list[Host]) -> Story:
    """Alpha and beta, with a user."""
    alpha, beta, _ = hosts
    story = Story(alpha, beta)
    story.furnish()
    return story


@pytest.fixture(scope="session")
def gamma(hosts: list[Host]) -> Host:
    """A host of its own, for what the other two must not see."""
    return hosts[2]


@pytest.fixture(scope="session")
def serving(story: Story) -> Story:
    """Both hosts installed and started as README says."""
    story.install()
    return story


@pytest.fixture(scope="session")
def streaming(serving: Story) -> Story:
    """And the camera of alpha is seen on beta."""
    serving.stream()
    return serving
