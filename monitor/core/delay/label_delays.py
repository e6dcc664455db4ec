"""What a series' cohorts have told of their labels' delays, and what that does to its null.

Guarantees: a fold over the cohorts from the first one on, so that it is the same after a restart;
delays beyond the label horizon are read from cohorts as old as the correction horizon alone.
Must never: take labels that are still coming for labels that have all come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.bins import FIXED_POINT
from monitor.core.delays import BUCKETS, NEGATIVE, POSITIVE, DelayCounts, null_offset
from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.measures.wilson import wilson

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts

REFERENCE_COHORTS = 28
"""The series' first cohorts with labels, to which later delays are compared."""
MIN_CLASS_LABELS = 30
"""Labels of a class, in cohorts as old as the correction horizon, that tell its share on time."""
STOPPED_SHARE = 0.02
STOPPED_HIGH = 0.05
"""Labels have stopped coming where the second half of the label horizon brought at most this share
of them, and the upper end of its Wilson interval is at most that."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenDelays:
    """Delays of all cohorts so far.

    reference: start (epoch seconds) and on-time delays of the first cohorts; on_time: delays within
    the label horizon; complete: within the correction horizon, of cohorts that old. None where
    nothing was counted.
    """

    reference: tuple[tuple[int, DelayCounts], ...] = ()
    on_time: DelayCounts | None = None
    complete: DelayCounts | None = None

    def after(
        self, start_s: int, on_time: DelayCounts | None, complete: DelayCounts | None
    ) -> Self:
        """With one more cohort's delays."""
        if on_time is None and complete is None:
            return self
        reference = self.reference
        if on_time is not None and len(reference) < REFERENCE_COHORTS:
            reference = (*reference, (start_s, on_time))
        return replace(
            self,
            reference=reference,
            on_time=_sum(self.on_time, on_time),
            complete=_sum(self.complete, complete),
        )

    def before(self, start_s: int) -> list[DelayCounts]:
        """On-time delays of the reference's cohorts before a time."""
        return [delays for begun_s, delays in self.reference if begun_s < start_s]


NOTHING_SEEN = SeenDelays()


def _sum(one: DelayCounts | None, other: DelayCounts | None) -> DelayCounts | None:
    return other if one is None else one if other is None else one + other


def arrival_of(seen: SeenDelays, horizon_s: float, *, unlabelled_negative: bool) -> Arrival | None:
    """Shares of the labels that come within the label horizon; None while they are not known.

    Known from cohorts as old as the correction horizon; and before there are any, where labels
    have clearly stopped coming within the horizon, as all. A series whose delays were never
    counted is taken to have complete labels, unless unlabelled rows count as negatives.
    """
    if seen.complete is not None and _tells(seen.complete, unlabelled_negative=unlabelled_negative):
        offset = null_offset(seen.complete, horizon_s)
        if not unlabelled_negative:
            known = Arrival(offset.on_time_positive, offset.on_time_negative, se=offset.se)
            return known if offset.value == offset.value else None  # NaN
        f1 = offset.on_time_positive
        if not f1 > 0:
            return None
        se = sqrt((1 - f1) / (int(seen.complete.labels(POSITIVE).sum()) * f1))
        return Arrival(f1, unlabelled_negative=True, se=se)
    if seen.on_time is None:
        return None if unlabelled_negative else COMPLETE
    return COMPLETE if _stopped(seen.on_time) else None


def _tells(complete: DelayCounts, *, unlabelled_negative: bool) -> bool:
    classes = (POSITIVE,) if unlabelled_negative else (POSITIVE, NEGATIVE)
    return all(int(complete.labels(y).sum()) >= MIN_CLASS_LABELS for y in classes)


def _stopped(on_time: DelayCounts) -> bool:
    """Whether labels of both classes have stopped coming within the label horizon."""
    late = on_time.until_s // 2 < BUCKETS
    for outcome in (None, POSITIVE, NEGATIVE):
        n = on_time.labels(outcome)
        total, slow = int(n.sum()), int(n[late].sum())
        if outcome is None:
            _, high = wilson(np.array([slow]), np.array([total]))
            if not total or slow > STOPPED_SHARE * total or float(high[0]) > STOPPED_HIGH:
                return False
        elif total and slow > STOPPED_HIGH * total:
            return False
    return True


def gap_of_all_labels(counts: BinCounts, arrival: Arrival) -> float:
    """Mean score less base rate, as with all labels: each label counts one over its class's share.

    Inverse probability weights at the label horizon, as in `provisional.py`; NaN without labels.
    """
    scores = counts.score_sum.sum() / FIXED_POINT
    positive, n = counts.n_positive / arrival.positive, float(counts.n_labelled)
    if not arrival.unlabelled_negative:
        of_positive = counts.sums[:, 5].sum() / FIXED_POINT
        negative = (counts.n_labelled - counts.n_positive) / arrival.negative
        scores = of_positive / arrival.positive + (scores - of_positive) / arrival.negative
        n = positive + negative
    return float((scores - positive) / n) if n else float("nan")
