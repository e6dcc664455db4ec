"""What may be said of claims and stakes, and what is refused with its line and the mend."""

from __future__ import annotations

import pytest

from monitor.config import ConfigError, describe, describe_text, parse
from monitor.core.kinds import BINARY, ClaimSet, Logprobs
from monitor.core.policies import Policy, Stakes

GATE = "cutoff: 0.8, cost_false_positive: 1, cost_false_negative: 5"
LLM = "claims: {sources: [token_prob, verbalized, judge], logprobs: sum}"


def test_a_model_overrides_the_claims_whole_and_null_makes_it_binary() -> None:
    settings = parse(
        "defaults: {claims: {classes: [yes-please, 'no', maybe]}}\n"
        "models:\n"
        f"  qa: {{{LLM}, stakes: high}}\n"
        "  bike: {claims: {quantiles: [0.05, 0.95], intervals: [0.5]}}\n"
        "  fraud: {claims: null}\n"
    )
    assert settings.defaults.claims == ClaimSet(classes=("yes-please", "no", "maybe"))
    qa = settings.declared["qa"]
    assert qa.claims.sources == ("token_prob", "verbalized", "judge")
    assert (qa.claims.logprobs, qa.stakes) == (Logprobs.SUM, Stakes.HIGH)
    assert settings.declared["bike"].claims.names == (
        "quantile:0.05", "quantile:0.95", "interval:0.5", "interval:0.9",
    )  # fmt: skip
    assert settings.declared["fraud"].claims == BINARY
    text = describe_text(settings)
    assert "claims (confidence:token_prob, confidence:verbalized, confidence:judge)" in text
    assert "stakes high" in text


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("claims: {classes: [a, b], sources: [judge]}", "of different kinds"),
        ("claims: {classes: [a]}", "is always right"),
        ("claims: {}", "declares no claim; give classes, sources, quantiles or intervals"),
        ("claims: {logprobs: sum}", "declares no claim"),
        ("claims: {classes: [a, a]}", '"a" is listed twice'),
        ("claims: {classes: [0, 1]}", "put it in quotes"),
        ("claims: {quantiles: [0.5, 0.5]}", "0.5 is listed twice"),
        ("claims: {quantiles: [5, 95]}", "use at most 0.999"),
        ("claims: {sources: [judge], quantiles: [0.5]}", "of different kinds"),
        ("unlabelled: negative, claims: {classes: [a, b]}", "is for labels that are 0 or 1"),
        ("unlabelled: negative, claims: {quantiles: [0.5]}", "is for labels that are 0 or 1"),
        (f"{LLM}, decision: {{{GATE}}}", "give source: token_prob"),
        (f"{LLM}, decision: {{{GATE}, source: votes}}", "none of the declared sources"),
        (
            f"{LLM}, decision: {{{GATE}, source: judge, corroborated_by: judge}}",
            "is the source itself",
        ),
    ],
)
def test_what_cannot_be_is_refused(keys: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.qa") as caught:
        parse(f"models: {{qa: {{{keys}}}}}")
    assert told in str(caught.value)


def test_a_high_stakes_decision_on_words_alone_is_refused_with_its_line() -> None:
    decision = f"decision: {{{GATE}, source: verbalized}}"
    text = f"models:\n  qa:\n    {LLM}\n    stakes: high\n    {decision}\n"
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith("calmon.yaml:5: models.qa.decision: the cutoff is put on")
    alone = text.replace(LLM, "claims: {sources: [verbalized]}").replace(", source: verbalized", "")
    with pytest.raises(ConfigError, match="which is weak evidence, and stakes are high"):
        parse(alone)


@pytest.mark.parametrize(
    ("stakes", "gate", "warned"),
    [
        ("normal", "source: verbalized", True),
        ("normal", "source: judge", False),
        ("normal", "source: verbalized, corroborated_by: judge", False),
        ("high", "source: verbalized, corroborated_by: judge", False),
        ("high", "source: token_prob", False),
    ],
)
def test_elsewhere_it_is_warned_about(stakes: str, gate: str, *, warned: bool) -> None:
    settings = parse(f"models: {{qa: {{{LLM}, stakes: {stakes}, decision: {{{GATE}, {gate}}}}}}}")
    found = describe(settings)["warnings"]
    assert bool(found) == warned
    assert ("warning: models.qa.decision: the cutoff" in describe_text(settings)) == warned


def test_a_decision_hangs_on_one_claim() -> None:
    settings = parse(
        "models:\n"
        f"  qa: {{{LLM}, decision: {{{GATE}, source: judge}}}}\n"
        f"  match: {{claims: {{classes: [a, b]}}, decision: {{{GATE}}}}}\n"
        f"  bike: {{claims: {{intervals: [0.9]}}, decision: {{{GATE}}}}}\n"
        f"  fraud: {{decision: {{{GATE}}}}}\n"
    )
    hangs = {
        name: [claim for claim in (*policy.claims.names, "positive") if policy.decision_on(claim)]
        for name, policy in settings.declared.items()
    }
    assert hangs == {
        "qa": ["confidence:judge"],
        "match": ["top_label"],
        "bike": [],
        "fraud": ["positive", "positive"],
    }
    assert Policy().decision_on("positive") is None
