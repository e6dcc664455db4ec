"""Advice on labels: the horizon to choose, what the chosen one loses, and the fresh view."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.counting.join import Applied, JoinIndex
from monitor.core.counting.series_table import SeriesRules, SeriesTable
from monitor.core.delay.delay_advice import LabelAdvice, label_advice
from monitor.core.delays import DAY_S
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.policies import Policy, Unlabelled
from tests.core.delayed import rows

START_S = 1_767_225_600
DAYS = 100
POLICY = Policy(label_horizon=timedelta(days=7))


def joined(policy: Policy, days: int, per_day: int = 400, *, explicit: bool = True) -> Applied:
    """What a calibrated model's predictions have come to by the end of the last day.

    explicit: negatives are reported too.
    """
    rng = np.random.default_rng(11)
    n = days * per_day
    found = rows(rng, n)
    ts_ms = START_S * 1000 + np.sort(rng.integers(0, days * DAY_S * 1000, n))
    label_ms = ts_ms + (found.delay_s * 1000).astype(np.int64)
    come = label_ms < (START_S + days * DAY_S) * 1000
    come &= found.outcome | explicit
    table = SeriesTable()
    rules = SeriesRules(
        0,
        int(policy.pane.total_seconds()),
        int(policy.label_horizon.total_seconds()),
        int(policy.correction_horizon.total_seconds()),
        unlabelled_negative=policy.unlabelled is Unlabelled.NEGATIVE,
    )
    table.add(0, Series("m", "1"), rules)
    key = rng.integers(0, 2**64, n, dtype=np.uint64, endpoint=False)
    shard, of_model = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    predictions = PredictionColumns(key, shard, of_model, ts_ms, found.score)
    labels = LabelColumns(key, shard, of_model, label_ms, found.outcome.astype(np.float64))
    return JoinIndex(table).apply(predictions, labels.take(come))


def advised(policy: Policy, days: int = DAYS, *, explicit: bool = True) -> LabelAdvice:
    found = joined(policy, days, explicit=explicit)
    return label_advice("m", "1", found.cells, found.delays, policy, START_S + days * DAY_S)


def test_the_horizon_is_suggested_and_what_the_chosen_one_loses_is_said() -> None:
    advice = advised(POLICY)

    assert advice.observed_s is not None
    assert advice.observed_s >= 45 * DAY_S
    assert advice.on_time_negative == pytest.approx(0.63, abs=0.02)
    assert advice.on_time_positive == pytest.approx(0.97, abs=0.01)
    assert advice.suggested is not None
    assert advice.suggested.horizon_s is not None
    assert 16 * DAY_S <= advice.suggested.horizon_s <= 22 * DAY_S
    assert any("loses much: within it come 97% of the positive" in words for words in advice.words)


def test_a_horizon_that_loses_little_is_not_blamed() -> None:
    advice = advised(replace(POLICY, label_horizon=timedelta(days=30)))

    assert not any("loses much" in words for words in advice.words)


@pytest.mark.parametrize("unlabelled", list(Unlabelled))
def test_the_fresh_view_reads_no_gap_that_does_not_exist(unlabelled: Unlabelled) -> None:
    implicit = unlabelled is Unlabelled.NEGATIVE
    policy = replace(POLICY, unlabelled=unlabelled)
    advice = advised(policy, explicit=not implicit)
    found = joined(policy, DAYS, explicit=not implicit)
    young = found.cells.take(found.cells.pane_start >= START_S + (DAYS - 7) * DAY_S).counts()
    raw = young.score_sum.sum() / 1e9 / young.n_labelled - young.n_positive / young.n_labelled

    assert abs(raw) > 0.05
    assert advice.fresh is not None
    assert advice.fresh.gap == pytest.approx(0, abs=0.025)
    assert advice.fresh.ece is not None
    assert advice.fresh.ece < 0.06
    assert any("Provisional" in words and "never alarms" in words for words in advice.words)


def test_few_days_say_that_they_are_too_few() -> None:
    advice = advised(POLICY, days=3)

    assert advice.suggested is not None
    assert advice.suggested.horizon_s is None
    assert advice.on_time is None


def test_no_label_at_all_is_said() -> None:
    found = joined(POLICY, 2, explicit=False)
    nothing = found.delays.take(np.zeros(len(found.delays), dtype=np.bool_))
    advice = label_advice("m", "1", found.cells, nothing, POLICY, START_S + 2 * DAY_S)

    assert advice.words == ("No labels are old enough yet.",)
    assert advice.fresh is None
