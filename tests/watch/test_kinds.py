"""Kinds of confidence through counting and judging, on made-up events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.kinds import class_number
from monitor.core.policies import FirstLabels, Policy
from monitor.core.verdicts import Status
from monitor.watch.backtest import backtest
from monitor.watch.counting import Events, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from monitor.watch.counting import Counted

DAY_MS = 86_400_000
START_MS = 1_770_000_000_000 // DAY_MS * DAY_MS


def texts(value: str, n: int) -> NDArray[np.object_]:
    return np.full(n, value, dtype=np.object_)


def events(
    numbers: Mapping[str, NDArray[np.float64]], label: NDArray[np.float64], days: int
) -> Events:
    n = len(label)
    ids = np.array([str(i) for i in range(n)], dtype=np.object_)
    ts_ms = START_MS + np.arange(n) * days * DAY_MS // n
    return Events(
        ids, texts("m", n), texts("1", n), ts_ms, np.full(n, np.nan), {},
        ids, texts("m", n), ts_ms + 3_600_000, label, dict(numbers),
    )  # fmt: skip


def classes(n: int, days: int, *, gone_after: float) -> Events:
    """Honest probabilities of three classes, the third of which is impossible after a while."""
    rng = np.random.default_rng(3)
    p = rng.dirichlet((4, 3, 1), n)
    p[int(gone_after * n) :, 2] = 0
    p /= p.sum(axis=1, keepdims=True)
    drawn = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    label = np.array([class_number(name) for name in "abc"])[drawn]
    return events({f"p_{name}": p[:, k] for k, name in enumerate("abc")}, label, days)


def levels(n: int, days: int) -> Events:
    rng = np.random.default_rng(4)
    centre = rng.normal(size=n)
    label = centre + rng.normal(size=n)
    return events({"q_0.05": centre - 1.645, "q_0.95": centre + 1.645}, label, days)


def totals(counted: Counted) -> dict[str, tuple[bytes, object]]:
    """Counts and losses of each claim, whatever its number."""
    by_claim: dict[str, list[int]] = {}
    for index, series in counted.named.items():
        by_claim.setdefault(series.claim, []).append(index)
    return {
        claim: (
            counted.cells.take(np.isin(counted.cells.series, indices)).counts().sums.tobytes(),
            counted.losses.take(np.isin(counted.losses.series, indices)).total(),
        )
        for claim, indices in by_claim.items()
    }


@pytest.mark.parametrize("made", [classes(400, 4, gone_after=0.5), levels(400, 4)])
def test_the_order_of_events_changes_no_count_and_no_loss(made: Events) -> None:
    rng = np.random.default_rng(5)
    p, y = rng.permutation(len(made.score)), rng.permutation(len(made.label))
    shuffled = replace(
        made,
        prediction_id=made.prediction_id[p],
        ts_ms=made.ts_ms[p],
        numbers={name: values[p] for name, values in made.numbers.items()},
        label_id=made.label_id[y],
        label_ms=made.label_ms[y],
        label=made.label[y],
    )
    expected = totals(count(made, lambda _: Policy()))
    assert totals(count(shuffled, lambda _: Policy())) == expected
    assert len(expected) == (4 if "p_a" in made.numbers else 3)


def test_a_class_that_is_not_seen_any_more_does_no_harm() -> None:
    policy = Policy(baseline=FirstLabels(1000))
    _, given, alerts = backtest(classes(6000, 30, gone_after=0.5), lambda _: policy)
    last = {judged.verdict.series.claim: judged.verdict for judged in given}
    assert alerts == []
    assert {claim: verdict.status for claim, verdict in last.items()} == dict.fromkeys(
        ("top_label", "class:a", "class:b", "class:c"), Status.OK
    )


def test_honest_intervals_are_quiet_and_cover_what_they_promise() -> None:
    policy = Policy(baseline=FirstLabels(1000))
    _, given, alerts = backtest(levels(6000, 30), lambda _: policy)
    assert alerts == []
    last = {judged.verdict.series.claim: judged.verdict for judged in given}
    window = last["interval:0.9"].evidence.window
    assert window is not None
    assert window.base_rate == pytest.approx(0.9, abs=0.03)
    assert last["interval:0.9"].evidence.ranking is None
