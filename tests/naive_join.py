"""The join as dictionaries, slow, obvious, and independent of the index that they check.

`Dictionary` keeps every event of a key and counts from scratch at the end; `Ledger` goes event by
event, and also says what every event was that did not simply count, and what was forgotten.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import N_SUMS, bin_index, row_sums
from monitor.core.claims import Series
from monitor.core.counting.series_table import SeriesRules, SeriesTable
from monitor.core.delays import BUCKETS
from monitor.core.events import LabelColumns, PredictionColumns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.panes import Cells

DAY_S = 86_400
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


NEGATIVE_SERIES = frozenset({1})
"""Of `series_table`, those whose predictions count as negatives until they have a label."""


def series_table() -> SeriesTable:
    table = SeriesTable()
    for index, (model, version) in enumerate([(0, "1"), (0, "2"), (1, "1")]):
        negative = index in NEGATIVE_SERIES
        rules = SeriesRules(model, PANE_S, HORIZON_S, CORRECTION_S, unlabelled_negative=negative)
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
    """The naive model: every event of a key is kept, and counted from scratch at the end.

    negative: series whose predictions count as negatives until they have a label.
    """

    predictions: dict[int, Prediction] = field(default_factory=dict)
    labels: dict[int, list[Label]] = field(default_factory=dict)
    negative: frozenset[int] = frozenset()

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
            on_time, late = self._in_force(key, p)
            negative = p.series in self.negative
            known = _sums(p.score, on_time, negative=negative)
            cells.setdefault((p.series, pane, False, bin_), np.zeros(N_SUMS, np.int64))
            cells[p.series, pane, False, bin_] += known
            if late is not None:
                cells.setdefault((p.series, pane, True, bin_), np.zeros(N_SUMS, np.int64))
                now = _sums(p.score, late, negative=negative)
                cells[p.series, pane, True, bin_] += now - known
        return {k: tuple(v.tolist()) for k, v in cells.items() if v.any()}

    def delays(self) -> dict[tuple[int, int, bool, int, int], int]:
        """Labels by (series, day, late, outcome, bucket), on time and what late ones changed."""
        found: Counter[tuple[int, int, bool, int, int]] = Counter()
        for key, p in self.predictions.items():
            on_time, late = self._in_force(key, p)
            start_s = (DAY_MS // 1000 + p.ts_s) // DAY_S * DAY_S
            for label, slot, sign in ((on_time, False, 1), (late, True, 1), (on_time, True, -1)):
                if label is None or math.isnan(label.label) or (sign < 0 and late is None):
                    continue
                delay = _bucket((label.ts_s - p.ts_s) * 1000)
                found[p.series, start_s, slot, int(label.label == 1.0), delay] += sign
        return {cell: n for cell, n in found.items() if n}

    def _in_force(self, key: int, p: Prediction) -> tuple[Label | None, Label | None]:
        """Newest label within the label horizon, and newest past it."""
        on_time, late = None, None
        for label in self.labels.get(key, []):
            age = label.ts_s - p.ts_s
            if age <= HORIZON_S:
                if on_time is None or label.ts_s >= on_time.ts_s:
                    on_time = label
            elif age <= CORRECTION_S and (late is None or label.ts_s >= late.ts_s):
                late = label
        return on_time, late


def _sums(
    score: float, label: Label | None, *, negative: bool = False
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    value = np.nan if label is None else label.label
    labelled = negative or not np.isnan(value)
    return np.asarray(
        row_sums(np.array([score]), np.array([labelled]), np.array([value == 1.0]))[0]
    )


def _bucket(delay_ms: int) -> int:
    """Number of bucket edges, in seconds, that are shorter than the delay."""
    return sum(delay_ms > edge * 1000 for edge in BUCKETS.tolist())


def as_dict(cells: Cells) -> dict[tuple[int, int, bool, int], tuple[int, ...]]:
    return {
        (int(s), int(p), bool(late), int(b)): tuple(row.tolist())
        for s, p, late, b, row in zip(
            cells.series, cells.pane_start, cells.late, cells.bin, cells.sums, strict=True
        )
    }


def delays_as_dict(cells: DelayCells) -> dict[tuple[int, int, bool, int, int], int]:
    columns = (cells.series, cells.pane_start, cells.late, cells.outcome, cells.bucket, cells.n)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {(s, pane, late, y, b): n for s, pane, late, y, b, n in rows}


@dataclass(frozen=True)
class Rules:
    """How one model is counted, in milliseconds; segments: the dimensions that are kept.

    negative: a prediction counts as a negative until it has a label.
    """

    pane_ms: int = PANE_S * 1000
    horizon_ms: int = HORIZON_S * 1000
    correction_ms: int = CORRECTION_S * 1000
    segments: tuple[str, ...] = ()
    negative: bool = False

    @property
    def delay_pane_ms(self) -> int:
        """Days where panes divide them."""
        return self.pane_ms if DAY_S * 1000 % self.pane_ms else DAY_S * 1000


@dataclass(frozen=True)
class Scored:
    """A usable prediction message. series: (model, version, segment)."""

    prediction_id: str
    series: tuple[str, str, str]
    ts_ms: int
    score: float

    @property
    def model(self) -> str:
        return self.series[0]


@dataclass(frozen=True)
class Answered:
    """A usable label message; None retracts."""

    prediction_id: str
    model: str
    ts_ms: int
    label: int | None


Cell = tuple[tuple[str, str, str], int, bool, int]
DelayCell = tuple[tuple[str, str, str], int, bool, int, int]
TallyName = tuple[str, str, tuple[str, str, str] | None]


@dataclass
class _Row:
    prediction: Scored | None = None
    waiting: list[Answered] = field(default_factory=list)
    on_time: Answered | None = None
    late: Answered | None = None

    @property
    def ts_ms(self) -> int:
        return self.waiting[0].ts_ms if self.prediction is None else self.prediction.ts_ms


class Ledger:
    """One partition's events, one at a time, with every tally and with forgetting.

    Batches matter to the tallies alone: within one, predictions come before labels.
    """

    def __init__(self, rules: Mapping[str, Rules]) -> None:
        self._rules = rules
        self._rows: dict[tuple[str, str], _Row] = {}
        self._counts: dict[Cell, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        self._delays: Counter[DelayCell] = Counter()
        self.tallies: Counter[TallyName] = Counter()
        self.predicted_ms: dict[str, int] = {}
        self.labelled_ms: dict[str, int] = {}

    def feed(self, predictions: Sequence[Scored], labels: Sequence[Answered]) -> None:
        for prediction in predictions:
            self._predict(prediction)
        for label in labels:
            self._label(label)

    def forget(self, cutoff_ms: Mapping[str, int]) -> int:
        """Drop the rows older than their model's cutoff; what they counted stays. How many?"""
        before = len(self._rows)
        for (model, key), row in list(self._rows.items()):
            if model in cutoff_ms and row.ts_ms < cutoff_ms[model]:
                if row.prediction is None:
                    self.tallies["unmatched_label", model, None] += len(row.waiting)
                self._count(row)
                del self._rows[model, key]
        return before - len(self._rows)

    def reached(self, model: str) -> float:
        """Time that both streams of a model have reached, ms."""
        none = -math.inf
        return min(self.predicted_ms.get(model, none), self.labelled_ms.get(model, none))

    def counts(self) -> dict[Cell, tuple[int, ...]]:
        """Every cell that is not zero; ends the ledger."""
        for row in self._rows.values():
            self._count(row)
        self._rows.clear()
        return {cell: tuple(sums.tolist()) for cell, sums in self._counts.items() if sums.any()}

    def delays(self) -> dict[DelayCell, int]:
        """Every cell of delays that is not zero; after `counts`."""
        return {cell: n for cell, n in self._delays.items() if n}

    def _predict(self, found: Scored) -> None:
        rules, newest_ms = self._rules[found.model], self.predicted_ms.get(found.model)
        if newest_ms is not None and found.ts_ms < newest_ms - rules.correction_ms:
            self.tallies["late_prediction", found.model, found.series] += 1
            return
        self.predicted_ms[found.model] = max(found.ts_ms, newest_ms or 0)
        row = self._rows.setdefault((found.model, found.prediction_id), _Row())
        if row.prediction is not None:
            self.tallies["duplicate_prediction", found.model, row.prediction.series] += 1
            return
        row.prediction = found
        for label in row.waiting:
            self._settle(row, found, label)

    def _label(self, found: Answered) -> None:
        self.labelled_ms[found.model] = max(found.ts_ms, self.labelled_ms.get(found.model, 0))
        row = self._rows.setdefault((found.model, found.prediction_id), _Row())
        if row.prediction is not None:
            self._settle(row, row.prediction, found)
            return
        same_time = [label for label in row.waiting if label.ts_ms == found.ts_ms]
        if same_time and same_time[-1].label == found.label:
            self.tallies["duplicate_label", found.model, None] += 1
        else:
            row.waiting.append(found)

    def _settle(self, row: _Row, prediction: Scored, found: Answered) -> None:
        rules, age_ms = self._rules[found.model], found.ts_ms - prediction.ts_ms
        is_late = age_ms > rules.horizon_ms
        replaced, in_force = row.late if is_late else row.on_time, row.late or row.on_time
        kind = None
        if age_ms > rules.correction_ms:
            kind = "expired_label"
        elif replaced is not None and found.ts_ms < replaced.ts_ms:
            kind = "stale_label"
        elif in_force is not None and in_force.label == found.label:
            kind = "duplicate_label"
        elif found.label is None:
            kind = "retracted_label"
        elif in_force is not None:
            kind = "corrected_label"
        elif is_late:
            kind = "late_label"
        if kind is not None:
            self.tallies[kind, found.model, prediction.series] += 1
        if kind in {"expired_label", "stale_label"}:
            return
        if is_late:
            row.late = found
        else:
            row.on_time = found

    def _count(self, row: _Row) -> None:
        found = row.prediction
        if found is None:
            return
        rules = self._rules[found.model]
        pane_s = found.ts_ms // rules.pane_ms * rules.pane_ms // 1000
        bin_ = int(bin_index(np.array([found.score]))[0])
        on_time, late = (
            None if slot is None else _sums(found.score, _as_label(slot), negative=rules.negative)
            for slot in (row.on_time, row.late)
        )
        known = _sums(found.score, None, negative=rules.negative) if on_time is None else on_time
        self._add((found.series, pane_s, False, bin_), known)
        self._delay(found, row.on_time, late=False, n=1)
        if late is not None:
            self._add((found.series, pane_s, True, bin_), late - known)
            self._delay(found, row.late, late=True, n=1)
            self._delay(found, row.on_time, late=True, n=-1)

    def _delay(self, found: Scored, slot: Answered | None, *, late: bool, n: int) -> None:
        if slot is None or slot.label is None:
            return
        pane_ms = self._rules[found.model].delay_pane_ms
        start_s = found.ts_ms // pane_ms * pane_ms // 1000
        bucket = _bucket(slot.ts_ms - found.ts_ms)
        self._delays[found.series, start_s, late, int(slot.label == 1), bucket] += n

    def _add(self, cell: Cell, sums: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        self._counts[cell] = self._counts.get(cell, np.zeros(N_SUMS, np.int64)) + sums


def _as_label(answered: Answered) -> Label:
    return Label(0, 0, 0, math.nan if answered.label is None else float(answered.label))
