"""Verdicts in the history: as they are said, in the order they were given, many at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text

from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import moment
from monitor.core.policies import DetectorName, FirstLabels, Policy
from monitor.core.verdicts import Restart, Verdict
from monitor.store import evaluations
from monitor.store.evaluations import evidence_json
from monitor.store.history import Brought, HistoryStore
from monitor.store.judgements import Judgement
from tests.core.streams import counts, days, lifted
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from sqlalchemy import Engine

POLICY = Policy(
    baseline=FirstLabels(500),
    detectors=(DetectorName.E_PROCESS, DetectorName.ADWIN),
    alarm_at=1e3,
)


@pytest.fixture(scope="module")
def folded() -> list[Verdict]:
    """From the first cohort to a drift."""
    rng = np.random.default_rng(5)
    drawn = [counts(rng, 250, lifted(1.5 if day > 3 else 0), labelled=0.9) for day in range(6)]
    state, given = begin(Series("m", "1"), POLICY), []
    for cohort in days(drawn):
        state = step(state, cohort)
        given.append(judge(state, moment(cohort.end_s) + POLICY.label_horizon))
    assert len({verdict.status for verdict in given}) == 3
    return given


def test_evidence_is_stored_as_it_is_said(folded: list[Verdict]) -> None:
    for verdict in (*folded, samples.DRIFTED, samples.MIXED, samples.OK):
        stored = json.loads(evidence_json(verdict.evidence))
        assert stored == verdict.as_json()["evidence"]


def test_a_restart_keeps_the_form_of_its_times(folded: list[Verdict]) -> None:
    taken_at = moment(0) + timedelta(milliseconds=1)
    restart = Restart("reset", moment(0), moment(0), taken_at, "why", "ann")
    verdict = replace(folded[-1], evidence=replace(folded[-1].evidence, restart=restart))
    stored = json.loads(evidence_json(verdict.evidence))
    assert stored == verdict.as_json()["evidence"]
    assert stored["restart"]["taken_at"] == "1970-01-01T00:00:00.001Z"


def test_numbers_of_numpy_are_numbers_and_other_things_are_a_fault(folded: list[Verdict]) -> None:
    evidence = replace(folded[-1].evidence, shift=np.float64(0.1), shift_low=np.float64("nan"))
    stored = json.loads(evidence_json(evidence))
    assert (stored["shift"], stored["shift_low"]) == (0.1, None)
    with pytest.raises(TypeError, match="int64 in evidence"):
        evidence_json(replace(evidence, labels_seen=np.int64(3)))  # type: ignore[arg-type]  # not an int


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_verdicts_are_numbered_as_they_were_given(
    engine: Engine, folded: list[Verdict], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(evaluations, "ROWS_AT_ONCE", at_once)
    policies = [POLICY, Policy(), replace(POLICY), POLICY, Policy(), POLICY]
    judged = [Judgement(v, policy) for v, policy in zip(folded, policies, strict=True)]
    history = HistoryStore(engine)
    marks = {"m": folded[-1].evaluated_at}
    history.record(Brought(marks, judgements=judged[:5]))
    history.record(Brought(marks, judgements=judged[5:]))
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT * FROM calmon.evaluation ORDER BY 1")).all()
        known = connection.execute(text("SELECT fingerprint FROM calmon.policy")).scalars().all()
    assert [row.evaluated_at for row in rows] == [v.evaluated_at for v in folded]
    assert [row.evidence for row in rows] == [v.as_json()["evidence"] for v in folded]
    assert [row.reason for row in rows] == [v.reason for v in folded]
    assert [row.policy_fingerprint for row in rows] == [p.fingerprint for p in policies]
    assert sorted(known) == sorted({POLICY.fingerprint, Policy().fingerprint})
