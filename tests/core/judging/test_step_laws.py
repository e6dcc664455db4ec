"""The law of batches: what is stepped beside a series changes no bit of its state."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.folding import begin, step, step_all
from monitor.core.judging.series_state import IMPORTED, Baseline, Cohort, SeriesState, moment
from monitor.core.policies import DetectorName, FirstLabels, NamedPeriod, Policy, WobbleRule
from tests.core.streams import counts, days, lifted

RULE = FirstLabels(600)
ALL_DETECTORS = tuple(DetectorName)


def bits(value: object) -> object:
    """Everything in a state but what it keeps for later, arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if is_dataclass(value):
        return (
            type(value),
            *(bits(getattr(value, each.name)) for each in fields(value) if each.init),
        )
    if isinstance(value, tuple | list):
        return tuple(map(bits, value))
    return repr(value) if isinstance(value, float) else value


def fleet() -> list[tuple[Policy, Baseline | None, list[Cohort]]]:
    """Series of every sort, whose cohorts are of every sort."""
    rng = np.random.default_rng(31)
    plain = days([counts(rng, 200) for _ in range(7)])
    moved = [*plain[:5], *days([counts(rng, 200, lifted(2)) for _ in range(6)], 5)]
    zeros = BinCounts.from_rows(np.array([0.0, 1.0]), np.array([False, True]))
    one_class = BinCounts.from_rows(np.full(50, 0.4), np.zeros(50, dtype=bool))
    odd = days([zeros, one_class, BinCounts.empty(), counts(rng, 200, labelled=0.1)], 7)
    imported = Baseline(Series("m", "1"), IMPORTED, tuple(plain[:5]))
    period = NamedPeriod(moment(plain[1].start_s), moment(plain[4].end_s))
    return [
        (Policy(baseline=RULE), None, [*plain, *odd]),
        (Policy(baseline=RULE, detectors=ALL_DETECTORS), None, moved),
        (Policy(baseline=RULE, wobble=WobbleRule.HIDDEN_LEVEL), None, plain),
        (Policy(baseline=period), None, plain),
        (Policy(), imported, moved),
    ]


@lru_cache
def asked() -> list[tuple[SeriesState, Cohort, object]]:
    """Steps to take, and what comes of each alone."""
    found = []
    for policy, baseline, cohorts in fleet():
        state = begin(Series("m", "1"), policy, baseline)
        for cohort in cohorts:
            after = step(state, cohort)
            found.append((state, cohort, bits(replace(after, opinions=()))))
            state = after
    return found


@given(places=st.lists(st.integers(0, len(asked()) - 1), max_size=12))
@settings(deadline=None, max_examples=25)
def test_what_is_stepped_beside_a_series_changes_no_bit_of_it(places: list[int]) -> None:
    chosen = [asked()[place] for place in places]

    stepped = step_all([(state, cohort) for state, cohort, _ in chosen])

    assert [bits(replace(each, opinions=())) for each in stepped] == [alone for *_, alone in chosen]
