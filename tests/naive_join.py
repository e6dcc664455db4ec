"""The join as a dictionary: every event of a key is kept, and counted from scratch at the end.

Slow, obvious, and independent of the index that it checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import N_SUMS, bin_index, row_sums
from monitor.core.claims import Series
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.series_table import SeriesRules, SeriesTable

if TYPE_CHECKING:
    from monitor.core.panes import Cells

HORIZON_S, CORRECTION_S, PANE_S = 100, 1000, 60
DAY_MS = 1_700_000_040_000


@dataclass(frozen=True)
class Prediction:
    key: int
    series: int
    ts_s: int
    score: float


@dataclass(frozen=True)
class Label:
    key: int
    model: int
    ts_s: int
    label: float


Event = Prediction | Label


def series_table() -> SeriesTable:
    table = SeriesTable()
    for index, (model, version) in enumerate([(0, "1"), (0, "2"), (1, "1")]):
        rules = SeriesRules(model, PANE_S, HORIZON_S, CORRECTION_S)
        table.add(index, Series(f"m{model}", version), rules)
    return table


def columns(events: list[Event]) -> tuple[PredictionColumns, LabelColumns]:
    p = [e for e in events if isinstance(e, Prediction)]
    y = [e for e in events if isinstance(e, Label)]
    return (
        PredictionColumns(
            np.array([e.key for e in p], dtype=np.uint64),
            np.zeros(len(p), dtype=np.int32),
            np.array([e.series for e in p], dtype=np.int32),
            np.array([DAY_MS + e.ts_s * 1000 for e in p], dtype=np.int64),
            np.array([e.score for e in p], dtype=np.float64),
        ),
        LabelColumns(
            np.array([e.key for e in y], dtype=np.uint64),
            np.zeros(len(y), dtype=np.int32),
            np.array([e.model for e in y], dtype=np.int32),
            np.array([DAY_MS + e.ts_s * 1000 for e in y], dtype=np.int64),
            np.array([e.label for e in y], dtype=np.float64),
        ),
    )


@dataclass
class Dictionary:
    """The naive model: every event of a key is kept, and counted from scratch at the end."""

    predictions: dict[int, Prediction] = field(default_factory=dict)
    labels: dict[int, list[Label]] = field(default_factory=dict)

    def feed(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Prediction):
                self.predictions.setdefault(event.key, event)
            else:
                self.labels.setdefault(event.key, []).append(event)

    def counts(self) -> dict[tuple[int, int, bool, int], tuple[int, ...]]:
        cells: dict[tuple[int, int, bool, int], np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        for key, p in self.predictions.items():
            pane = (DAY_MS // 1000 + p.ts_s) // PANE_S * PANE_S
            bin_ = int(bin_index(np.array([p.score]))[0])
            on_time, late = None, None
            for label in self.labels.get(key, []):
                age = label.ts_s - p.ts_s
                if age <= HORIZON_S:
                    if on_time is None or label.ts_s >= on_time.ts_s:
                        on_time = label
                elif age <= CORRECTION_S and (late is None or label.ts_s >= late.ts_s):
                    late = label
            known = _sums(p.score, on_time)
            cells.setdefault((p.series, pane, False, bin_), np.zeros(N_SUMS, np.int64))
            cells[p.series, pane, False, bin_] += known
            if late is not None:
                cells.setdefault((p.series, pane, True, bin_), np.zeros(N_SUMS, np.int64))
                cells[p.series, pane, True, bin_] += _sums(p.score, late) - known
        return {k: tuple(v.tolist()) for k, v in cells.items() if v.any()}


def _sums(score: float, label: Label | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    value = np.nan if label is None else label.label
    return np.asarray(
        row_sums(np.array([score]), np.array([not np.isnan(value)]), np.array([value == 1.0]))[0]
    )


def as_dict(cells: Cells) -> dict[tuple[int, int, bool, int], tuple[int, ...]]:
    return {
        (int(s), int(p), bool(late), int(b)): tuple(row.tolist())
        for s, p, late, b, row in zip(
            cells.series, cells.pane_start, cells.late, cells.bin, cells.sums, strict=True
        )
    }
