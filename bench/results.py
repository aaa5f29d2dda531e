"""What was measured, as JSON with every sample, and back: measurements made one after another make one page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Optional

from bench.figures import Goal, Judged, Noise, Point, Row


@dataclass
class Results:
    """The rows of each measurement, and the machine they were made on; ``is_joined``: of more than one run."""

    machine: dict[str, str] = field(default_factory=dict)
    is_joined: bool = False
    rows: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def all_rows(self) -> list[Row]:
        """Of all measurements."""
        return [row for rows in self.rows.values() for row in rows]

    def add(self, name: str, rows: Sequence[Row]) -> None:
        """Rows of a measurement; one of the same name takes the place of the one before."""
        there = {row.what: row for row in self.rows.get(name, [])}
        there.update((row.what, row) for row in rows)
        self.rows[name] = list(there.values())

    def as_json(self) -> str:
        """With every sample."""
        measurements = {name: [_plain(row) for row in rows] for name, rows in self.rows.items()}
        return json.dumps({"machine": self.machine, "measurements": measurements}, indent=1) + "\n"

    @classmethod
    def joined(cls, files: Sequence[Path]) -> Results:
        """What ``as_json`` wrote to files; of a row that two of them have, the later file's.

        Raises:
            ValueError: If a file is not one of those.
        """
        results = cls(is_joined=bool(files))
        for file in files:
            content = json.loads(file.read_text())
            try:
                results.machine.update(content["machine"])
                for name, rows in content["measurements"].items():
                    results.add(name, [_row(entry) for entry in rows])
            except (KeyError, TypeError) as error:
                raise ValueError(f"{file}: not the result of a bench ({error!r})") from None
        return results


def _plain(row: Row) -> Mapping[str, Any]:
    entry = {**dataclasses.asdict(row), "verdict": row.verdict.value}
    spins_ms = [round(spin_ms, 2) for spin_ms in row.noise.spins_ms]
    entry["noise"]["spins_ms"] = spins_ms
    if entry["goal"]:
        entry["goal"] = {key: value.value if isinstance(value, Enum) else value for key, value in entry["goal"].items()}
    return entry


def _row(entry: dict[str, Any]) -> Row:
    fields = {key: value for key, value in entry.items() if key not in ("verdict", "goal", "noise", "point", "samples")}
    goal: Optional[Goal] = None
    if entry["goal"]:
        goal = Goal(**{**entry["goal"], "judged": Judged(entry["goal"]["judged"])})
    noise = Noise(**{**entry["noise"], "spins_ms": tuple(entry["noise"]["spins_ms"])})
    point = Point(**entry["point"]) if entry["point"] else None
    return Row(**fields, samples=tuple(entry["samples"]), goal=goal, noise=noise, point=point)
