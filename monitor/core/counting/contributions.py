"""What rows of the join add to the counts, and what a change of them adds or takes away.

Guarantees: cells = contribution after - contribution before, for bins and delays alike, so
duplicates, early labels, corrections and retractions need no case of their own; what is offered to
the sample is each row that changed, as it is after. Must never: change a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import N_SUMS, bin_index, row_sums
from monitor.core.claims import OutcomeRule, outcomes
from monitor.core.counting.delay_cells import DelayCells, delay_key
from monitor.core.counting.join_rows import NO_TIME
from monitor.core.counting.labelled_sample import DAY_MS, LabelledClaims
from monitor.core.counting.losses import LossCells, loss_sums
from monitor.core.panes import Cells, cell_key, pane_start_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.counting.join_rows import JoinRows
    from monitor.core.counting.series_table import SeriesTable


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What rows add to the counts: predictions, on-time labels, and labels past the horizon.

    Arrays have one element a row. label and late_label are NaN, and their times NO_TIME, where
    there is none; a NaN late label with a time is a retraction.
    """

    predicted: NDArray[np.bool_]
    label_ms: NDArray[np.int64]
    label: NDArray[np.float64]
    late_ms: NDArray[np.int64]
    late_label: NDArray[np.float64]

    @property
    def late(self) -> NDArray[np.bool_]:
        """Whether a label past the horizon is in force."""
        return np.asarray(self.late_ms != NO_TIME)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether the prediction has had a label, be it retracted."""
        return np.asarray(self.predicted & (self.late | (self.label_ms != NO_TIME)))

    @property
    def in_force(self) -> NDArray[np.float64]:
        """The newest label, NaN where there is none or it was retracted."""
        return np.where(self.late, self.late_label, self.label)


def standing(held: JoinRows, rows: NDArray[np.int64]) -> Standing:
    """What these rows add to the counts now: copies, which an update leaves alone."""
    predicted = held.series[rows] >= 0
    label_ms, label = held.labels.get(rows)
    return Standing(predicted, label_ms, np.where(predicted, label, np.nan), *held.late.get(rows))


def equal(
    one: NDArray[np.float64] | float, other: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Whether two labels are the same; two retractions (NaN) are."""
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """What `rows` add now, less what they added `before`, as cells of bins and of delays."""

    table: SeriesTable
    held: JoinRows
    rows: NDArray[np.int64]
    before: Standing
    after: Standing
    _relabelled: NDArray[np.bool_]

    @classmethod
    def between(
        cls,
        table: SeriesTable,
        held: JoinRows,
        rows: NDArray[np.int64],
        before: Standing,
    ) -> Self:
        """Difference of what rows add now from what they added before."""
        after = standing(held, rows)
        return cls(table, held, rows, before, after, ~equal(before.label, after.label))

    def cells(self) -> Cells:
        """Change of the bins."""
        before, after = self.before, self.after
        new = after.predicted & ~before.predicted
        on_time = np.flatnonzero(new | self._relabelled)
        sums = self._label_sums(after.label, after.predicted, on_time)
        sums -= self._label_sums(before.label, before.predicted, on_time)
        sums[:, 0] = new[on_time]
        key = self._cell_keys(on_time, late=False)
        if not (before.late.any() or after.late.any()):
            return Cells.of(key, sums)
        late = np.flatnonzero(before.late | after.late)
        late_sums = self._late_sums(after, late) - self._late_sums(before, late)
        return Cells.of(
            np.concatenate([key, self._cell_keys(late, late=True)]),
            np.concatenate([sums, late_sums]),
        )

    def losses(self) -> LossCells:
        """Change of the losses of quantiles and intervals; late as bins are."""
        before, after = self.before, self.after
        if self.table.only_equals:
            return LossCells.empty()
        series = self.held.series[self.rows]
        levelled = np.flatnonzero(
            after.predicted & (self.table.rule[series] != OutcomeRule.EQUALS)
            & (self._relabelled | before.late | after.late)
        )  # fmt: skip
        if not len(levelled):
            return LossCells.empty()
        on_time = self._losses(after.label, levelled) - self._losses(before.label, levelled)
        late = self._late_losses(after, levelled) - self._late_losses(before, levelled)
        return LossCells.of(
            np.concatenate([self._loss_keys(levelled, late=each) for each in (False, True)]),
            np.concatenate([on_time, late]),
        )

    def _late_losses(self, now: Standing, chosen: NDArray[np.intp]) -> NDArray[np.int64]:
        """What labels past the horizon add to what their on-time labels added."""
        change = self._losses(now.late_label, chosen) - self._losses(now.label, chosen)
        change[~now.late[chosen]] = 0
        return change

    def _losses(self, label: NDArray[np.float64], chosen: NDArray[np.intp]) -> NDArray[np.int64]:
        """What the chosen rows' labels lose; nothing without a label."""
        rows, refs = self.rows[chosen], self.held.refs
        if refs is None:  # pragma: no cover  # a row with such a rule has brought its own
            raise AssertionError
        rule = self.table.rule[self.held.series[rows]]
        return loss_sums(rule, self.held.score[rows], refs[rows], label[chosen])

    def _loss_keys(self, chosen: NDArray[np.intp], *, late: bool) -> NDArray[np.int64]:
        """Cells of losses are of a whole pane: their bin is 0."""
        rows = self.rows[chosen]
        series = self.held.series[rows]
        start = pane_start_s(self.held.ts_ms[rows], self.table.pane_s[series])
        return cell_key(
            series, start, np.full(len(rows), late), np.zeros(len(rows), dtype=np.int64)
        )

    def delays(self) -> DelayCells:
        """Change of the labels' delays."""
        before, after = self.before, self.after
        changed = (before.label_ms != after.label_ms) | self._relabelled
        plus = self._delay_keys(after.label_ms, after.label, changed, late=False)
        minus = self._delay_keys(before.label_ms, before.label, changed, late=False)
        if not (len(minus) or before.late.any() or after.late.any()):
            return DelayCells.of(plus)
        added, taken = [plus], [minus]
        for now, into, out_of in ((after, added, taken), (before, taken, added)):
            into.append(self._delay_keys(now.late_ms, now.late_label, now.late, late=True))
            out_of.append(self._delay_keys(now.label_ms, now.label, now.late, late=True))
        signs = np.repeat([1, -1], [sum(map(len, added)), sum(map(len, taken))])
        return DelayCells.of(np.concatenate([*added, *taken]), signs)

    def labelled(self, key: NDArray[np.uint64]) -> LabelledClaims:
        """Claims of sampled series that have a label now, or another one; as they are now.

        key: of every row that is held.
        """
        table, held, before, after = self.table, self.held, self.before, self.after
        if not table.any_sampled:
            return LabelledClaims.empty()
        same = before.answered & equal(before.in_force, after.in_force)
        chosen = np.flatnonzero(after.answered & ~same)
        chosen = chosen[table.sample_size[held.series[self.rows[chosen]]] > 0]
        rows, label = self.rows[chosen], after.in_force[chosen]
        series = held.series[rows]
        return LabelledClaims(
            table.model[series],
            held.shard[rows].astype(np.int32),
            (held.ts_ms[rows] // DAY_MS).astype(np.int32),
            table.version[series],
            key[rows] ^ table.salt[series],
            series,
            table.sample_size[series],
            held.score[rows],
            np.where(np.isnan(label), np.nan, self._outcomes(rows, label)),
        )

    def _late_sums(self, now: Standing, late: NDArray[np.intp]) -> NDArray[np.int64]:
        """What labels past the horizon add to what their on-time labels added."""
        everything = self._label_sums(now.late_label, now.late, late)
        return everything - self._label_sums(now.label, now.late, late)

    def _label_sums(
        self, label: NDArray[np.float64], counted: NDArray[np.bool_], chosen: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """What the labels of the chosen rows add to their cells; nothing where not `counted`.

        A NaN label adds nothing either, or is a negative where the series says so.
        """
        sums = np.zeros((len(chosen), N_SUMS), dtype=np.int64)
        answered = ~np.isnan(label[chosen])
        if self.table.any_unlabelled_negative:
            answered |= self.table.unlabelled_negative[self.held.series[self.rows[chosen]]]
        with_label = np.flatnonzero(answered & counted[chosen])
        if len(with_label):
            labelled = self.rows[chosen[with_label]]
            outcome = self._outcomes(labelled, label[chosen[with_label]])
            everywhere = np.ones(len(labelled), dtype=np.bool_)
            sums[with_label] = row_sums(self.held.score[labelled], everywhere, outcome)
            sums[:, 0] = 0
        return sums

    def _outcomes(self, rows: NDArray[np.int64], label: NDArray[np.float64]) -> NDArray[np.bool_]:
        series, table = self.held.series[rows], self.table
        if table.only_equals:
            return np.asarray(label == table.low[series])
        low, high = table.low[series], table.high[series]
        if self.held.refs is not None:
            own = table.rule[series] != OutcomeRule.EQUALS
            low[own], high[own] = self.held.refs[rows[own]].T
        return outcomes(table.rule[series], low, high, label)

    def _cell_keys(self, chosen: NDArray[np.intp], *, late: bool) -> NDArray[np.int64]:
        rows = self.rows[chosen]
        series = self.held.series[rows]
        return cell_key(
            series,
            pane_start_s(self.held.ts_ms[rows], self.table.one_pane_s or self.table.pane_s[series]),
            np.full(len(rows), late),
            bin_index(self.held.score[rows]),
        )

    def _delay_keys(
        self,
        label_ms: NDArray[np.int64],
        label: NDArray[np.float64],
        chosen: NDArray[np.bool_],
        *,
        late: bool,
    ) -> NDArray[np.int64]:
        """Cells of the chosen rows' labels; none for a row without a label."""
        with_label = np.flatnonzero(chosen & ~np.isnan(label))
        rows = self.rows[with_label]
        if not len(rows):
            return np.empty(0, dtype=np.int64)
        series, predicted_ms, table = self.held.series[rows], self.held.ts_ms[rows], self.table
        return delay_key(
            series,
            pane_start_s(predicted_ms, table.one_delay_pane_s or table.delay_pane_s[series]),
            late,
            self._outcomes(rows, label[with_label]),
            label_ms[with_label] - predicted_ms,
        )
