"""Delays of labels by outcome, as counts: what a label horizon does to the outcomes it lets in.

Guarantees: the histogram is of integers, so merging is exact, associative and commutative; a share
or offset that the counts do not decide is NaN, never a guess. All shares are of the labels that
come within the observed age `until_s`; labels that never come are taken to be missing alike in
both classes. Must never: be filled from cohorts younger than `until_s`: their slow labels are
still to come, and a short delay would look like the rule (Chapelle 2014, "Modeling delayed
feedback in display advertising").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
BUCKETS_VERSION = 1


def _bucket_edges() -> NDArray[np.int64]:
    """Upper edges, in seconds: four an octave from 1 s to 776 d, and the usual label horizons."""
    octaves = {round(2 ** (k / 4)) for k in range(105)}
    minutes = {MINUTE_S * k for k in (1, 2, 5, 10, 15, 20, 30, 45)}
    hours = {HOUR_S * k for k in (1, 2, 3, 4, 6, 8, 12, 18, 36)}
    days = {DAY_S * k for k in (*range(1, 32), 45, 60, 75, 90, 120, 150, 180, 270, 365, 730)}
    return np.array(sorted(octaves | minutes | hours | days), dtype=np.int64)


BUCKETS: NDArray[np.int64] = _bucket_edges()
"""Upper edges of the buckets (lower, upper], seconds; a label older than its prediction is in the
first. Horizons of whole days up to 31, and those named above, are met exactly."""
N_BUCKETS = len(BUCKETS)
LONGEST_S = int(BUCKETS[-1])
POSITIVE, NEGATIVE = 1, 0


def bucket(delay_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bucket of each delay; N_BUCKETS for one beyond the longest."""
    return np.searchsorted(BUCKETS, delay_s, side="left")


@dataclass(frozen=True, slots=True, eq=False)
class DelayCounts:
    """Labels by outcome and bucket of delay: `counts` is int64 of shape (2, N_BUCKETS).

    Row 1 holds positives. until_s: age up to which all labels have been seen, an edge of BUCKETS;
    buckets beyond it are 0. Addition merges cohorts; the shorter age holds for the sum.
    """

    counts: NDArray[np.int64]
    until_s: int

    @classmethod
    def empty(cls, until_s: int = LONGEST_S) -> Self:
        """Counts of nothing, seen up to the last edge within until_s."""
        return cls(np.zeros((2, N_BUCKETS), dtype=np.int64), _edge_within(until_s))

    @classmethod
    def from_rows(
        cls, delay_s: NDArray[np.float64], outcome: NDArray[np.bool_], until_s: int = LONGEST_S
    ) -> Self:
        """Counts of labels of cohorts that are all at least until_s old."""
        edge = _edge_within(until_s)
        counts = np.zeros((2, N_BUCKETS), dtype=np.int64)
        seen = delay_s <= edge
        np.add.at(counts, (outcome[seen].astype(np.int64), bucket(delay_s[seen])), 1)
        return cls(counts, edge)

    def until(self, until_s: int) -> DelayCounts:
        """The same labels as they would have been seen up to a shorter age."""
        edge = min(self.until_s, _edge_within(until_s))
        if edge == self.until_s:  # most often, and buckets beyond it are 0
            return self
        return DelayCounts(np.where(edge >= BUCKETS, self.counts, 0), edge)

    def __add__(self, other: DelayCounts) -> DelayCounts:
        edge = min(self.until_s, other.until_s)
        total = self.counts + other.counts
        return DelayCounts(np.where(edge >= BUCKETS, total, 0), edge)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DelayCounts)
            and self.until_s == other.until_s
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable; nothing keys by counts

    def labels(self, outcome: int | None = None) -> NDArray[np.int64]:
        """Labels by bucket, of one outcome or of both."""
        return np.asarray(self.counts.sum(axis=0) if outcome is None else self.counts[outcome])

    def share_by(self, age_s: float, outcome: int | None = None) -> float:
        """F(age): share of the labels that have come by this age.

        Within a bucket linear in the delay. NaN without labels, or beyond until_s.
        """
        n = self.labels(outcome)
        if not n.sum() or age_s > self.until_s:
            return float("nan")
        edges = np.concatenate([[0], BUCKETS])
        return float(np.interp(age_s, edges, np.concatenate([[0], np.cumsum(n)])) / n.sum())

    def quantile(self, share: float, outcome: int | None = None) -> float:
        """Age in seconds by which this share of the labels has come; NaN without labels."""
        n = self.labels(outcome)
        if not n.sum():
            return float("nan")
        cumulative = np.concatenate([[0], np.cumsum(n)])
        wanted = share * n.sum()
        at = max(1, int(np.searchsorted(cumulative, wanted, side="left")))
        lower = BUCKETS[at - 2] if at > 1 else 0
        part = (wanted - cumulative[at - 1]) / (cumulative[at] - cumulative[at - 1])
        return float(lower + part * (BUCKETS[at - 1] - lower))


@lru_cache
def _edge_within(age_s: float) -> int:
    """The last bucket edge within an age; ValueError for an age under the first edge."""
    at = int(np.searchsorted(BUCKETS, age_s, side="right")) - 1
    if at < 0:
        msg = f"labels must be seen for {BUCKETS[0]} s or longer, not {age_s} s"
        raise ValueError(msg)
    return int(BUCKETS[at])


@dataclass(frozen=True, slots=True)
class NullOffset:
    """What a horizon adds to the logit of explicit labels, with its standard error, in logits.

    on_time_positive and on_time_negative: F1(H) and F0(H).
    """

    value: float
    se: float
    on_time_positive: float
    on_time_negative: float


def null_offset(delays: DelayCounts, horizon_s: float) -> NullOffset:
    """log(F1(H) / F0(H)): added to z where rows without a label at H are left out.

    P(Y=1 | s, label by H) = q F1 / (q F1 + (1 - q) F0), whose logit is logit q + log(F1 / F0): the
    same for every score, if delays depend on the outcome alone. The error is by the delta method,
    (1 - F) / (n F) for each class, and does not know of wobble between cohorts. NaN where a class
    has no label by H, or H is beyond the observed age.
    """
    f1, f0 = delays.share_by(horizon_s, POSITIVE), delays.share_by(horizon_s, NEGATIVE)
    if not (f1 > 0 and f0 > 0):
        return NullOffset(float("nan"), float("nan"), f1, f0)
    n1, n0 = delays.labels(POSITIVE).sum(), delays.labels(NEGATIVE).sum()
    variance = (1 - f1) / (n1 * f1) + (1 - f0) / (n0 * f0)
    return NullOffset(float(np.log(f1) - np.log(f0)), float(np.sqrt(variance)), f1, f0)


def implicit_null(
    q: NDArray[np.float64], delays: DelayCounts, horizon_s: float
) -> NDArray[np.float64]:
    """Q F1(H): chance of a positive by H where no label means a negative; shape of q.

    Reads the positives' delays alone; NaN without positives, or beyond the observed age.
    """
    return np.asarray(q * delays.share_by(horizon_s, POSITIVE))
