from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.core.events import ChangeEvent, ChangeKind
from monitor.core.judging.budget import Budget
from monitor.core.judging.fleet import Fleet
from monitor.core.policies import AlertPolicy, Cadence, FirstLabels, Policy
from monitor.core.verdicts import Cause, Direction, Status
from monitor.watch.backtest import backtest
from monitor.watch.counting import count, series_reports
from tests.synthetic import DAY_MS, START_MS, stream, together

POLICY = Policy(baseline=FirstLabels(1000), segments=("country",))


def test_a_change_is_found_once_and_an_unchanged_model_is_left_in_peace() -> None:
    _, given, alerts = backtest(stream(), lambda _: POLICY)
    whole = [alert for alert in alerts if alert.episode.series.segment == ""]
    assert [alert.episode.direction for alert in whole] == [Direction.OVERCONFIDENT]
    assert [alert.episode.cause for alert in whole] == [Cause.MAP]
    fired_ms = whole[0].fired_at.timestamp() * 1000
    assert START_MS + 16 * DAY_MS < fired_ms < START_MS + 21 * DAY_MS
    assert {judged.verdict.status for judged in given} == {
        Status.INSUFFICIENT,
        Status.OK,
        Status.DRIFTED,
    }
    _, _, alerts = backtest(stream(changed_on=None), lambda _: POLICY)
    assert alerts == []


def test_only_labels_within_the_horizon_are_judged_and_all_of_them_are_reported() -> None:
    events = stream()
    counted, given, _ = backtest(events, lambda _: POLICY)
    report = series_reports(counted, by_version=False)[0]
    assert report["n"] == len(events.label)
    assert report["version"] is None
    position = {name: i for i, name in enumerate(events.prediction_id)}
    age_ms = events.label_ms - events.ts_ms[[position[name] for name in events.label_id]]
    late = age_ms > POLICY.label_horizon.total_seconds() * 1000
    assert late.sum() > 50
    on_time = counted.cells.take(~counted.cells.late).sums[:, 1].sum()
    assert on_time == (~late).sum()
    last = given[-1].verdict
    assert last.window_end_at + POLICY.label_horizon == last.evaluated_at


def test_the_order_of_rows_and_repeated_rows_change_nothing() -> None:
    events = stream(days=6)
    rng = np.random.default_rng(1)
    rows, labels = rng.permutation(len(events.score)), rng.permutation(len(events.label))
    labels = np.concatenate([labels, labels[:99]])
    shuffled = replace(
        events,
        prediction_id=events.prediction_id[rows],
        model=events.model[rows],
        version=events.version[rows],
        ts_ms=events.ts_ms[rows],
        score=events.score[rows],
        segments={name: values[rows] for name, values in events.segments.items()},
        label_id=events.label_id[labels],
        label_model=events.label_model[labels],
        label_ms=events.label_ms[labels],
        label=events.label[labels],
    )
    one = series_reports(count(events, lambda _: POLICY), by_version=True)
    other = series_reports(count(shuffled, lambda _: POLICY), by_version=True)
    assert one == other


def test_segments_add_up_to_the_whole() -> None:
    reports = series_reports(count(stream(days=6), lambda _: POLICY), by_version=False)
    by_segment = {report["segment"]: report["n"] for report in reports}
    assert set(by_segment) == {None, "country=DE", "country=FR"}
    assert by_segment[None] == by_segment["country=DE"] + by_segment["country=FR"]


def test_a_longer_horizon_takes_in_more_labels() -> None:
    longer = replace(POLICY, label_horizon=timedelta(days=8))
    short = count(stream(), lambda _: POLICY).cells
    long = count(stream(), lambda _: longer).cells
    assert long.take(~long.late).sums[:, 1].sum() > short.take(~short.late).sums[:, 1].sum()
    assert long.counts() == short.counts()


def test_a_fleet_finds_what_changed_and_gives_no_more_false_alarms_than_promised() -> None:
    """Sixteen series over 21 days, three of them changed, at one false page a month."""
    changed = {"m03", "m07", "m11"}
    events = together(
        {
            (name := f"m{i:02}"): (0, stream(21, 150, 10 if name in changed else None, seed=i))
            for i in range(16)
        }
    )
    policy = Policy(baseline=FirstLabels(600))
    _, given, alerts = backtest(events, lambda _: policy, fleet=Fleet(Budget(1)))
    fired = {alert.episode.series.model for alert in alerts}
    assert fired >= changed
    assert len(fired - changed) <= 1
    for judged in given:
        share = judged.verdict.evidence.budget
        if share is not None:
            part = share.labels_per_month / judged.verdict.evidence.alarm_at
            assert part == pytest.approx(share.false_alarms_per_month)
            assert share.series * part <= 1


def test_a_monthly_model_is_alerted_on_at_a_deploy_and_a_delay_ends_when_it_is_over() -> None:
    """The cadence decides when a verdict is given; a change and a delay ask for one at once."""
    start_at = datetime.fromtimestamp(START_MS / 1000, UTC)
    alerts = AlertPolicy(pending_for=timedelta(hours=30))
    policy = Policy(baseline=FirstLabels(1000), cadence=Cadence.MONTHLY, alerts=alerts)
    deploy = ChangeEvent("credit", None, ChangeKind.DEPLOY, start_at + timedelta(days=22.3), "v2")
    events = stream(days=40)
    (monthly,) = backtest(events, lambda _: policy)[2]
    (asked,) = backtest(events, lambda _: policy, [deploy])[2]
    first_of_month = start_at.replace(month=2)
    assert monthly.fired_at == first_of_month + timedelta(hours=30)
    assert asked.fired_at == start_at + timedelta(days=23, hours=30)
