"""Who is heard of: forgotten after 6 s and not before, fetched from no more often than need be, whatever is said."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daosup.core.actions import FetchCatalogue, Report
from daosup.core.dnet_catalogue import Beacon, Catalogue, Listed
from daosup.core.dnet_nodes import FORGET_S, MOST_NODES, YIELD_S, Nodes
from daosup.core.layout import make_geometry
from daosup.core.notices import dnet as notices

NAMES = st.sampled_from(["cam", "lab", "me"])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2"])
PORTS = st.sampled_from([7710, 7720])
VERSIONS = st.integers(0, 3)
WFS = Listed("wfs", make_geometry((4,), "uint8"))
_MOST_A_SECOND = 1.2


class Hearing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.nodes = Nodes("me", "dao")
        self.now = 1000.0
        self.fetches: list[tuple[float, FetchCatalogue]] = []
        self.open: list[FetchCatalogue] = []
        #: When who has the name was heard last.
        self.heard_s: dict[str, float] = {}

    def _take(self, actions) -> None:
        for action in actions:
            if isinstance(action, FetchCatalogue):
                self.fetches.append((self.now, action))
                self.open.append(action)
            else:
                assert isinstance(action, Report)

    @rule(name=NAMES, address=ADDRESSES, port=PORTS, version=VERSIONS, domain=st.sampled_from(["dao", "dao", "other"]))
    def hear(self, name: str, address: str, port: int, version: int, domain: str) -> None:
        before = self.nodes[name].place if name in self.nodes else None
        is_silent = self.now >= self.heard_s.get(name, float("-inf")) + YIELD_S
        self._take(self.nodes.heard(Beacon(domain, name, port, version), address, self.now))
        if domain != "dao" or name == "me":
            assert (self.nodes[name].place if name in self.nodes else None) == before
            return
        has_it = self.nodes[name].place == (address, port)
        assert has_it or not is_silent
        assert before is None or before == self.nodes[name].place or is_silent
        if has_it:
            self.heard_s[name] = self.now

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, YIELD_S, FORGET_S]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._take(self.nodes.tick(self.now))
        for name, heard_s in self.heard_s.items():
            assert (name in self.nodes) == (self.now <= heard_s + FORGET_S), name

    @precondition(lambda self: self.open)
    @rule(data=st.data(), version=VERSIONS, is_well=st.booleans(), node=NAMES)
    def answer(self, data: st.DataObject, version: int, is_well: bool, node: str) -> None:
        asked = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        place = asked.address, asked.port
        if is_well:
            self.nodes.catalogue_read(asked.node, place, Catalogue(node, version, "dao", (WFS,)), self.now)
        else:
            self.nodes.catalogue_failed(asked.node, place, "it hung up", self.now)

    @invariant()
    def nobody_is_fetched_from_too_often(self) -> None:
        for name in ("cam", "lab"):
            for place in ((address, port) for address in ("10.0.0.1", "10.0.0.2") for port in (7710, 7720)):
                times = [s for s, each in self.fetches if each.node == name and (each.address, each.port) == place]
                window = [s for s in times if s > self.now - 10.0]
                assert len(window) <= 1 + 10.0 * _MOST_A_SECOND, (name, place)

    @invariant()
    def what_is_known_is_its_own(self) -> None:
        assert "me" not in self.nodes
        for name, node in self.nodes.items():
            assert node.catalogue is None or node.catalogue.node == name


TestHearing = Hearing.TestCase


def _heard(nodes: Nodes, name: str, now: float, version: int = 1, address: str = "10.0.0.1", port: int = 7710):
    return list(nodes.heard(Beacon("dao", name, port, version), address, now))


def test_a_new_version_is_fetched_once():
    nodes = Nodes("me", "dao")
    assert FetchCatalogue("cam", "10.0.0.1", 7710) in _heard(nodes, "cam", 0.0)
    assert _heard(nodes, "cam", 1.0) == []
    assert nodes.catalogue_read("cam", ("10.0.0.1", 7710), Catalogue("cam", 1, "dao", (WFS,)), 1.5)
    assert _heard(nodes, "cam", 3.0) == []
    assert _heard(nodes, "cam", 4.0, version=2) == [FetchCatalogue("cam", "10.0.0.1", 7710)]
    assert not nodes.catalogue_read("cam", ("10.0.0.1", 7710), Catalogue("cam", 2, "dao", (WFS,)), 4.5)


def test_two_of_one_name_are_told_of_once_and_the_first_is_meant():
    nodes = Nodes("me", "dao")
    told = []
    for second in range(10):
        told += _heard(nodes, "cam", float(second))
        told += _heard(nodes, "cam", second + 0.5, address="10.0.0.2", port=7720)
    shared = [each for each in told if isinstance(each, Report) and each.notice is notices.NODE_NAME_SHARED]
    assert [dict(each.fields) for each in shared] == [{"peer": "cam", "peer_ip": "10.0.0.1", "other_ip": "10.0.0.2"}]
    assert nodes["cam"].place == ("10.0.0.1", 7710)


def test_one_that_is_started_anew_elsewhere_has_its_name_back_and_is_not_told_of():
    nodes = Nodes("me", "dao")
    _heard(nodes, "cam", 0.0)
    told = [each for second in (1.0, 2.0, 3.0, 4.0) for each in _heard(nodes, "cam", second, port=7720)]
    assert nodes["cam"].place == ("10.0.0.1", 7720)
    assert [each for each in told if isinstance(each, Report)] == []


def test_of_a_flood_of_names_so_many_are_kept():
    nodes = Nodes("me", "dao")
    told = [each for number in range(2 * MOST_NODES) for each in _heard(nodes, f"n{number}", 0.0)]
    assert len(nodes) == MOST_NODES
    assert sum(isinstance(each, Report) and each.notice is notices.NODES_TOO_MANY for each in told) == 1
    assert sum(isinstance(each, FetchCatalogue) for each in told) <= 8
    list(nodes.tick(FORGET_S + 0.1))
    assert len(nodes) == 0
