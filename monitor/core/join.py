"""The join of predictions and delayed labels, as counts.

Guarantees: the counts are a function of the events; splitting the events into other batches, or
applying the durable events again, changes nothing. A prediction's first event wins; among its
labels the newest label time wins, and at equal times the later arrival. One update rule covers
duplicates, early labels, corrections and retractions: cells = contribution after - before.
Must never: read a clock, or let an event go without an effect or a tally.

Labels are kept in two slots: the newest one within the label horizon (all that a sealed pane may
know) and the newest one past it (a late label, or a correction), by age from prediction time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import N_SUMS, bin_index, row_sums
from monitor.core.claims import outcomes
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.join_rows import NO_TIME, VACANT, JoinRows
from monitor.core.key_table import KeyTable
from monitor.core.panes import Cells, cell_key, pane_start_s
from monitor.core.tallies import Tally, TallyKind, count_by_model, count_by_series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.core.series_table import SeriesTable


@dataclass(frozen=True, slots=True)
class Applied:
    """Effect of one batch.

    predictions and labels are the events that changed a row: what must be made durable. Applied
    again to an empty index, in order, they give the same state. anchor_ms: for each of these
    labels the time by which its row will be evicted (prediction time, where it is known).
    """

    cells: Cells
    predictions: PredictionColumns
    labels: LabelColumns
    anchor_ms: NDArray[np.int64]
    tallies: Counter[Tally]


class JoinIndex:
    """Rows of predictions, and of labels that came first, found by key."""

    def __init__(self, table: SeriesTable) -> None:
        self._table = table
        self._rows_by_key = KeyTable()
        self._rows = JoinRows()
        # Labels of a row that has no prediction yet, beyond its first: (ts_ms, label) as they came.
        self._more_early: dict[int, list[tuple[int, float]]] = {}

    def __len__(self) -> int:
        return len(self._rows_by_key)

    def apply(self, predictions: PredictionColumns, labels: LabelColumns) -> Applied:
        """Apply one batch, predictions before labels, and return its effect."""
        tallies: Counter[Tally] = Counter()
        keys, inverse = np.unique(
            np.concatenate([predictions.key, labels.key]), return_inverse=True
        )
        touched = self._rows_by_key.rows(keys)
        self._rows.grow(len(self._rows_by_key))
        rows = touched[inverse]
        before_key, before_sums = self._contribution(touched)
        accepted, early_rows, early = self._place(predictions, rows[: len(predictions)], tallies)
        self._settle(early_rows, early, tallies)
        settled = self._settle(rows[len(predictions) :], labels, tallies)
        after_key, after_sums = self._contribution(touched)
        return Applied(
            Cells.of(
                np.concatenate([before_key, after_key]),
                np.concatenate([-before_sums, after_sums]),
            ),
            predictions.take(accepted),
            labels.take(settled),
            self._rows.ts_ms[rows[len(predictions) :][settled]],
            tallies,
        )

    def evict(self, cutoff_ms: NDArray[np.int64]) -> Counter[Tally]:
        """Forget rows older than their cutoff; returns the labels that never matched.

        cutoff_ms[shard, model] is the time that all streams of the model have reached, less its
        correction horizon: no event that still counts can touch an older row.
        """
        rows = self._rows
        n = len(self)
        predicted = rows.series[:n] >= 0
        model = -1 - rows.series[:n]
        model[predicted] = self._table.model[rows.series[:n][predicted]]
        kept = rows.ts_ms[:n] >= cutoff_ms[rows.shard[:n], model]
        tallies: Counter[Tally] = Counter()
        lost = ~kept & ~predicted
        count_by_model(tallies, TallyKind.UNMATCHED_LABEL, model[lost].astype(np.int32))
        for row in np.flatnonzero(lost):
            more = len(self._more_early.pop(int(row), ()))
            tallies[Tally(TallyKind.UNMATCHED_LABEL, int(model[row]), -1)] += more
        self._compact(kept)
        return +tallies

    def _compact(self, kept: NDArray[np.bool_]) -> None:
        positions = np.flatnonzero(kept)
        if len(positions) == len(self):
            return
        keys = self._rows_by_key.keys[positions]
        self._rows_by_key = KeyTable()
        new_rows = self._rows_by_key.rows(keys)
        self._rows = self._rows.reordered(positions, new_rows)
        renumbered = dict(zip(positions.tolist(), new_rows.tolist(), strict=True))
        self._more_early = {renumbered[row]: more for row, more in self._more_early.items()}

    def _place(
        self, predictions: PredictionColumns, rows: NDArray[np.int64], tallies: Counter[Tally]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64], LabelColumns]:
        """Put first predictions in their rows.

        Returns the accepted positions, and the labels that had waited for them with their rows.
        """
        held = self._rows
        candidates = np.flatnonzero(held.series[rows] < 0)
        _, first = np.unique(rows[candidates], return_index=True)
        accepted = np.sort(candidates[first])
        placed = rows[accepted]
        early_rows, early = self._release(placed)
        held.series[placed] = predictions.series[accepted]
        held.shard[placed] = predictions.shard[accepted]
        held.ts_ms[placed] = predictions.ts_ms[accepted]
        held.score[placed] = predictions.score[accepted]
        repeated = np.ones(len(rows), dtype=np.bool_)
        repeated[accepted] = False
        count_by_series(
            tallies,
            TallyKind.DUPLICATE_PREDICTION,
            held.series[rows[repeated]],
            self._table.model,
        )
        return accepted, early_rows, early

    def _release(self, placed: NDArray[np.int64]) -> tuple[NDArray[np.int64], LabelColumns]:
        """Take the waiting labels out of rows that now have their prediction."""
        held = self._rows
        waiting = placed[(held.series[placed] != VACANT) & (held.series[placed] < 0)]
        rows, ts_ms, label = [waiting], [held.label_ms[waiting]], [held.label[waiting]]
        if self._more_early:
            for row in waiting.tolist():
                for more_ms, more_label in self._more_early.pop(row, ()):
                    rows.append(np.array([row]))
                    ts_ms.append(np.array([more_ms]))
                    label.append(np.array([more_label]))
        all_rows = np.concatenate(rows)
        early = LabelColumns(
            self._rows_by_key.keys[all_rows],
            held.shard[all_rows],
            -1 - held.series[all_rows],
            np.concatenate(ts_ms),
            np.concatenate(label),
        )
        held.label_ms[waiting] = NO_TIME
        held.label[waiting] = np.nan
        return all_rows, early

    def _settle(
        self, rows: NDArray[np.int64], labels: LabelColumns, tallies: Counter[Tally]
    ) -> NDArray[np.bool_]:
        """Apply labels in arrival order; returns which of them changed a row."""
        settled = np.zeros(len(rows), dtype=np.bool_)
        for turn in _one_per_row(rows):
            predicted = self._rows.series[rows[turn]] >= 0
            for mask, settle in ((predicted, self._settle_joined), (~predicted, self._hold)):
                chosen = turn[mask]
                settled[chosen] = settle(rows[chosen], labels.take(chosen), tallies)
        return settled

    def _settle_joined(
        self, rows: NDArray[np.int64], labels: LabelColumns, tallies: Counter[Tally]
    ) -> NDArray[np.bool_]:
        """Labels of distinct rows that have their prediction."""
        held, table = self._rows, self._table
        series = held.series[rows]
        age_ms = labels.ts_ms - held.ts_ms[rows]
        expired = age_ms > table.correction_horizon_ms[series]
        late = age_ms > table.label_horizon_ms[series]
        slot_ms = np.where(late, held.late_ms[rows], held.label_ms[rows])
        stale = ~expired & (labels.ts_ms < slot_ms)
        is_late_held = held.late_ms[rows] != NO_TIME
        current = np.where(is_late_held, held.late_label[rows], held.label[rows])
        has_current = is_late_held | (held.label_ms[rows] != NO_TIME)
        usable = ~expired & ~stale
        same = usable & has_current & _equal(current, labels.label)
        changed = usable & ~same
        retracted = changed & np.isnan(labels.label)
        corrected = changed & has_current & ~retracted
        for kind, mask in (
            (TallyKind.EXPIRED_LABEL, expired),
            (TallyKind.STALE_LABEL, stale),
            (TallyKind.DUPLICATE_LABEL, same),
            (TallyKind.RETRACTED_LABEL, retracted),
            (TallyKind.CORRECTED_LABEL, corrected),
            (TallyKind.LATE_LABEL, changed & late & ~has_current & ~retracted),
        ):
            count_by_series(tallies, kind, series[mask], table.model)
        on_time, past = usable & ~late, usable & late
        slot = np.where(late, held.late_label[rows], held.label[rows])
        unchanged = (labels.ts_ms == slot_ms) & _equal(slot, labels.label)
        written: NDArray[np.bool_] = usable & ~unchanged
        held.label_ms[rows[on_time]] = labels.ts_ms[on_time]
        held.label[rows[on_time]] = labels.label[on_time]
        held.late_ms[rows[past]] = labels.ts_ms[past]
        held.late_label[rows[past]] = labels.label[past]
        return written

    def _hold(
        self, rows: NDArray[np.int64], labels: LabelColumns, tallies: Counter[Tally]
    ) -> NDArray[np.bool_]:
        """Labels of distinct rows whose prediction has not come: keep every different one."""
        held = self._rows
        vacant = held.series[rows] == VACANT
        first = rows[vacant]
        held.series[first] = -1 - labels.model[vacant]
        held.shard[first] = labels.shard[vacant]
        held.ts_ms[first] = labels.ts_ms[vacant]
        held.label_ms[first] = labels.ts_ms[vacant]
        held.label[first] = labels.label[vacant]
        kept: NDArray[np.bool_] = vacant.copy()
        for position in np.flatnonzero(~vacant).tolist():
            row = int(rows[position])
            event = (int(labels.ts_ms[position]), float(labels.label[position]))
            waiting = [(int(held.label_ms[row]), float(held.label[row]))]
            waiting += self._more_early.get(row, [])
            # At equal times the later arrival wins, so only the newest of them can be repeated.
            same_time = [label for ms, label in waiting if ms == event[0]]
            if same_time and _equal(same_time[-1], event[1]):
                count_by_model(
                    tallies, TallyKind.DUPLICATE_LABEL, labels.model[position : position + 1]
                )
                continue
            self._more_early.setdefault(row, []).append(event)
            kept[position] = True
        return kept

    def _contribution(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cell key and sums that these rows add: a prediction, its on-time label, its late one."""
        held, table = self._rows, self._table
        rows = rows[held.series[rows] >= 0]
        series, score = held.series[rows], held.score[rows]
        pane = pane_start_s(held.ts_ms[rows], table.pane_s[series])
        bin_ = bin_index(score)
        rule, low, high = table.rule[series], table.low[series], table.high[series]

        def labelled_sums(label: NDArray[np.float64]) -> NDArray[np.int64]:
            return row_sums(score, ~np.isnan(label), outcomes(rule, low, high, label))

        on_time = labelled_sums(held.label[rows])
        is_late = held.late_ms[rows] != NO_TIME
        change = np.where(is_late[:, None], labelled_sums(held.late_label[rows]) - on_time, 0)
        never = np.zeros(len(rows), dtype=np.bool_)
        keys = [cell_key(series, pane, never, bin_), cell_key(series, pane, ~never, bin_)]
        return np.concatenate(keys), np.concatenate([on_time, change]).reshape(-1, N_SUMS)


def _equal(
    one: NDArray[np.float64] | float, other: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Whether two labels are the same; two retractions (NaN) are."""
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def _one_per_row(rows: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Positions in turns, so that no row stands twice in a turn and arrival order is kept."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    lengths = np.diff(np.append(starts, len(rows)))
    rank = np.arange(len(rows)) - np.repeat(starts, lengths) if len(rows) else order
    for turn in range(int(rank.max(initial=-1)) + 1):
        yield order[rank == turn]
