"""What the default policy says of the real streams: silence where nothing changes, alerts early."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.policies import Policy
from monitor.core.verdicts import Cause, Direction
from monitor.ingest.files import read_labels, read_predictions, with_models
from monitor.watch.backtest import BacktestAlert, backtest
from monitor.watch.counting import Events
from tests.acceptance.product import SHARED
from tests.acceptance.replay import check, replayed, shown, threads
from tests.notify.slack_faults import Fault, FaultKind

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.watch.following import Judged
    from tests.notify.slack_stub import SlackStub

STREAMS = {
    "games538": ("538-mlb", "538-nba"),
    "llm_msp": ("yi-34b", "gpt-3.5-turbo", "gpt-4-turbo"),
    "elec2": ("elec-hgb-static", "elec-lr-monthly"),
    "nycflights": ("flight-late15",),
}
STREAM_OF = {model: stream for stream, models in STREAMS.items() for model in models}
CLOSED = Fault(FaultKind.CLOSED_AFTER_EFFECT)
LIMITED = Fault(FaultKind.RATE_LIMITED)
POLICY = Policy(runbook_url="https://runbooks.example.com/calibration")
SPLICED_AT = datetime(2024, 4, 1, tzinfo=UTC)


def events(stream: str, *, one_version: bool, models: tuple[str, ...] = ()) -> Events:
    """The events of a stream's tested models, each as one version if wanted."""
    folder = SHARED / stream
    predicted = read_predictions(folder / "predictions.parquet")
    labelled = with_models(read_labels(folder / "labels.parquet"), predicted)
    assert labelled.model is not None
    tested = models or STREAMS[stream]
    row = np.isin(predicted.model.astype(str), tested)
    label = np.isin(labelled.model.astype(str), tested)
    version = predicted.version[row]
    return Events(
        predicted.prediction_id[row],
        predicted.model[row],
        np.full_like(version, "all") if one_version else version,
        predicted.ts_ms[row],
        predicted.score[row],
        {},
        labelled.prediction_id[label],
        labelled.model[label],
        labelled.ts_ms[label],
        labelled.label[label],
    )


@dataclass(frozen=True)
class Backtested:
    """Every verdict on a stream in time order, and each model's alerts in order of firing."""

    given: list[Judged]
    alerts: dict[str, list[BacktestAlert]]


def backtested(found: Events) -> Backtested:
    by_model: dict[str, list[BacktestAlert]] = {model: [] for model in set(found.model)}
    _, given, alerts = backtest(found, lambda _: Policy())
    for alert in sorted(alerts, key=lambda a: a.fired_at):
        by_model[alert.episode.series.model].append(alert)
    return Backtested(given, by_model)


class Streams(dict[str, Backtested]):
    """The streams by name, each read and judged when it is first asked for."""

    def __missing__(self, stream: str) -> Backtested:
        self[stream] = backtested(events(stream, one_version=False))
        return self[stream]


class Fired(dict[str, list[BacktestAlert]]):
    """The alerts of each model."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self._streams = streams

    def __missing__(self, model: str) -> list[BacktestAlert]:
        return self._streams[STREAM_OF[model]].alerts[model]


@pytest.fixture(scope="module")
def streams() -> Streams:
    if not SHARED.is_dir():
        pytest.skip("the real streams (../shared/data) are not beside this checkout")
    return Streams()


@pytest.fixture(scope="module")
def fired(streams: Streams) -> Fired:
    return Fired(streams)


@pytest.mark.parametrize("model", ["538-mlb", "538-nba", "yi-34b", "gpt-3.5-turbo"])
def test_a_stable_model_is_never_alerted_on(
    fired: dict[str, list[BacktestAlert]], model: str
) -> None:
    assert [alert.verdict.reason for alert in fired[model]] == []


def test_seasons_as_one_long_version_are_stable_too() -> None:
    """Each season is a version with a baseline of its own; together they are watched longer."""
    if not SHARED.is_dir():
        pytest.skip("the real streams (../shared/data) are not beside this checkout")
    found = backtested(events("games538", one_version=True, models=("538-nba",)))
    assert [alert.verdict.reason for alert in found.alerts["538-nba"]] == []


@pytest.mark.parametrize("model", ["elec-hgb-static", "flight-late15"])
def test_a_drifting_model_is_alerted_on_in_its_first_quarter(
    fired: dict[str, list[BacktestAlert]], model: str
) -> None:
    predicted = read_predictions(SHARED / STREAM_OF[model] / "predictions.parquet")
    ts_ms = predicted.ts_ms[predicted.model == model]
    quarter_s = (0.75 * int(ts_ms.min()) + 0.25 * int(ts_ms.max())) / 1000

    first, *others = fired[model]

    assert first.fired_at < datetime.fromtimestamp(quarter_s, tz=UTC)
    assert others
    assert {alert.episode.cause for alert in fired[model]} <= {Cause.MAP, Cause.MIX}


def test_the_long_spell_of_low_scores_is_one_episode(fired: dict[str, list[BacktestAlert]]) -> None:
    """From 1997-06 to 1998-06 the stream's prices outgrow the static model's training data."""
    last = fired["elec-hgb-static"][-1]

    assert last.episode.direction is Direction.UNDERCONFIDENT
    assert datetime(1997, 6, 1, tzinfo=UTC) < last.fired_at < datetime(1997, 6, 21, tzinfo=UTC)
    assert last.episode.resolved_at is not None
    assert last.episode.resolved_at > datetime(1998, 6, 1, tzinfo=UTC)


def test_the_splice_is_found_once_and_dated_within_days(
    fired: dict[str, list[BacktestAlert]],
) -> None:
    (alert,) = fired["gpt-4-turbo"]

    assert alert.episode.direction is Direction.OVERCONFIDENT
    assert SPLICED_AT < alert.fired_at < datetime(2024, 4, 20, tzinfo=UTC)
    since_at = alert.verdict.evidence.drift_since_at
    assert since_at is not None
    assert abs((since_at - SPLICED_AT).days) <= 3


def test_elec2_told_day_by_day_is_a_message_an_alert_with_its_thread(
    streams: dict[str, Backtested], engine: Engine, slack: SlackStub
) -> None:
    """Also where answers are lost and Slack asks to wait: what is out is found, not repeated."""
    slack.fail("chat.postMessage", CLOSED, LIMITED, CLOSED)
    slack.fail("chat.update", CLOSED)
    slack.fail("upload", Fault(FaultKind.SERVER_ERROR))

    done = replayed(streams["elec2"].given, lambda _: POLICY, engine, slack)

    told = threads(slack, done)
    print(shown("elec2", told))  # noqa: T201  # for a person to read
    check(told, slack, done, [one for mine in streams["elec2"].alerts.values() for one in mine])
    assert Counter(each.model for each in told) == {"elec-hgb-static": 3, "elec-lr-monthly": 1}
