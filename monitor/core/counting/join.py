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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.contributions import Difference, equal, standing
from monitor.core.counting.join_rows import VACANT, JoinRows
from monitor.core.counting.key_table import KeyTable
from monitor.core.counting.settling import one_per_row, repeats, settle
from monitor.core.counting.tallies import Tally, TallyKind, count_by_model, count_by_series
from monitor.core.events import LabelColumns, PredictionColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.counting.labelled_sample import LabelledClaims
    from monitor.core.counting.losses import LossCells
    from monitor.core.counting.series_table import SeriesTable
    from monitor.core.panes import Cells


_SAMPLED_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Applied:
    """Effect of one batch.

    predictions and labels are the events that changed a row: what must be made durable. Applied
    again to an empty index, in order, they give the same state. Labels that had waited for a
    prediction stand here again with it. anchor_ms: for each of these labels the time by which its
    row is forgotten: prediction time, or that of the first label that waits for the prediction.
    delay_ms: label time less prediction time, of every label that found its prediction now.
    labelled: claims that the sample of labelled rows may need, as they are now.
    """

    cells: Cells
    delays: DelayCells
    losses: LossCells
    labelled: LabelledClaims
    predictions: PredictionColumns
    labels: LabelColumns
    anchor_ms: NDArray[np.int64]
    delay_ms: NDArray[np.int64]
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
        touched, rows = self._rows_of(predictions, labels)
        before = standing(self._rows, touched)
        tallies: Counter[Tally] = Counter()
        written = self._update(predictions, labels, rows, tallies)
        joined = self._rows.series[written.label_rows] >= 0
        anchor_ms = self._rows.ts_ms[written.label_rows]
        change = Difference.between(self._table, self._rows, touched, before)
        return Applied(
            change.cells(),
            change.delays(),
            change.losses(),
            change.labelled(self._rows_by_key.keys),
            predictions.take(written.accepted),
            written.labels,
            anchor_ms,
            (written.labels.ts_ms - anchor_ms)[joined],
            tallies,
        )

    def reserve(self, rows: int) -> None:
        """Make room for this many rows at once."""
        self._rows_by_key.reserve(rows)

    def fit(self) -> None:
        """Give back the room that was reserved for nothing."""
        self._rows_by_key.fit()

    def restore(self, predictions: PredictionColumns, labels: LabelColumns) -> None:
        """As apply, with events whose effect is known and was counted before."""
        _, rows = self._rows_of(predictions, labels)
        self._update(predictions, labels, rows, Counter())

    def _rows_of(
        self, predictions: PredictionColumns, labels: LabelColumns
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows touched by a batch, each once; and the row of each of its events."""
        keys, inverse = np.unique(
            np.concatenate([predictions.key, labels.key]), return_inverse=True
        )
        touched = self._rows_by_key.rows(keys)
        self._rows.grow(len(self._rows_by_key))
        return touched, touched[inverse]

    def _update(
        self,
        predictions: PredictionColumns,
        labels: LabelColumns,
        rows: NDArray[np.int64],
        tallies: Counter[Tally],
    ) -> _Written:
        """Write a batch into its rows."""
        accepted, early_rows, early = self._place(predictions, rows[: len(predictions)], tallies)
        late_rows = rows[len(predictions) :]
        if not len(early_rows):
            settled = self._settle(late_rows, labels, tallies)
            return _Written(accepted, labels.take(settled), late_rows[settled])
        # They go where their prediction goes, and stand in its block.
        early = replace(early, shard=self._rows.shard[early_rows].astype(np.int32))
        of_early = self._settle(early_rows, early, tallies)
        settled = self._settle(late_rows, labels, tallies)
        return _Written(
            accepted,
            LabelColumns.concatenated([early.take(of_early), labels.take(settled)]),
            np.concatenate([early_rows[of_early], late_rows[settled]]),
        )

    def evict(self, cutoff_ms: NDArray[np.int64]) -> Counter[Tally]:
        """Forget rows older than their cutoff; returns the labels that never matched.

        cutoff_ms[shard, model] is the time that all streams of the model have reached, less its
        correction horizon: no event that still counts can touch an older row.
        """
        predicted, model, kept = self._kept(slice(0, len(self)), cutoff_ms)
        tallies: Counter[Tally] = Counter()
        lost = ~kept & ~predicted
        count_by_model(tallies, TallyKind.UNMATCHED_LABEL, model[lost].astype(np.int32))
        for row in np.flatnonzero(lost):
            more = len(self._more_early.pop(int(row), ()))
            tallies[Tally(TallyKind.UNMATCHED_LABEL, int(model[row]), -1)] += more
        self._compact(kept)
        return +tallies

    def share_evictable(self, cutoff_ms: NDArray[np.int64]) -> float:
        """Share of the rows that `evict` would forget, by a sample of them at equal distances."""
        if not len(self):
            return 0.0
        stride = max(1, len(self) // _SAMPLED_ROWS)
        _, _, kept = self._kept(slice(0, len(self), stride), cutoff_ms)
        return 1 - float(kept.mean())

    def _kept(
        self, rows: slice, cutoff_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.bool_]]:
        """Of some rows: whether they hold a prediction, their model, and whether they are kept."""
        held = self._rows
        predicted = held.series[rows] >= 0
        model = -1 - held.series[rows]
        model[predicted] = self._table.model[held.series[rows][predicted]]
        return predicted, model, held.ts_ms[rows] >= cutoff_ms[held.shard[rows], model]

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
        if repeats(rows[candidates]):
            _, first = np.unique(rows[candidates], return_index=True)
            candidates = np.sort(candidates[first])
        accepted = candidates
        placed = rows[accepted]
        early_rows, early = self._release(placed)
        held.series[placed] = predictions.series[accepted]
        held.shard[placed] = predictions.shard[accepted]
        held.ts_ms[placed] = predictions.ts_ms[accepted]
        held.score[placed] = predictions.score[accepted]
        held.put_refs(placed, None if predictions.refs is None else predictions.refs[accepted])
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
        first_ms, first_label = held.labels.get(waiting)
        rows, ts_ms, label = [waiting], [first_ms], [first_label]
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
        held.labels.clear(waiting)
        return all_rows, early

    def _settle(
        self, rows: NDArray[np.int64], labels: LabelColumns, tallies: Counter[Tally]
    ) -> NDArray[np.bool_]:
        """Apply labels in arrival order; returns which of them changed a row."""
        if not repeats(rows) and (self._rows.series[rows] >= 0).all():
            return settle(self._rows, self._table, rows, labels, tallies)
        settled = np.zeros(len(rows), dtype=np.bool_)
        for turn in one_per_row(rows):
            predicted = self._rows.series[rows[turn]] >= 0
            joined, waiting = turn[predicted], turn[~predicted]
            settled[joined] = settle(
                self._rows, self._table, rows[joined], labels.take(joined), tallies
            )
            settled[waiting] = self._hold(rows[waiting], labels.take(waiting), tallies)
        return settled

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
        held.labels.put(first, labels.ts_ms[vacant], labels.label[vacant])
        kept: NDArray[np.bool_] = vacant.copy()
        for position in np.flatnonzero(~vacant).tolist():
            row = int(rows[position])
            event = (int(labels.ts_ms[position]), float(labels.label[position]))
            [held_ms], [held_label] = held.labels.get(rows[position : position + 1])
            waiting = [(int(held_ms), float(held_label))]
            waiting += self._more_early.get(row, [])
            # At equal times the later arrival wins, so only the newest of them can be repeated.
            same_time = [label for ms, label in waiting if ms == event[0]]
            if same_time and equal(same_time[-1], event[1]):
                count_by_model(
                    tallies, TallyKind.DUPLICATE_LABEL, labels.model[position : position + 1]
                )
                continue
            self._more_early.setdefault(row, []).append(event)
            kept[position] = True
        return kept


@dataclass(frozen=True, slots=True)
class _Written:
    """What of a batch changed a row: positions of predictions; labels, and the rows they changed.

    Labels that had waited for one of the predictions come first.
    """

    accepted: NDArray[np.intp]
    labels: LabelColumns
    label_rows: NDArray[np.int64]
