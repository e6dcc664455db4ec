"""Laws of what verdicts show: order and cutting of rows, the complement, and rising scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import Cohort, moment
from monitor.core.measures.logistic import sigmoid
from monitor.core.policies import DetectorName, FirstLabels, Policy
from monitor.core.report.reports import series_report
from monitor.core.verdicts import Direction, Status, Verdict
from tests.core.streams import DAY_S

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = Series("m", "1")
POLICY = Policy(baseline=FirstLabels(1500), detectors=(DetectorName.E_PROCESS, DetectorName.ADWIN))
OVER, UNDER, IMPROVED = Direction
seeds = st.integers(0, 10_000)


@dataclass(frozen=True)
class Rows:
    """One day's rows: logits of the scores, outcomes, and which of them have a label."""

    logit: np.ndarray
    outcome: np.ndarray
    labelled: np.ndarray

    def counted(self, scores: Callable[[np.ndarray], np.ndarray] = sigmoid) -> BinCounts:
        return BinCounts.from_rows(scores(self.logit), self.outcome, self.labelled)


def stream(seed: int, level: float = 0.0, slope: float = 1.0, n: int = 14) -> list[Rows]:
    """n honest days, then 6 whose true logit is slope * logit + level; some labels missing."""
    rng = np.random.default_rng(seed)
    days = []
    for day in range(n + 6):
        logit = rng.normal(0.2, 1.5, 250)
        truth = logit if day < n else slope * logit + level
        days.append(Rows(logit, rng.random(250) < sigmoid(truth), rng.random(250) < 0.9))
    return days


def verdict(counts: list[BinCounts]) -> Verdict:
    state = begin(SERIES, POLICY)
    for day, each in enumerate(counts):
        state = step(state, Cohort(day * DAY_S, (day + 1) * DAY_S, each))
    return judge(state, moment((len(counts) + 2) * DAY_S))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seeds, st.sampled_from([0.0, -1.2]))
def test_neither_order_nor_cutting_of_a_days_rows_changes_anything(seed: int, level: float) -> None:
    days = stream(seed, level)
    rng = np.random.default_rng(seed + 1)
    mixed = []
    for rows in days:
        order = rng.permutation(len(rows.logit))
        cut = int(rng.integers(0, len(order)))
        parts = [
            Rows(rows.logit[p], rows.outcome[p], rows.labelled[p]).counted()
            for p in (order[cut:], order[:cut])
        ]
        mixed.append(parts[0] + BinCounts.empty() + parts[1])
    one, other = verdict([rows.counted() for rows in days]), verdict(mixed)
    assert other.as_json() == one.as_json()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seeds, st.sampled_from([(0.0, 1.0), (1.2, 1.0), (-1.2, 1.0), (0.0, 0.4), (0.0, 2.5)]))
def test_the_complement_is_judged_alike_and_misleads_the_other_way(
    seed: int, change: tuple[float, float]
) -> None:
    level, slope = change
    days = stream(seed, level, slope)
    here = verdict([rows.counted() for rows in days])
    other = [Rows(-rows.logit, ~rows.outcome, rows.labelled).counted() for rows in days]
    there = verdict(other)
    # Knots lie at or below a quantile, which is above it in the complement: nearly the same.
    assert there.status is here.status is (Status.DRIFTED if change != (0.0, 1.0) else Status.OK)
    mine, yours = here.evidence, there.evidence
    assert mine.window is not None
    assert yours.window is not None
    for name in ("n", "ece_15", "mce_15", "brier", "log_loss", "ece_debiased"):
        assert getattr(yours.window, name) == pytest.approx(
            getattr(mine.window, name), abs=5e-3 if name in {"mce_15", "ece_debiased"} else 1e-3
        )
    assert yours.window.gap == pytest.approx(-mine.window.gap, abs=1e-6)
    assert mine.shift == pytest.approx(yours.shift, abs=0.01)
    assert mine.gap_shift == pytest.approx(-(yours.gap_shift or 0.0), abs=0.01)
    assert mine.map_part == pytest.approx(yours.map_part, abs=0.01)
    assert mine.drift_since_at == yours.drift_since_at
    assert mine.cause is yours.cause
    if level:
        opposite = {OVER: UNDER, UNDER: OVER}
        assert mine.direction is not None
        assert yours.direction is opposite[mine.direction]
    else:
        assert yours.direction is mine.direction


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seeds, st.floats(0.3, 3), st.floats(-1.5, 1.5))
def test_rising_scores_leave_the_ranking_of_verdict_and_report(
    seed: int, slope: float, level: float
) -> None:
    days = stream(seed)

    def moved(z: np.ndarray) -> np.ndarray:
        return sigmoid(slope * z + level)

    one = verdict([rows.counted() for rows in days]).evidence
    other = verdict([rows.counted(moved) for rows in days]).evidence
    assert one.window is not None
    assert other.window is not None
    # Pairs within one micro-bin may rank either way: a few in a thousand.
    assert other.window.auroc == pytest.approx(one.window.auroc, abs=0.01)
    assert one.ranking is not None
    assert other.ranking is not None
    assert other.ranking.auroc_low == pytest.approx(one.ranking.auroc_low, abs=0.015)
    assert other.ranking.auroc_high == pytest.approx(one.ranking.auroc_high, abs=0.015)
    counted = [sum((rows.counted(f) for rows in days), BinCounts.empty()) for f in (sigmoid, moved)]
    here, there = (series_report(SERIES, each)["metrics"]["auroc"] for each in counted)
    assert here == pytest.approx(there, abs=0.01)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seeds)
def test_a_verdict_shows_the_estimates_of_its_window(seed: int) -> None:
    """What a verdict shows of its window is what a report on the same rows shows."""
    days = stream(seed, level=-1.5)
    shown = verdict([rows.counted() for rows in days])
    window = sum((rows.counted() for rows in days[-7:]), BinCounts.empty())
    report = series_report(SERIES, window)
    evidence = shown.evidence
    assert shown.status is Status.DRIFTED
    assert evidence.window is not None
    assert evidence.estimates is not None
    assert evidence.ranking is not None
    found = asdict(evidence.window) | asdict(evidence.estimates) | asdict(evidence.ranking)
    assert {name: found[name] for name in report["metrics"]} == report["metrics"]
    assert (found["n"], found["use"], found["reason"]) == (
        report["n"], report["use"], report["use_reason"],
    )  # fmt: skip
    assert {b.lower for b in evidence.wrong_bins} == {
        b["lower"] for b in report["bins"] if b["wrong"]
    }
