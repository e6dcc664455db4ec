"""What may be said of a decision, and what is refused with the mend."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.config import ConfigError, parse
from monitor.config.describe import describe_text
from monitor.core.decisions import DecisionPolicy

MADE = "cutoff: 0.5, cost_false_positive: 1, cost_false_negative: 5"


def test_a_model_overrides_the_decision_whole_and_null_leaves_it_out() -> None:
    settings = parse(
        f"defaults: {{decision: {{{MADE}, tolerance: 0.3, look_again_every: 1w}}}}\n"
        "models:\n"
        "  fraud: {decision: {cutoff: 0.2, cost_false_positive: 2, cost_false_negative: 3}}\n"
        "  churn: {decision: null}\n"
    )
    week = timedelta(weeks=1)
    assert settings.defaults.decision == DecisionPolicy(
        0.5, 1.0, 5.0, tolerance=0.3, look_again_every=week
    )
    assert settings.declared["fraud"].decision == DecisionPolicy(0.2, 2.0, 3.0)
    assert settings.declared["churn"].decision is None
    assert "decision above 0.2 at costs of 2 and 3" in describe_text(settings)
    policy = settings.declared["fraud"].as_json()["decision"]
    assert isinstance(policy, dict)
    assert policy["look_again_every"] == 30 * 86_400


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        ("{cutoff: 0.5, cost_false_positive: 1}", "cost_false_negative: is missing; add it"),
        (f"{{{MADE}, review_from: 0.3}}", "a review band has two edges"),
        (f"{{{MADE}, review_from: 0.6, review_to: 0.9}}", "does not hold the cutoff 0.5"),
        (f"{{{MADE}, review_from: 0.7, review_to: 0.3}}", "does not hold the cutoff 0.5"),
        ("{cutoff: 1.5, cost_false_positive: 1, cost_false_negative: 1}", "use less than 1"),
    ],
)
def test_what_cannot_be_is_refused(decision: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.fraud\.decision") as caught:
        parse(f"models: {{fraud: {{decision: {decision}}}}}")
    assert told in str(caught.value)
