"""Measuring: the numbers of many series' windows, each kind of them found for all at once.

Guarantees: what is found for a series depends on its own state alone, to the bit; what a series
has no use for is not looked for. Must never: choose a status or a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from monitor.core.detector.arrival import COMPLETE
from monitor.core.detector.placed import Placed
from monitor.core.detector.score_shift import Compared, score_shifts_of
from monitor.core.detector.selection import labelled_selectively
from monitor.core.detector.shift import shifts_of, splits_of
from monitor.core.judging.folding import BINS_SHOWN
from monitor.core.judging.series_state import arrival_in
from monitor.core.kinds import level_of
from monitor.core.measures.bin_tests import wrong_bins_of
from monitor.core.measures.estimates import rankings_of
from monitor.core.measures.metrics import metrics_of, reliability_bins_of
from monitor.core.measures.moments import moments_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.bins import BinCounts
    from monitor.core.detector.score_shift import ScoreShift
    from monitor.core.detector.selection import Selection
    from monitor.core.detector.shift import Shift, Split
    from monitor.core.judging.series_state import Cohort, SeriesState
    from monitor.core.measures.bin_tests import BinTest
    from monitor.core.measures.estimates import Ranking
    from monitor.core.verdicts import BinEstimate, Metrics

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a window shows, by itself and against its baseline; None where nothing decides it.

    metrics, ranking, bins, wrong_bins: of its labels; the ranking not of a constant, of which
    nobody asks whether it ranks. shift, split: from the baseline's map. score_shift, selection: of
    its predictions, labelled or not.
    """

    metrics: Metrics | None
    ranking: Ranking | None
    bins: tuple[BinEstimate, ...]
    wrong_bins: tuple[BinTest, ...]
    shift: Shift | None
    split: Split | None
    score_shift: ScoreShift | None
    selection: Selection | None


def measured(states: Sequence[SeriesState], windows: Sequence[BinCounts]) -> list[Measured]:
    """What is measured of each series; windows: counts of the states' windows."""
    n = len(states)
    at = [k for k, window in enumerate(windows) if window.n_labelled]
    labelled = [windows[k] for k in at]
    moments = moments_of(labelled)
    metrics = metrics_of(labelled, moments)
    bins = reliability_bins_of(labelled, BINS_SHOWN)
    ranked = [i for i, k in enumerate(at) if level_of(states[k].series.claim) is None]
    rankings = rankings_of(
        [labelled[i] for i in ranked], [metrics[i] for i in ranked], [moments[i] for i in ranked]
    )
    shifts, splits = _shifts_and_splits(states)
    columns = zip(
        _at(at, metrics, n),
        _at([at[i] for i in ranked], rankings, n),
        _at(at, bins, n),
        _at(at, wrong_bins_of(bins), n),
        shifts,
        splits,
        score_shifts(states, windows),
        map(_selection, states, windows),
        strict=True,
    )
    return [
        Measured(metrics, ranking, bins or (), wrong or (), shift, split, scores, selection)
        for metrics, ranking, bins, wrong, shift, split, scores, selection in columns
    ]


def score_shifts(
    states: Sequence[SeriesState], windows: Sequence[BinCounts]
) -> list[ScoreShift | None]:
    """Each window's predictions against the baseline's by score, labelled or not.

    windows: counts of the states' windows.
    """
    asked = {
        k: Compared(_counts(state.baseline.cohorts), _counts(state.window), facts.counts, window)
        for k, (state, window) in enumerate(zip(states, windows, strict=True))
        if state.baseline is not None and (facts := state.facts) is not None
    }
    return _at(asked, score_shifts_of([*asked.values()], test_small=False), len(states))


def _shifts_and_splits(
    states: Sequence[SeriesState],
) -> tuple[list[Shift | None], list[Split | None]]:
    """As `window_shift`, and map or mix: from the windows' cells, laid on their maps once."""
    asked = {
        k: (state.resting, _counts(state.window))
        for k, state in enumerate(states)
        if state.resting is not None
    }
    placed = Placed.of([*asked.values()])
    arrivals = [arrival_in(states[k]) for k in asked]
    known = [arrival or COMPLETE for arrival in arrivals]
    before = [facts.error if (facts := states[k].facts) else None for k in asked]
    shifts = [
        None if arrival is None else shift
        for arrival, shift in zip(arrivals, shifts_of(placed, known), strict=True)
    ]
    splits = splits_of(placed, before, known)
    return _at(asked, shifts, len(states)), _at(asked, splits, len(states))


def _selection(state: SeriesState, window: BinCounts) -> Selection | None:
    """Labelled against unlabelled predictions of the window; None where all have a label."""
    if window.n_labelled in {0, window.n_predicted}:
        return None
    found = labelled_selectively(_counts(state.window), test_small=False)
    return None if found.insufficient else found


def _counts(cohorts: Sequence[Cohort]) -> list[BinCounts]:
    return [cohort.counts for cohort in cohorts]


def _at(places: Iterable[int], found: Sequence[Found | None], n: int) -> list[Found | None]:
    """What was found for some of n series, at their places; None at the others."""
    of_all: list[Found | None] = [None] * n
    for k, each in zip(places, found, strict=True):
        of_all[k] = each
    return of_all
