"""An alert tells what the cutoff costs, where the policy says what hangs on it."""

from __future__ import annotations

import json

from monitor.core.bins import BinCounts
from monitor.core.decision.decision_evidence import decision_evidence
from monitor.core.decisions import DecisionPolicy
from monitor.core.judging.verdict_json import verdict_from_json
from monitor.notify.messages import as_plain_text, render
from tests.core.recalibration.test_repairs import drawn
from tests.notify import verdict_samples as samples


def test_an_alert_tells_the_cost_of_the_cutoff_and_history_reads_it_back() -> None:
    told = decision_evidence(
        BinCounts.from_rows(*drawn(5000, 3, shift=2.0)), DecisionPolicy(0.5, 1.0, 20.0)
    )
    assert told is not None
    assert told.too_costly
    verdict = samples.with_evidence(samples.DRIFTED, decision=told)
    assert f"Threshold: {told.reason}" in as_plain_text(render(samples.fired(verdict)))
    assert "Threshold" not in as_plain_text(render(samples.fired(samples.DRIFTED)))
    read = verdict_from_json(json.loads(json.dumps(verdict.as_json())))
    assert read.evidence.decision == told
