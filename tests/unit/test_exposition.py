"""The text of metrics: read by Prometheus's own client library, and by its rules for those who write such text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from daosup.core.exposition import Kind, Metric, Samples, labels
from daosup.core.metrics import ALL, OF_WORKER

ROOT = Path(__file__).parents[2]
AGE = Metric("daosup_age_seconds", Kind.GAUGE, ("source",), "Age.")
ROUND_TRIP = Metric("daosup_round_trip_seconds", Kind.HISTOGRAM, (), "Time.")
#: All that a file's name can hold, and more.
any_text = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(any_text, numbers, min_size=1), any_text)
def test_whatever_the_labels_hold_each_value_is_read_back(values: dict[str, float], about: str) -> None:
    samples = Samples(AGE._replace(about=about))
    for source, value in values.items():
        samples.add(value, labels(kind="mirror", source=source))
    assert samples.text().count("\n") == 2 + len(values)
    [family] = text_string_to_metric_families(samples.text())
    assert (family.name, family.type) == ("daosup_age_seconds", "gauge")
    read = {sample.labels["source"]: float(sample.value) for sample in family.samples}
    assert read == {source: float(value) for source, value in values.items()}


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3), st.floats(0, 1e6), st.booleans())
def test_a_histogram_is_one_for_prometheus(counts: Sequence[int], total: float, is_labelled: bool) -> None:
    samples = Samples(ROUND_TRIP)
    cumulative = [(0.001, counts[0]), (1.0, counts[0] + counts[1])]
    samples.add_histogram(cumulative, sum(counts), total, labels(source='r"ts') if is_labelled else "")
    [family] = text_string_to_metric_families(samples.text())
    assert family.type == "histogram"
    found = {(sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value for sample in family.samples}
    assert found == {
        ("bucket", "0.001"): counts[0],
        ("bucket", "1.0"): counts[0] + counts[1],
        ("bucket", "+Inf"): sum(counts),
        ("sum", None): total,
        ("count", None): sum(counts),
    }
    assert {sample.labels.get("source") for sample in family.samples} == {'r"ts' if is_labelled else None}


def test_a_metric_without_a_sample_is_no_text() -> None:
    assert Samples(AGE).text() == ""


def test_names_units_and_words_are_as_prometheus_wants_them() -> None:
    assert len({metric.name for metric in ALL}) == len(ALL)
    for metric in ALL:
        assert re.fullmatch(r"(daosup|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric
        assert not re.search(r"_(count|sum|bucket|ms|us|milliseconds|mb)\b", metric.name)
        assert re.fullmatch(r"[A-Z0-9].*\.", metric.about), metric
        assert "instance" not in metric.labels  # Prometheus's own
        assert "job" not in metric.labels
    assert [metric.name for metric in ALL if metric.name.startswith("daosup_worker_")] == [
        metric.name for metric in ALL if metric.labels == OF_WORKER
    ]


def test_the_page_of_documents_has_all_of_them() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    labelled = {metric: ", ".join(f"`{each}`" for each in metric.labels) for metric in ALL}
    rows = [f"| `{each.name}` | {each.kind.value} | {labelled[each]} | {each.about} |" for each in ALL]
    for row in rows:
        assert row in text, "docs/metrics.md lacks: " + "\n".join(each for each in rows if each not in text)
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == {metric.name for metric in ALL}
