from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.detector.score_shift import ScoreShift
from monitor.core.detector.selection import Selection
from monitor.core.measures.estimates import Ranking
from monitor.core.verdicts import (
    BinEstimate,
    BudgetShare,
    Cause,
    Direction,
    Opinion,
    WrongBin,
)
from monitor.notify.messages import (
    as_plain_text,
    render,
)
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from monitor.core.episode.notices import AlertNotice


def advice(notice: AlertNotice) -> str:
    return next(
        line for line in as_plain_text(render(notice)).splitlines() if line.startswith("What to do")
    )


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "apply this recalibrator: Platt"),
        (
            {"repair": replace(samples.REPAIR, method="temperature", slope=0.5, intercept=0.0)},
            "apply this recalibrator: temperature 2.000",
        ),
        ({"repair": replace(samples.REPAIR, ece_after=0.2)}, "look at the data"),
        ({"repair": replace(samples.REPAIR, ece_after=0.08)}, "look at the data"),
        ({"repair": None}, "wait for labels"),
        ({"cause": Cause.MIX}, "look at the traffic"),
        ({"direction": Direction.IMPROVED}, "nothing is broken"),
    ],
)
def test_the_advice_follows_from_the_evidence(changes: dict[str, object], start: str) -> None:
    verdict = samples.with_evidence(samples.DRIFTED, **changes)
    assert advice(samples.fired(verdict)).startswith(f"What to do: {start}")


def test_a_repair_of_scores_that_rank_nothing_is_not_praised() -> None:
    ranks_nothing = replace(samples.REPAIR, auroc_before=0.508, auroc_after=0.508)
    said = advice(samples.fired(samples.with_evidence(samples.DRIFTED, repair=ranks_nothing)))
    assert "It makes the scores honest, not useful: on these labels they hardly tell" in said


def test_a_repair_that_turns_the_ranking_round_is_not_called_harmless() -> None:
    turned = replace(samples.REPAIR, slope=-0.5, auroc_before=0.3, auroc_after=0.7)
    said = advice(samples.fired(samples.with_evidence(samples.DRIFTED, repair=turned)))
    assert "turns the ranking round (AUROC 0.300 before, 0.700 after)" in said
    assert "untouched" not in said


def first_sentences(gap: float, slope: float, direction: Direction | None) -> str:
    window = samples.DRIFTED.evidence.window
    assert window is not None
    verdict = samples.with_evidence(
        samples.DRIFTED,
        direction=direction,
        window=replace(window, gap=gap, slope=slope, ece_debiased=0.08),
    )
    return as_plain_text(render(samples.fired(verdict))).splitlines()[1]


@pytest.mark.parametrize(
    ("gap", "slope", "direction", "bin_shown", "way"),
    [
        (0.05, 0.6, Direction.OVERCONFIDENT, "says 0.77 and is right 0.59", "too high"),
        (0.05, math.nan, Direction.OVERCONFIDENT, "says 0.77 and is right 0.59", "too high"),
        (-0.05, 0.6, Direction.UNDERCONFIDENT, "says 0.10 and it happens 0.19", "too low"),
        (0.01, 0.6, Direction.OVERCONFIDENT, "says 0.10 and it happens 0.19", "too extreme"),
        (0.01, 1.6, Direction.UNDERCONFIDENT, "says 0.50 and it happens 0.43", "too timid"),
        (0.05, 0.6, Direction.IMPROVED, "says 0.10 and it happens 0.19", None),
        (0.05, 0.6, None, "says 0.10 and it happens 0.19", None),
    ],
)
def test_the_first_sentences_say_the_direction_and_show_a_bin_that_agrees(
    gap: float, slope: float, direction: Direction | None, bin_shown: str, way: str | None
) -> None:
    said = first_sentences(gap, slope, direction)
    assert said.startswith(f"fraud v7 {bin_shown} of the time in that bin (")
    assert (f"On the whole its scores are {way}" in said) if way else "On the whole" not in said


def test_a_bin_of_a_handful_of_labels_does_not_open_an_alert() -> None:
    odd = BinEstimate(0.6, 0.667, 3, 0.63, 0.0, 0.0, 0.56)
    evidence = samples.DRIFTED.evidence
    verdict = samples.with_evidence(
        samples.DRIFTED, bins=(*evidence.bins, odd), worst_bins=(odd, *evidence.worst_bins)
    )
    said = as_plain_text(render(samples.fired(verdict)))
    assert "says 0.77" in said.splitlines()[1]


def test_a_map_that_moved_without_moving_ece_is_not_said_to_have_moved_it() -> None:
    verdict = samples.with_evidence(samples.DRIFTED, map_part=0.001, mix_part=-0.002)
    said = as_plain_text(render(samples.fired(verdict)))
    assert "the map changed: the same score now means another probability, about as far" in said
    assert "ECE moved" not in said


def test_what_is_not_known_is_called_unknown() -> None:
    verdict = samples.with_evidence(
        samples.DRIFTED,
        e_value=None,
        drift_since_at=None,
        coverage=math.nan,
        direction=None,
        cause=None,
        shift=None,
        map_part=None,
        mix_part=None,
        baseline=None,
        window=None,
        bins=(),
        baseline_bins=(),
        worst_bins=(),
        repair=None,
    )
    said = as_plain_text(render(samples.fired(verdict, runbook_url=None)))
    assert "nan" not in said
    assert "None" not in said
    for text in (
        "fraud v7 no longer matches its baseline",
        "ECE unknown now, unknown in the baseline",
        "Since: unknown; noticed 14 Mar 2026",
        "e-value unknown against",
        "Worst bins: none stands out.",
        "unknown labels, unknown of the predictions",
    ):
        assert text in said
    assert "Runbook" not in said


ADWIN = Opinion("adwin", 1, 8400, samples.NOW - timedelta(days=3))


@pytest.mark.parametrize(
    ("raised_by", "opinions", "said"),
    [
        ("e_process", (), "8,400 labels seen since the baseline.\n"),
        (
            "e_process",
            (ADWIN, Opinion("kswin", 0, 8400, None)),
            "Second opinions: adwin found a change in the cohort of 11 Mar 2026; kswin found none.",
        ),
        (
            "adwin",
            (ADWIN,),
            "How sure: found by adwin, which promises no rate of false alarms; the policy leaves",
        ),
    ],
)
def test_who_found_it_and_what_the_others_say(
    raised_by: str, opinions: tuple[Opinion, ...], said: str
) -> None:
    verdict = samples.with_evidence(samples.DRIFTED, raised_by=raised_by, opinions=opinions)
    assert said in as_plain_text(render(samples.fired(verdict)))


@pytest.mark.parametrize(
    ("rule", "e_value", "said"),
    [
        ("thresholds", 2.31e6, "7,600 labels a month. 8,400 labels seen"),
        ("e_d_bh", 2.31e6, "7,600 labels a month. 8,400 labels seen"),
        ("e_d_bh", 6e5, "It was named below its threshold, together with others (e-d-BH): of"),
    ],
)
def test_the_budget_is_said_in_words(rule: str, e_value: float, said: str) -> None:
    budget = BudgetShare(
        "at most 1 false page a month over the whole fleet", rule, 500, 7600, 0.0018, samples.NOW
    )
    verdict = samples.with_evidence(samples.DRIFTED, budget=budget, e_value=e_value)
    text = as_plain_text(render(samples.fired(verdict)))
    assert (
        "against a threshold of 1 million: the budget is at most 1 false page a month over the "
        "whole fleet; 500 series share it, and this one's threshold follows from its part and "
        "about 7,600 labels a month."
    ) in text
    assert said in text


def test_warnings_stand_with_what_the_verdict_rests_on() -> None:
    shift = ScoreShift(
        0.3, 0.01, 0.02, 0.2, 0.1, 0.001, shifted=True, reason="Scores have shifted."
    )
    selection = Selection(1e-6, 0.2, 0.3, 0.1, 1.0, "Labels are selective.", None)
    verdict = samples.with_evidence(samples.DRIFTED, score_shift=shift, selection=selection)
    text = as_plain_text(render(samples.fired(verdict)))
    assert " UTC. Scores have shifted. Labels are selective.\n" in text
    quiet = replace(shift, shifted=False), replace(selection, warning=None)
    verdict = samples.with_evidence(samples.DRIFTED, score_shift=quiet[0], selection=quiet[1])
    assert render(samples.fired(verdict)) == render(samples.fired())


def test_a_worst_bin_has_its_class_and_a_useless_model_its_sentence() -> None:
    worst = samples.DRIFTED.evidence.worst_bins[0]
    wrong = WrongBin(worst.lower, worst.upper, Direction.UNDERCONFIDENT, 23.4, 0.001)
    rank = Ranking(0.4, 0.6, 0.05, 0.0, 0.0, 0.0, 0.0, "useless", "A constant would do as well.")
    verdict = samples.with_evidence(samples.DRIFTED, wrong_bins=(wrong,), ranking=rank)
    text = as_plain_text(render(samples.fired(verdict)))
    assert "0.12 in the baseline; 256 labels, scores too low by 23 labels\n" in text
    assert " UTC. A constant would do as well.\n" in text
    assert "What to do: look at the model: its scores tell next to nothing apart" in text
    assert "honest, not useful. The one fitted: Platt" in text
    unproven = samples.with_evidence(samples.DRIFTED, ranking=replace(rank, use="unproven"))
    assert "the labels do not show that they tell outcomes apart" in advice(samples.fired(unproven))
    useful = replace(rank, use="useful")
    assert render(samples.fired(samples.with_evidence(samples.DRIFTED, ranking=useful))) == render(
        samples.fired()
    )
