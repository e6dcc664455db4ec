from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.detector.score_shift import ScoreShift
from monitor.core.detector.selection import Selection
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.measures.estimates import Estimates, Ranking
from monitor.core.verdicts import BudgetShare, Direction, Opinion, Restart, Verdict, WrongBin
from tests.notify import verdict_samples as samples

FULL = samples.with_evidence(
    samples.DRIFTED,
    restart=Restart("reset", samples.NOW, samples.NOW, samples.NOW, "why", "ann"),
    raised_by="adwin",
    budget=BudgetShare("at most 1 page", "e_d_bh", 500, 7600.5, 0.0018, samples.NOW),
    ranking=Ranking(0.6, 0.8, 0.05, 0.1, 0.2, float("nan"), 0.3, "useful", "It tells them apart."),
    estimates=Estimates(0.05, 0.04, 0.01, 0.06, 0.07, 0.05, 0.09, 0.05, 0.001),
    wrong_bins=(WrongBin(0.2, 0.4, Direction.UNDERCONFIDENT, 12.5, 0.001),),
    score_shift=ScoreShift(0.3, 0.01, 0.02, 0.2, 0.1, 0.001, shifted=True, reason="Shifted."),
    selection=Selection(1e-6, 0.2, 0.3, 0.1, 1.0, None, None),
    opinions=(Opinion("adwin", 2, 900, samples.NOW), Opinion("kswin", 0, 900, None)),
)
BARE = samples.with_evidence(
    samples.OK,
    e_value=None,
    baseline=None,
    window=None,
    bins=(),
    baseline_bins=(),
    worst_bins=(),
    shift=None,
    coverage=float("nan"),
)


def stored(verdict: Verdict) -> dict[str, Any]:
    """What a JSON column gives back."""
    return dict(json.loads(json.dumps(verdict.as_json(), allow_nan=False)))


@pytest.mark.parametrize("verdict", [samples.DRIFTED, samples.MIXED, samples.OK, BARE, FULL])
def test_a_stored_verdict_comes_back_as_it_was(verdict: Verdict) -> None:
    back = verdict_from_json(stored(verdict))
    assert back.as_json() == verdict.as_json()
    assert (back.series, back.status, back.evaluated_at) == (
        verdict.series,
        verdict.status,
        verdict.evaluated_at,
    )
    assert back.evidence.bins == verdict.evidence.bins
    assert back.evidence.restart == verdict.evidence.restart
    grouped = ("opinions", "estimates", "wrong_bins", "score_shift", "selection", "budget")
    for name in grouped:
        assert getattr(back.evidence, name) == getattr(verdict.evidence, name), name
    assert type(back.evidence.ranking) is type(verdict.evidence.ranking)


def test_types_come_back_not_only_their_text() -> None:
    back = verdict_from_json(stored(samples.DRIFTED))
    assert back.evidence.direction is Direction.OVERCONFIDENT
    assert back.evidence.repair == samples.REPAIR
    assert back.window_end_at - back.window_start_at == (
        samples.DRIFTED.window_end_at - samples.DRIFTED.window_start_at
    )


def test_fields_added_since_then_are_unknown_and_fields_dropped_since_then_are_ignored() -> None:
    raw = stored(samples.DRIFTED)
    raw["colour"] = "red"
    grouped = (
        "restart", "raised_by", "opinions", "ranking", "estimates", "wrong_bins", "score_shift",
        "selection",
    )  # fmt: skip
    for name in (*grouped, "sigma", "cause", "repair", "baseline_bins", "drift_since_at"):
        del raw["evidence"][name]
    evidence = verdict_from_json(raw).evidence
    assert (evidence.sigma, evidence.cause, evidence.repair) == (None, None, None)
    assert (evidence.baseline_bins, evidence.drift_since_at) == ((), None)
    assert (evidence.restart, evidence.raised_by, evidence.opinions) == (None, None, ())
    assert (evidence.ranking, evidence.estimates, evidence.wrong_bins) == (None, None, ())
    assert (evidence.score_shift, evidence.selection) == (None, None)


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (("status",), "FINE", "FINE"),
        (("series",), None, "series must be an object"),
        (("series", "model"), 7, "model must be a string, not 7"),
        (("evaluated_at",), "yesterday", "yesterday"),
        (("evaluated_at",), "2026-03-14T00:00:00", "evaluated_at must be a time with its zone"),
        (("evidence",), [], "evidence must be an object"),
        (("evidence", "labels_seen"), None, "labels_seen must be an integer"),
        (("evidence", "shift"), "big", "shift must be a number or null"),
        (("evidence", "bins"), 3, "bins must be a list of objects"),
        (("evidence", "bins"), [3], "bins must be a list of objects"),
        (("evidence", "window", "ece_15"), "x", "ece_15 must be a number or null"),
    ],
)
def test_what_cannot_be_a_verdict_is_refused_by_name(
    place: tuple[str, ...], value: object, complaint: str
) -> None:
    raw = stored(samples.DRIFTED)
    inner = raw
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(ValueError, match=complaint):
        verdict_from_json(raw)
