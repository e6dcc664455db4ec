"""The watch over delays: whether labels come slower or faster than in the baseline.

Guarantees: whole cohorts are compared and permuted, so that wobble from cohort to cohort does not
pass for a change; the verdict has its own level and its own words. A change of delays moves the
outcomes that a horizon lets in, and so looks exactly like an intercept drift. Must never: be read
as a calibration alert, or compare ages that one side has not been seen for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.delay.horizons import span_words
from monitor.core.delays import BUCKETS, NEGATIVE, POSITIVE, DelayCounts, null_offset
from monitor.core.measures.permutations import DRAWS, p_values, splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
LEVEL = 0.001
MIN_MOVE = 0.03
"""Smallest change of F at some delay, of one class, that is worth a word."""
MIN_T = 2.5
"""A largest |t| below this is never so rare as LEVEL, and needs no permutation to say so."""
MIN_LABELS = 50
MIN_SPLITS = 200
"""Fewer ways to choose the window's cohorts cannot show a level below 1 in 200."""


class Delays(StrEnum):
    """What the watch says of the labels' delays."""

    SAME = "same"
    SLOWER = "slower"
    FASTER = "faster"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Moved:
    """The quantile that moved most: share of the class's labels, and its delay before and now."""

    outcome: int
    share: float
    before_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class DelayVerdict:
    """What the watch found.

    p_value: of the permutation test, both classes together; NaN when insufficient, or not
    computed. move: largest difference of F,
    window less baseline, over delays and classes. offset_change: change of log(F1(H) / F0(H)), in
    logits: the intercept drift it would pass for; NaN where not decided, as by delays that were
    seen up to H alone.
    """

    status: Delays
    p_value: float
    move: float
    moved: Moved | None
    offset_change: float
    reason: str


def watch_delays(
    before: Sequence[DelayCounts],
    now: Sequence[DelayCounts],
    horizon_s: float,
    *,
    level: float = LEVEL,
    always_p: bool = True,
) -> DelayVerdict:
    """Compare the delays of mature cohorts, baseline against window, up to the shorter age.

    For each class and the deciles .1 .25 .5 .75 .9 of its pooled delays, t is the difference of F
    over its standard error, from the scatter of cohorts about their own side's F. The largest |t|
    is compared with those of other choices of as many cohorts (permutation; studentised, so that
    sides of unequal size may differ in noise: Janssen 1997). `level` is for one look; with one
    look a day, 0.001 is about one false word in three years. Without always_p nothing is permuted
    where the change is too small for any p value to make it a finding.
    """
    labelled = [[c for c in side if c.counts.any()] for side in (before, now)]
    until_s = min([c.until_s for c in (*before, *now)], default=0)
    sides = [[c.until(until_s) for c in side] for side in labelled]
    if (lacking := _lacking(sides, level)) is not None:
        return DelayVerdict(Delays.INSUFFICIENT, _NAN, _NAN, None, _NAN, lacking)
    cohorts = [*sides[0], *sides[1]]
    table = _Table.of(cohorts)
    old, new = (_total(side) for side in sides)
    change = null_offset(new, horizon_s).value - null_offset(old, horizon_s).value
    window = np.arange(len(cohorts)) >= len(sides[0])
    move, t = table.compared(window[None, :])
    largest = float(move[0][np.argmax(np.abs(move[0]))])
    p = _NAN
    if always_p or (abs(largest) >= MIN_MOVE and np.abs(t).max() >= MIN_T):
        _, t = table.compared(splits(len(cohorts), len(sides[1])))
        p = float(p_values(np.abs(t).max(axis=1, keepdims=True))[0, 0])
    if not p <= level or abs(largest) < MIN_MOVE:
        reason = "The labels' delays are as in the baseline."
        return DelayVerdict(Delays.SAME, p, largest, None, change, reason)
    status = Delays.SLOWER if largest < 0 else Delays.FASTER
    moved = _most_moved(old, new, int(table.outcome[np.argmax(np.abs(move[0]))]))
    return DelayVerdict(status, p, largest, moved, change, _words(status, moved, change))


_NAN = float("nan")


def _total(side: Sequence[DelayCounts]) -> DelayCounts:
    """The sum of cohorts that were seen up to the same age."""
    return DelayCounts(np.stack([c.counts for c in side]).sum(axis=0), side[0].until_s)


def _lacking(sides: Sequence[Sequence[DelayCounts]], level: float) -> str | None:
    for side, name in zip(sides, ("baseline", "window"), strict=True):
        n = int(np.array([c.counts for c in side], dtype=np.int64).sum())
        if n < MIN_LABELS:
            return f"The {name} holds {n} of the {MIN_LABELS} labels needed to compare delays."
    tried = min(comb(len(sides[0]) + len(sides[1]), len(sides[1])), DRAWS + 1)
    needed = max(MIN_SPLITS, int(np.ceil(1 / level)))
    if tried < needed:
        return (
            f"{len(sides[0])} baseline and {len(sides[1])} window cohorts are too few to tell a "
            "change of delays from their wobble."
        )
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Labels and labels by each cut, of each cohort; int64 of shape (cohorts, cuts).

    outcome: class of each cut.
    """

    n: NDArray[np.float64]
    arrived: NDArray[np.float64]
    outcome: NDArray[np.int64]

    @classmethod
    def of(cls, cohorts: Sequence[DelayCounts]) -> _Table:
        counts = np.stack([c.counts for c in cohorts]).astype(np.float64)
        n, arrived, outcomes = [], [], []
        for outcome in (POSITIVE, NEGATIVE):
            cumulative = counts[:, outcome].cumsum(axis=1)
            pooled = cumulative.sum(axis=0)
            # A cut where all labels have come tells nothing.
            cuts = np.unique(np.searchsorted(pooled, np.array(SHARES) * pooled[-1], side="left"))
            cuts = cuts[pooled[cuts] < pooled[-1]]
            arrived.append(cumulative[:, cuts])
            n.append(np.repeat(cumulative[:, -1:], len(cuts), axis=1))
            outcomes += [outcome] * len(cuts)
        return cls(np.hstack(n), np.hstack(arrived), np.array(outcomes, dtype=np.int64))

    def compared(
        self, window: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Difference of F and its t for each choice of window cohorts; (splits, cuts) each."""
        if not len(self.outcome):
            return np.zeros((len(window), 1)), np.zeros((len(window), 1))
        chosen = window.astype(np.float64)
        of_cohorts = np.stack(
            [self.n, self.arrived, self.arrived**2, self.arrived * self.n, self.n**2]
        )
        now, m = chosen @ of_cohorts, chosen.sum(axis=1, keepdims=True)
        now_f, now_v = self._share(now, m)
        # What is not in the window is in the baseline: a subtraction of whole numbers is exact.
        old = of_cohorts.sum(axis=1)[:, None] - now
        old_f, old_v = self._share(old, len(self.n) - m)
        # A class without a label on one side came neither sooner nor later.
        known = (now[0] > 0) & (old[0] > 0)
        move = np.where(known, now_f - old_f, 0.0)
        return move, move / np.sqrt(now_v + old_v)

    def _share(
        self, sums: NDArray[np.float64], m: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """F of m cohorts and its variance: by cohort, and binomial at the least.

        sums: of n, arrived, arrived squared, arrived times n, and n squared, over those cohorts.
        """
        n, arrived, arrived_squared, arrived_n, n_squared = sums
        total = np.maximum(n, 1)
        f = arrived / total
        scatter = arrived_squared - 2 * f * arrived_n + f**2 * n_squared
        by_cohort = np.maximum(scatter, 0) / total**2 * m / np.maximum(m - 1, 1)
        pooled = self.arrived.sum(axis=0) / np.maximum(self.n.sum(axis=0), 1)
        return f, np.maximum(by_cohort, pooled * (1 - pooled) / total)


def _most_moved(old: DelayCounts, new: DelayCounts, outcome: int) -> Moved:
    """The quantile whose delay changed by the largest factor."""
    pairs = [
        Moved(outcome, share, old.quantile(share, outcome), new.quantile(share, outcome))
        for share in SHARES
    ]
    floor = float(BUCKETS[0])
    return max(
        pairs, key=lambda m: abs(np.log(max(m.now_s, floor)) - np.log(max(m.before_s, floor)))
    )


def _words(status: Delays, moved: Moved, change: float) -> str:
    kind = "positive" if moved.outcome == POSITIVE else "negative"
    size = "" if not np.isfinite(change) else f" of {change:+.2f} logits at the label horizon"
    return (
        f"Labels come {status}: {moved.share:.0%} of the {kind} labels came within "
        f"{span_words(moved.before_s)} in the baseline and within {span_words(moved.now_s)} now. "
        f"A change of delays looks like an intercept drift{size}: check the labels' pipeline "
        "before the model."
    )
