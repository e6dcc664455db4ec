"""The batch law: what is found for a series does not depend on what else is asked, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.measures.bin_tests import wrong_bins, wrong_bins_of
from monitor.core.measures.estimates import ranking, rankings_of
from monitor.core.measures.logistic import Nodes, fit_logistic, fit_logistics, nodes, sigmoid
from monitor.core.measures.metrics import (
    metrics,
    metrics_of,
    reliability_bins,
    reliability_bins_of,
)
from monitor.core.measures.moments import moments_of
from monitor.core.segments import Segments

if TYPE_CHECKING:
    from random import Random

probability = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.3, 0.7, 1e-9, 1 - 1e-9]))
rows = st.lists(st.tuples(probability, st.booleans()), max_size=40)


def counted(some: list[tuple[float, bool]]) -> BinCounts:
    if not some:
        return BinCounts.empty()
    score, outcome = zip(*some, strict=True)
    return BinCounts.from_rows(np.array(score, dtype=np.float64), np.array(outcome))


def stream(seed: int, n: int, centre: float, slope: float) -> BinCounts:
    """Labels whose logit is `slope` times that of the score."""
    rng = np.random.default_rng(seed)
    z = rng.normal(centre, 1.5, n)
    return BinCounts.from_rows(sigmoid(z), rng.random(n) < sigmoid(slope * z))


ODD = {
    "nothing": BinCounts.empty(),
    "no labels": BinCounts.from_rows(np.full(9, 0.4), np.ones(9, np.bool_), np.zeros(9, np.bool_)),
    "one label": counted([(0.3, True)]),
    "one class": BinCounts.from_rows(np.linspace(0, 1, 90), np.zeros(90, np.bool_)),
    "constant": BinCounts.from_rows(np.full(80, 0.3), np.arange(80) % 3 == 0),
    "ties": BinCounts.from_rows(np.tile([0.1, 0.5, 0.9], 60), np.arange(180) % 7 < 3),
    "separable": BinCounts.from_rows(np.linspace(0, 1, 90), np.arange(90) > 44),
    "zeros and ones": counted([(0.0, False), (1.0, True), (0.0, True), (1.0, False)] * 8),
    "honest": stream(1, 1750, 0.0, 1.0),
    "overconfident": stream(2, 900, -1.0, 0.4),
    "rare": stream(3, 2500, -5.0, 1.0),
    "upside down": stream(4, 300, 1.0, -1.0),
}
# Steps are halved on these, or go on for long.
EXTREME = [
    Nodes(np.array(x), np.array(weight), np.array([1.0] * positive + [-1.0] * (len(x) - positive)))
    for x, weight, positive in (
        ([13.1, -11.6, 13.1, -11.6, -7.2], [1, 1e5, 1e5, 1.0, 1e2], 2),
        ([10.4, -8.2, -8.2, -0.2], [10, 1, 1e5, 1e6], 2),
        ([-8.1, -7.0, -8.1, -7.0, 12.6], [100, 100, 1000, 1e5, 1e4], 2),
        ([-3.0, 3.0, -3.0, 3.0], [1, 1e9, 1e9, 1.0], 2),
    )
]
batch = st.lists(st.one_of(st.sampled_from(list(ODD.values())), rows.map(counted)), max_size=12)


def told(found: list[object]) -> list[str]:
    """Every bit of what was found: NaN is equal to NaN."""
    return [repr(each) for each in found]


@settings(max_examples=40)
@given(batch, st.randoms(use_true_random=False))
def test_nothing_depends_on_what_else_is_asked(asked: list[BinCounts], random: Random) -> None:
    random.shuffle(asked)
    moments, now = moments_of(asked), metrics_of(asked)
    bins = reliability_bins_of(asked, 10)
    alone = [metrics(each) for each in asked]
    assert told([*now]) == told([*metrics_of(asked, moments)]) == told([*alone])
    ranked = [ranking(*one) for one in zip(asked, alone, moments, strict=True)]
    assert told([*rankings_of(asked, now, moments)]) == told([*ranked])
    assert told([*bins]) == told([reliability_bins(each, 10) for each in asked])
    assert told([*wrong_bins_of(bins)]) == told([wrong_bins(each) for each in bins])


@settings(max_examples=40)
@given(batch, st.lists(st.sampled_from(EXTREME), max_size=4), st.booleans())
def test_a_fit_is_the_same_alone(
    asked: list[BinCounts], extreme: list[Nodes], with_intercept: bool
) -> None:
    alone = [*extreme, *(nodes(each) for each in moments_of(asked))]
    joined = Nodes(
        *(
            np.concatenate([np.empty(0), *(getattr(each, name) for each in alone)])
            for name in ("logit", "weight", "sign")
        )
    )
    of = Segments.of([len(each.logit) for each in alone])
    found = fit_logistics(joined, of, with_intercept=with_intercept)
    one_by_one = [fit_logistic(each, with_intercept=with_intercept) for each in alone]
    assert told([*found]) == told([*one_by_one])
