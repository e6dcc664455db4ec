"""Proposals: chosen on later labels, refused where nothing is shown to help, and said plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.measures.halves import halves
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.measures.metrics import metrics
from monitor.core.measures.usefulness import Use
from monitor.core.recalibration.held_out import HeldOut, moved_counts, shock_of
from monitor.core.recalibration.recalibrating import propose
from monitor.core.recalibration.recalibration_words import proposal_json, proposal_words
from monitor.core.recalibration.recalibrator_fits import fit_map
from monitor.core.recalibration.recalibrators import Isotonic, LogitLine, Method


def days(  # noqa: PLR0913  # a world's numbers
    n_days: int,
    a_day: int,
    seed: int,
    *,
    slope: float = 1.0,
    shift: float = 0.0,
    shock: float = 0.0,
    power: float = 1.5,
) -> list[BinCounts]:
    """Days of scores with logits of sd `power`, and outcomes of logit shift + slope * logit."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_days):
        score = sigmoid(rng.normal(0, power, a_day))
        own = shift + shock * rng.normal()
        found.append(
            BinCounts.from_rows(score, rng.random(a_day) < sigmoid(own + slope * logit(score)))
        )
    return found


def test_an_overconfident_model_gets_a_map_that_the_later_labels_confirm() -> None:
    cohorts = days(20, 300, 1, slope=0.5, shift=-0.3)
    found = propose(cohorts)
    assert found.map is not None
    assert found.map.method in {Method.PLATT, Method.BETA}
    assert (found.fitted.labels, found.held_out.labels) == (3000, 3000)
    assert (found.fitted.cohorts, found.held_out.cohorts) == (10, 10)
    for metric in ("log_loss", "brier", "reliability", "ece_debiased"):
        change = found.of(metric)
        assert change.after < change.before
        assert change.low <= change.difference <= change.high < 0
    auroc = found.of("auroc")
    assert auroc.before == auroc.after
    assert (auroc.low, auroc.high) == (0, 0)
    # The very map that was judged: fitted on the earlier days alone.
    assert found.map == fit_map(found.map.method, sum(cohorts[:10], BinCounts.empty()))
    # Judged on the later days alone.
    later = sum(cohorts[10:], BinCounts.empty())
    assert found.of("brier").before == pytest.approx(metrics(later).brier, abs=1e-6)
    assert found.of("log_loss").before == pytest.approx(metrics(later).log_loss, abs=1e-4)
    said = proposal_words(found)
    assert " is shown to help: log loss 0." in said[0]
    assert "The ranking is untouched: AUROC 0." in said[2]


def test_an_honest_model_is_left_alone() -> None:
    said = [propose(days(20, 200, seed)).map for seed in range(20)]
    assert sum(map_ is not None for map_ in said) <= 1
    # A week, and days that differ: what the first days have in common is not taken for the model's.
    said = [propose(days(6, 300, seed, shock=0.4)).map for seed in range(20)]
    assert sum(map_ is not None for map_ in said) <= 1
    words = proposal_words(propose(days(20, 200, 0)))
    assert words[0].startswith("Nothing is proposed. None of them is shown to help (temperature, ")
    one = proposal_words(propose(days(20, 200, 0), [Method.PLATT]))
    assert one[0].startswith("Nothing is proposed. Platt is not shown to help: log loss ")


def test_days_that_differ_widen_the_interval() -> None:
    cohorts = days(20, 300, 3, shift=0.3, shock=0.5)
    map_ = LogitLine(Method.PLATT, 1.0, 0.3)
    sigma = shock_of(cohorts)
    assert 0.4 < sigma < 1
    assert shock_of(days(20, 300, 3)) < 0.15
    assert shock_of(cohorts[:1]) == shock_of([]) == 0
    wide, narrow = (HeldOut.of(cohorts, each).log_loss(map_, 0.95) for each in (sigma, 0.0))
    assert wide.difference == narrow.difference
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_interval_of_the_difference_covers_its_mean() -> None:
    # The mean difference of all worlds stands for the truth.
    map_ = LogitLine(Method.PLATT, 0.7, 0.3)
    found = [
        HeldOut.of(days(10, 300, seed, slope=0.8, shift=0.2, shock=0.3), 0.3).log_loss(map_, 0.95)
        for seed in range(120)
    ]
    truth = float(np.mean([each.difference for each in found]))
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert 0.91 <= covered <= 0.99


def test_a_change_is_that_of_the_moved_rows() -> None:
    rng = np.random.default_rng(5)
    score = sigmoid(rng.normal(0, 1.5, 6000))
    outcome = rng.random(6000) < sigmoid(0.6 * logit(score))
    map_ = LogitLine(Method.PLATT, 0.6, 0.1)
    held_out = HeldOut.of([BinCounts.from_rows(score, outcome)], 0.0)
    found = {each.metric: each for each in held_out.changes(map_, 0.95)}
    before = metrics(BinCounts.from_rows(score, outcome))
    after = metrics(BinCounts.from_rows(map_(score), outcome))
    assert found["log_loss"].after == pytest.approx(after.log_loss, abs=2e-5)
    assert found["brier"].after == pytest.approx(after.brier, abs=2e-5)
    assert found["ece_debiased"].before == before.ece_debiased
    assert found["ece_debiased"].after == pytest.approx(after.ece_debiased, abs=3e-3)
    assert found["auroc"].before == before.auroc
    # Paired, row by row, as the raw rows have it.
    loss = [-np.log(np.where(outcome, each, 1 - each)) for each in (score, np.asarray(map_(score)))]
    apart = loss[1] - loss[0]
    half = 1.959964 * apart.std() / np.sqrt(len(apart))
    assert found["log_loss"].difference == pytest.approx(apart.mean(), abs=2e-5)
    assert found["log_loss"].high - found["log_loss"].difference == pytest.approx(half, rel=0.01)


def test_moved_counts_keep_the_labels() -> None:
    counts = sum(days(3, 200, 2), BinCounts.empty())
    moved = moved_counts(counts, Isotonic((0.2, 0.8), (0.3, 0.4)))
    assert (moved.n_labelled, moved.n_positive) == (counts.n_labelled, counts.n_positive)
    assert metrics(moved).mean_score == pytest.approx(0.35, abs=0.05)


def test_ties_of_isotonic_are_said() -> None:
    """Beyond the outer knots the map is flat."""
    found = propose(days(20, 300, 2, slope=0.4), [Method.ISOTONIC])
    assert found.map is not None
    auroc = found.of("auroc")
    assert auroc.after != auroc.before
    assert auroc.low <= auroc.difference <= auroc.high
    assert proposal_words(found)[2].startswith("No pair is turned round, but some scores become")


def test_useless_scores_are_called_so_however_honest_a_map_makes_them() -> None:
    found = propose(days(20, 400, 4, slope=0.0, power=2.0))
    assert found.use.use is Use.USELESS
    assert any("honest, not useful" in sentence for sentence in proposal_words(found))


def test_a_single_cohort_is_cross_fitted_and_that_is_said() -> None:
    whole = sum(days(20, 300, 1, slope=0.5), BinCounts.empty())
    found = propose([whole])
    assert found.map is not None
    assert not found.in_time
    assert (
        "moving either half, drawn at random, by a map fitted to the other"
        in (proposal_words(found)[3])
    )
    assert found.shock == 0
    # Judged on every label, by maps that had not seen it; the map that is written saw all.
    assert (found.fitted.labels, found.held_out.labels) == (6000, 6000)
    assert found.map == fit_map(found.map.method, whole)
    before = metrics(whole)
    assert found.of("log_loss").before == pytest.approx(before.log_loss, abs=5e-4)
    assert found.of("ece_debiased").before == before.ece_debiased
    one, other = halves([whole], 0)
    maps = [fit_map(found.map.method, each) for each in (other, one)]
    alone = [
        HeldOut.of([half], 0.0).log_loss(map_, found.level)
        for half, map_ in zip((one, other), maps, strict=True)
        if map_ is not None
    ]
    share = [half.n_labelled / 6000 for half in (one, other)]
    pooled = found.of("log_loss")
    assert pooled.difference == pytest.approx(
        sum(s * each.difference for s, each in zip(share, alone, strict=True))
    )
    assert pooled.high - pooled.low < 0.75 * max(each.high - each.low for each in alone)
    auroc = found.of("auroc")
    assert auroc.before == auroc.after
    assert (auroc.low, auroc.high) == (0, 0)


def test_a_few_hundred_honest_labels_get_no_map_and_dishonest_ones_do() -> None:
    honest = [propose(days(1, 300, seed)) for seed in range(60)]
    assert sum(found.map is not None for found in honest) <= 2
    # An e-value: its mean is at most 1 where nothing is wrong.
    assert np.mean([np.exp(found.log_evidence or 0.0) for found in honest]) < 1.5
    timid = [propose(days(1, 300, seed, slope=0.5)) for seed in range(40)]
    assert sum(found.map is not None for found in timid) >= 28
    [first, *_] = proposal_words(timid[0])
    assert " of 20." in first


@pytest.mark.parametrize(
    ("cohorts", "why"),
    [
        pytest.param([], "0 labels to fit (0 of them 1) and 0 to judge by", id="nothing"),
        pytest.param(days(2, 99, 1), "each side needs 100, and 10 of either", id="99 a side"),
        pytest.param(days(2, 300, 1, shift=-6.0), "of them 1)", id="too few of a class"),
    ],
)
def test_too_few_labels_are_refused(cohorts: list[BinCounts], why: str) -> None:
    with pytest.raises(ValueError, match=r"labels to fit") as refused:
        propose(cohorts)
    assert why in str(refused.value)


def test_scores_upside_down_get_no_map() -> None:
    found = propose(days(10, 200, 1, slope=-1.0), list(Method)[:3])
    assert found.map is None
    # Beta and lines cannot rise where the outcomes fall.
    assert all(each.map is None for each in found.tried)
    assert proposal_words(found)[0].startswith("Nothing is proposed: the labels decide no map")


def test_the_json_form_holds_everything_and_no_nan() -> None:
    found = proposal_json(propose(days(20, 200, 1, slope=0.5)))
    assert found["proposed"] is True
    assert set(found["changes"]) == {  # type: ignore[call-overload]  # a mapping
        "log_loss", "ece_debiased", "brier", "reliability", "resolution", "auroc",
    }  # fmt: skip
    assert found["level"] == 1 - 0.05 / 4
    assert all(not (isinstance(value, float) and math.isnan(value)) for value in found.values())
