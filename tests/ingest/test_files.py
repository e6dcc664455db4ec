from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.files import (
    read_labels,
    read_predictions,
    read_scored,
    with_models,
)
from tests.ingest.written_files import HEAD, NOON, NOON_MS, WRITERS, write_jsonl, write_parquet

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the recorded streams are not beside this checkout"
)
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8
)
prediction_rows = st.lists(
    st.fixed_dictionaries(
        {
            "prediction_id": texts | st.from_regex(r"0[0-9]{3}", fullmatch=True),
            "model": st.sampled_from(["a", "b"]),
            "model_version": st.sampled_from(["1", "2026-01-31"]),
            "ts": st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001  # drawn naive; the map makes it UTC
                lambda t: t.replace(tzinfo=UTC, microsecond=t.microsecond // 1000 * 1000)
            ),
            "score": st.floats(0, 1),
            "country": texts,
        }
    ),
    min_size=1,
    max_size=20,
)


def epoch_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@settings(deadline=None, max_examples=30)  # the first example also loads Arrow
@given(rows=prediction_rows)
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_back_exactly_what_was_written(
    suffix: str, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("files") / f"predictions{suffix}"
    native = suffix == ".parquet"
    WRITERS[suffix](path, rows if native else [row | {"ts": row["ts"].isoformat()} for row in rows])

    read = read_predictions(path)

    assert read.source == str(path)
    assert read.prediction_id.tolist() == [row["prediction_id"] for row in rows]
    assert read.model.tolist() == [row["model"] for row in rows]
    assert read.version.tolist() == [row["model_version"] for row in rows]
    assert read.ts_ms.tolist() == [epoch_ms(row["ts"]) for row in rows]
    assert read.score.tolist() == [row["score"] for row in rows]
    assert list(read.segments) == ["country"]
    assert read.segments["country"].tolist() == [row["country"] for row in rows]


@pytest.mark.parametrize(
    ("ts", "expected_ms"),
    [
        (NOON, NOON_MS),
        ("2026-01-31T13:30:00+01:30", NOON_MS),
        ("2026-01-31 12:00:00.5Z", NOON_MS + 500),
        ("2026-01-31T12:00:00.123999Z", NOON_MS + 123),
        ("1769860800000", NOON_MS),
        (NOON_MS, NOON_MS),
        (float(NOON_MS), NOON_MS),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), NOON_MS),
        (datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))), NOON_MS),
        (datetime(2026, 1, 31, 12), NOON_MS),  # noqa: DTZ001  # native times without a zone are UTC
    ],
    ids=str,
)
def test_times_in_each_accepted_form(
    ts: str | float | datetime, expected_ms: int, tmp_path: Path
) -> None:
    path = tmp_path / "labels.parquet"
    write_parquet(path, [{"prediction_id": "a", "label": 1, "ts": ts}])
    assert read_labels(path).ts_ms.tolist() == [expected_ms]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_native_times_in_each_unit(unit: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    ts = pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC)], pa.timestamp(unit, "Asia/Tokyo"))
    pa_parquet.write_table(pa.table({"prediction_id": ["a"], "label": [1], "ts": ts}), path)
    assert read_labels(path).ts_ms.tolist() == [NOON_MS]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("0", 0), ("1", 1), ("0.0", 0), ("1.0", 1), ("true", 1), ("False", 0), (True, 1), (0.0, 0)],
)
def test_labels_in_each_accepted_form(written: object, expected: float, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write_parquet(path, [{"prediction_id": "a", "label": written, "ts": NOON}])
    assert read_labels(path).label.tolist() == [expected]


def test_segments_are_all_further_text_columns_and_may_be_missing(tmp_path: Path) -> None:
    row = {"prediction_id": "a", "model": "m", "version": "1", "ts": NOON, "score": 0.5}
    path = tmp_path / "predictions.parquet"
    write_parquet(path, [row | {"age": 7, "site": "x"}, row | {"age": 8, "site": None}])
    assert {k: v.tolist() for k, v in read_predictions(path).segments.items()} == {
        "site": ["x", ""]
    }

    path = tmp_path / "predictions.jsonl"
    write_jsonl(path, [row | {"segments": {"site": "x", "plan": "free"}}, row])
    assert {k: v.tolist() for k, v in read_predictions(path).segments.items()} == {
        "site": ["x", ""],
        "plan": ["free", ""],
    }


def test_text_columns_may_be_dictionaries_and_ids_may_be_integers(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    columns = {
        "prediction_id": [12, 7],
        "model": pa.array(["m", "m"]).dictionary_encode(),
        "version": [1, 1],
        "ts": [NOON, NOON],
        "score": pa.array([0.25, 1.0], pa.float32()).dictionary_encode(),
        "site": pa.array(["x", "y"]).dictionary_encode(),
    }
    pa_parquet.write_table(pa.table(columns), path)
    read = read_predictions(path)
    assert read.prediction_id.tolist() == ["12", "7"]
    assert read.model.tolist() == ["m", "m"]
    assert read.version.tolist() == ["1", "1"]
    assert read.score.tolist() == [0.25, 1.0]
    assert read.segments["site"].tolist() == ["x", "y"]


def test_a_retraction_needs_no_label(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        f"prediction_id,label,ts,model,op\na,1,{NOON},m,\nb,,{NOON},m,retract\nc,0,{NOON},m,upsert\n"
    )
    read = read_labels(path)
    np.testing.assert_array_equal(read.label, [1, np.nan, 0])
    assert read.model is not None
    assert read.model.tolist() == ["m", "m", "m"]


def test_one_file_of_scores_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("score,label\n0.25,0\n1,1\n")
    read = read_scored(path)
    assert (read.score.tolist(), read.label.tolist()) == ([0.25, 1.0], [0.0, 1.0])
    assert (read.ts_ms, read.model, read.version) == (None, None, None)

    path.write_text(f"score,label,ts,model,version\n0.25,0,{NOON},m,3\n")
    read = read_scored(path)
    assert read.ts_ms is not None
    assert read.model is not None
    assert read.version is not None
    assert (read.ts_ms[0], read.model[0], read.version[0]) == (NOON_MS, "m", "3")


def test_a_hundred_thousand_rows_are_read_in_well_under_a_second(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(HEAD + "".join(f"id-{n},m,1,{NOON},0.{n:06}\n" for n in range(100_000)))
    started = time.process_time()
    read = read_predictions(path)
    assert time.process_time() - started < 0.8
    assert len(read) == 100_000


@needs_shared
@pytest.mark.parametrize(
    "stream", ["elec2", "games538", "llm_msp", "nycflights", "bike_intervals", "football3"]
)
def test_recorded_streams_are_read_whole(stream: str) -> None:
    meta = json.loads((SHARED / stream / "meta.json").read_text())
    predictions = read_predictions(SHARED / stream / "predictions.parquet")
    labels = with_models(
        read_labels(SHARED / stream / "labels.parquet", predictions.claims), predictions
    )
    assert len(predictions) == meta["n_predictions"]
    assert len(labels) == meta["n_labels"]
    assert labels.unmatched == 0
