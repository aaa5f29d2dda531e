"""The dashboard for Grafana: it shows what there is, and its panels do not lie on each other."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daosup.core.exposition import Kind
from daosup.core.metrics import ALL

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "packaging/grafana-dashboard.json").read_text())
METRICS = {metric.name: metric for metric in ALL}
#: Labels that Prometheus adds.
ITS_OWN = {"instance", "job", "le"}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def queries() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return panels + [each["definition"] for each in DASHBOARD["templating"]["list"] if "definition" in each]


def test_each_query_asks_for_metrics_and_labels_that_there_are() -> None:
    assert len(queries()) > 20
    for query in queries():
        names = re.findall(r"\b(?:daosup|process)_\w+", query)
        assert names
        labels = set(ITS_OWN)
        for name in names:
            metric = METRICS.get(name) or METRICS[name.rpartition("_bucket")[0]]
            assert name.endswith("_bucket") == (metric.kind is Kind.HISTOGRAM)
            assert (metric.kind is Kind.GAUGE) or "rate(" in query or "increase(" in query, query
            labels |= set(metric.labels)
        assert set(re.findall(r"(\w+)[=!]~?\"", query)) <= labels, query


def test_each_variable_that_is_used_is_one_of_the_dashboard_or_grafanas() -> None:
    known = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = {name for text in strings(DASHBOARD) for name in re.findall(r"\$\{?(\w+)", text)}
    assert {name for name in used if not name.startswith("__")} <= known
    assert used - known <= {"__rate_interval", "__all"}


def test_legends_show_labels_that_the_series_have() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            [name, *_] = re.findall(r"\b(?:daosup|process)_\w+", target["expr"])
            metric = METRICS.get(name) or METRICS[name.rpartition("_bucket")[0]]
            by = re.search(r"\bby \(([^)]*)\)", target["expr"])
            left = set(re.split(r",\s*", by[1])) - {"le"} if by else {*metric.labels, "instance"}
            assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= left, target["expr"]


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
