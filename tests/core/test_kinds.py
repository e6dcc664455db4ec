"""Every kind of confidence as claims: names, scores, references, and what must not matter."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import OutcomeRule, outcomes
from monitor.core.kinds import (
    BINARY,
    ClaimSet,
    Kind,
    Logprobs,
    claim_set_of,
    claims_made,
    class_number,
    level_of,
    probability_of_tokens,
    salt,
)
from monitor.core.policies import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

MATCH = ClaimSet(classes=("home", "draw", "away"))
ANSWER = ClaimSet(sources=("token_prob", "verbalized"))
DEMAND = ClaimSet(quantiles=(0.05, 0.5, 0.95), intervals=(0.8,))


def decided(
    claims: ClaimSet, values: Sequence[float], label: float
) -> dict[str, tuple[float, bool]]:
    """Score and outcome of each claim that one prediction makes."""
    found = {}
    for made in claims_made(claims, np.array([values])):
        if len(made.row):
            own = made.rule is not OutcomeRule.EQUALS
            refs = made.refs if made.refs is not None else np.full((1, 2), nan)
            low = refs[:, 0] if own else made.low
            rule = np.array([made.rule], dtype=np.int8)
            [outcome] = outcomes(rule, low, refs[:, 1], np.array([label]))
            found[made.name] = (float(made.score[0]), bool(outcome))
    return found


def test_a_multiclass_prediction_is_its_top_label_and_each_class() -> None:
    assert decided(MATCH, [0.2, 0.5, 0.3], class_number("draw")) == {
        "top_label": (0.5, True),
        "class:home": (0.2, False),
        "class:draw": (0.5, True),
        "class:away": (0.3, False),
    }
    assert decided(MATCH, [0.2, 0.5, 0.3], class_number("away"))["top_label"] == (0.5, False)


def test_of_equal_classes_the_first_that_is_declared_is_the_top_label() -> None:
    assert decided(MATCH, [0.4, 0.2, 0.4], class_number("home"))["top_label"] == (0.4, True)


def test_an_order_of_classes_in_a_configuration_may_change() -> None:
    turned = ClaimSet(classes=("away", "home", "draw"))
    label = class_number("away")
    assert decided(MATCH, [0.2, 0.5, 0.3], label) == decided(turned, [0.3, 0.2, 0.5], label)
    assert {name: salt(name) for name in MATCH.names} == {n: salt(n) for n in turned.names}


def test_each_source_of_confidence_is_a_claim_of_its_own_and_may_be_missing() -> None:
    assert decided(ANSWER, [0.9, nan], 1) == {"confidence:token_prob": (0.9, True)}
    assert decided(ANSWER, [0.9, 0.6], 0) == {
        "confidence:token_prob": (0.9, False),
        "confidence:verbalized": (0.6, False),
    }


def test_quantiles_and_intervals_promise_their_levels() -> None:
    assert DEMAND.columns == ("q_0.05", "q_0.5", "q_0.95", "lower_0.8", "upper_0.8")
    assert decided(DEMAND, [10, 20, 30, 12, 28], 29.5) == {
        "quantile:0.05": (0.05, False),
        "quantile:0.5": (0.5, False),
        "quantile:0.95": (0.95, True),
        "interval:0.8": (0.8, False),
        "interval:0.9": (0.9, True),
    }


@pytest.mark.parametrize(
    ("quantiles", "pairs"),
    [
        ((0.05, 0.95), ((0.9, 0.05, 0.95),)),
        ((0.95, 0.5, 0.05, 0.1, 0.9), ((0.9, 0.05, 0.95), (0.8, 0.1, 0.9))),
        ((0.25, 0.7), ()),
        ((0.025, 0.975), ((0.95, 0.025, 0.975),)),
    ],
)
def test_every_symmetric_pair_of_quantiles_is_an_interval(
    quantiles: tuple[float, ...], pairs: tuple[tuple[float, float, float], ...]
) -> None:
    assert ClaimSet(quantiles=quantiles).pairs == pairs


@given(st.sets(st.integers(1, 499), max_size=20))
def test_names_match_the_claims_that_are_made(thousandths: set[int]) -> None:
    levels = sorted({*(k / 1000 for k in thousandths), *(1 - k / 1000 for k in thousandths), 0.5})
    claims = ClaimSet(quantiles=tuple(levels))
    made = list(claims_made(claims, np.zeros((2, len(claims.columns)))))
    assert tuple(one.name for one in made) == claims.names
    assert len({salt(name) for name in claims.names}) == len(claims.names)
    assert all(one.score[0] == pytest.approx(level_of(one.name), abs=1e-10) for one in made)


def test_the_claim_of_a_binary_prediction_keeps_its_key() -> None:
    assert BINARY.names == ("positive",)
    assert salt("positive") == 0


@pytest.mark.parametrize(
    ("columns", "claims"),
    [
        (("p_A", "p_D"), ClaimSet(classes=("A", "D"))),
        (("confidence_judge",), ClaimSet(sources=("judge",))),
        (("q_0.90", "q_0.1"), ClaimSet(quantiles=(0.1, 0.9))),
    ],
)
def test_columns_name_the_claims(columns: tuple[str, ...], claims: ClaimSet) -> None:
    assert claim_set_of(columns) == claims


@pytest.mark.parametrize("columns", [("p_A", "q_0.1"), ("q_median",), ("q_1.5",), ("q_nan",)])
def test_columns_of_two_kinds_or_of_no_level_are_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"kinds|names no level"):
        claim_set_of(columns)


def test_log_probabilities_are_summed_or_averaged() -> None:
    tokens = np.log([0.9, 0.4])
    assert probability_of_tokens(tokens, Logprobs.SUM) == pytest.approx(0.36)
    assert probability_of_tokens(tokens, Logprobs.MEAN) == pytest.approx(0.6)
    assert probability_of_tokens(np.array([0.0]), Logprobs.SUM) == 1.0


def test_a_policy_of_before_there_were_kinds_keeps_its_fingerprint() -> None:
    assert "claims" not in Policy().as_json()
    assert Policy(claims=MATCH).as_json()["claims"] == {
        "kind": "multiclass",
        "classes": ["home", "draw", "away"],
        "logprobs": "mean",
    }
    assert Policy(claims=MATCH).fingerprint != Policy().fingerprint
    assert MATCH.kind is Kind.MULTICLASS
