from __future__ import annotations

import csv
import gzip
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.kinds import ClaimSet, class_number
from monitor.ingest.files import (
    FileError,
    LabelFile,
    PredictionFile,
    read_labels,
    read_predictions,
    read_scored,
    with_models,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the recorded streams are not beside this checkout"
)

NOON = "2026-01-31T12:00:00Z"
NOON_MS = 1_769_860_800_000


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    names = rows[0]
    pa_parquet.write_table(pa.table({name: [row[name] for row in rows] for name in names}), path)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".csv.gz": write_csv,
    ".jsonl": write_jsonl,
    ".ndjson": write_jsonl,
    ".jsonl.gz": write_jsonl,
}

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


HEAD = "prediction_id,model,version,ts,score\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", "", "p.txt: unknown kind of file; give .parquet, .csv, .jsonl or .ndjson, the"),
        ("p.csv", "", "p.csv: is empty; the first line names the columns"),
        ("p.csv", HEAD, "p.csv: has no rows"),
        ("p.csv", "a,a\n1,2\n", "p.csv: has two columns named a; rename one"),
        (
            "p.csv",
            "prediction_id,model,version,ts,Score\na,m,1,2,0.5\n",
            "p.csv: no column score; rename the column 'Score' if it is meant",
        ),
        (
            "p.csv",
            "prediction_id,model,ts,score\na,m,2,0.5\n",
            "p.csv: no column model_version (or version); it has prediction_id, model, ts, score",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},0.5\nb,m,1,{NOON},1.5\n",
            "p.csv, row 2, column score: '1.5' is not a probability; give a number from 0 to 1",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},nan\n",
            "p.csv, row 1, column score: 'nan' is not a probability; give a number from 0 to 1",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},\n",
            "p.csv, row 1, column score: nothing is not a probability; give a number from 0 to 1",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},0.5\nb,m,1,{NOON},'0,5'\n",
            "p.csv: is damaged or not csv: CSV parse error: Row #3: Expected 5 columns, got 6",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},0.5\nb,m,1,{NOON},half\n",
            (
                "p.csv, row 2, column score: 'half' is not a number; "
                "write it as 0.25, with a decimal point"
            ),
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},0.5\n,m,1,{NOON},0.5\n",
            "p.csv, row 2, column prediction_id: is empty; give every row a value",
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON},0.5\nb,m,1,2026-01-31T12:00:00,0.5\n",
            (
                "p.csv, row 2, column ts: '2026-01-31T12:00:00' is not a time; "
                "give RFC 3339 with an offset, as 2026-01-31T12:00:00Z"
            ),
        ),
        (
            "p.csv",
            HEAD + f"a,m,1,{NOON_MS},0.5\nb,m,1,{NOON},0.5\n",
            f"p.csv, row 2, column ts: '{NOON}' is not epoch milliseconds, as row 1 is",
        ),
        (
            "p.csv",
            HEAD + "a,m,1,,0.5\n",
            "p.csv, row 1, column ts: is empty; give every row a time",
        ),
        (
            "p.csv",
            HEAD + "a,m,1,1769860800,0.5\n",
            "p.csv, row 1, column ts: '1769860800' looks like seconds; multiply by 1000",
        ),
        (
            "p.csv",
            HEAD + "a,m,1,1769860800000000,0.5\n",
            (
                "p.csv, row 1, column ts: '1769860800000000' is no time in milliseconds; "
                "divide by 1000 or 1000000"
            ),
        ),
        (
            "p.jsonl",
            '{"prediction_id": "a"}\n\n{"prediction_id": }\n',
            "p.jsonl: line 3 is not a JSON object: JSON is malformed",
        ),
        (
            "p.jsonl",
            '{"prediction_id": "a"} {"prediction_id": "b"}\n',
            "p.jsonl: line 1 is not a JSON object: JSON is malformed",
        ),
        (
            "p.jsonl",
            '{"score": 0.5}\n{"score": "0.5"}\n',
            "p.jsonl, column score: mixes kinds of value (float, str); write all rows alike",
        ),
        ("p.parquet", "no parquet", "p.parquet: is damaged or not parquet: "),
        ("p.csv.gz", "no gzip", "p.csv.gz: cannot be read: "),
    ],
)
def test_an_unusable_file_is_refused_with_place_and_mend(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FileError) as refused:
        read_predictions(tmp_path / name)
    assert str(refused.value).startswith(f"{tmp_path}/{message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": 2}, "row 2, column label: 2 is not 0 or 1; classes and numbers are labels"),
        ({"label": "D"}, "row 2, column label: 'D' is not 0 or 1; classes and numbers"),
        ({"label": None}, "row 2, column label: nothing is not 0 or 1"),
        ({"op": "delete"}, "row 2, column op: 'delete' is no operation; give upsert or retract"),
        ({"ts": None}, "row 2, column ts: is empty"),
        ({"model": ""}, "row 2, column model: is empty"),
    ],
    ids=str,
)
def test_an_unusable_label_is_refused_with_place_and_mend(
    row: dict[str, object], message: str, tmp_path: Path
) -> None:
    good = {"prediction_id": "a", "model": "m", "label": 1, "op": "upsert", "ts": NOON}
    if row.get("label") == "D":
        good["label"] = "1"
    path = tmp_path / "labels.parquet"
    write_parquet(path, [good, good | row])
    with pytest.raises(FileError) as refused:
        read_labels(path)
    assert str(refused.value).startswith(f"{path}, {message}")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent\.csv: no such file"):
        read_labels(tmp_path / "absent.csv")


def other_kind(tmp_path: Path, columns: str, *rows: str) -> Path:
    path = tmp_path / "predictions.csv"
    head = f"prediction_id,model,version,ts,{columns}\n"
    path.write_text(head + "".join(f"{i},m,1,{NOON},{row}\n" for i, row in enumerate(rows)))
    return path


def test_other_kinds_are_read_by_their_columns(tmp_path: Path) -> None:
    read = read_predictions(other_kind(tmp_path, "country,p_A,p_D", "DE,0.25,0.75"))
    assert read.claims == ClaimSet(classes=("A", "D"))
    assert {name: v.tolist() for name, v in read.numbers.items()} == {"p_A": [0.25], "p_D": [0.75]}
    assert list(read.segments) == ["country"]
    read = read_predictions(other_kind(tmp_path, "confidence_judge,confidence_words", "0.5,", ",1"))
    assert read.claims.sources == ("judge", "words")
    assert np.isnan(read.numbers["confidence_words"]).tolist() == [True, False]
    read = read_predictions(other_kind(tmp_path, "q_0.90,q_0.1", "9,1"))
    assert list(read.numbers) == ["q_0.1", "q_0.9"]


def test_events_in_json_lines_are_read_as_they_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    event = {"prediction_id": "1", "model": "m", "version": "1", "ts": NOON}
    path.write_text(json.dumps(event | {"probs": {"A": 0.25, "D": 0.75}}) + "\n")
    assert list(read_predictions(path).numbers) == ["p_A", "p_D"]


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        ("p_A,p_D", "0.5,0.4", "row 1: its probabilities add up to 0.9, not to 1"),
        ("p_A,p_D", "1.5,-0.5", "row 1, column p_A: '1.5' is not a probability"),
        ("p_A,p_D", "0.5,", "row 1, column p_D: nothing is not a probability"),
        ("confidence_a", "2", "row 1, column confidence_a: '2' is not a probability"),
        ("q_0.5", "", "row 1, column q_0.5: nothing is no number within 1e+12 of 0"),
        ("q_0.5", "1e13", "row 1, column q_0.5: '1e13' is no number within 1e+12 of 0"),
        ("q_1.5", "1", "q_1.5 names no level between 0 and 1"),
        ("q_0.5,q_0.50", "1,1", "column q_0.50: is a second column of this level"),
        ("p_A,q_0.5", "1,1", "columns of 2 kinds (p_..., q_...)"),
    ],
)
def test_unusable_predictions_of_other_kinds_are_refused(
    columns: str, row: str, message: str, tmp_path: Path
) -> None:
    path = other_kind(tmp_path, columns, row)
    with pytest.raises(FileError) as refused:
        read_predictions(path)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("claims", "given", "expected"),
    [
        (ClaimSet(classes=("A", "D")), "D", class_number("D")),
        (ClaimSet(classes=("0", "1", "2")), 2, class_number("2")),
        (ClaimSet(quantiles=(0.5,)), 17.25, 17.25),
        (ClaimSet(sources=("judge",)), True, 1.0),
        (ClaimSet(classes=("A", "D")), "H", "'H' is none of the classes A, D"),
        (ClaimSet(quantiles=(0.5,)), None, "nothing is no number within 1e+12 of 0"),
        (ClaimSet(sources=("judge",)), 0.5, "0.5 is not 0 or 1"),
    ],
)
def test_labels_are_what_their_kind_asks_for(
    claims: ClaimSet, given: object, expected: float | str, tmp_path: Path
) -> None:
    path = tmp_path / "labels.parquet"
    write_parquet(path, [{"prediction_id": "a", "label": given, "ts": NOON}])
    if isinstance(expected, str):
        with pytest.raises(FileError, match=expected.replace("+", r"\+")):
            read_labels(path, claims)
        return
    read = read_labels(path, claims)
    assert read.label.tolist() == [expected]
    assert read.names is None or read.names.tolist() == [str(given)]


def objects(values: list[str]) -> np.ndarray[Any, np.dtype[np.object_]]:
    return np.array(values, dtype=np.object_)


ids = st.sampled_from("abcdef")


@settings(deadline=None)
@given(
    predicted=st.lists(st.tuples(ids, st.sampled_from(["m1", "m2", "m3"])), min_size=1),
    labelled=st.lists(st.tuples(ids, st.sampled_from([0.0, 1.0])), min_size=1),
)
def test_models_are_resolved_as_a_dictionary_would(
    predicted: list[tuple[str, str]], labelled: list[tuple[str, float]]
) -> None:
    n = len(predicted)
    predictions = PredictionFile(
        "p",
        objects([name for name, _ in predicted]),
        objects([model for _, model in predicted]),
        objects(["1"] * n),
        np.zeros(n, dtype=np.int64),
        np.zeros(n),
        {},
    )
    labels = LabelFile(
        "l",
        objects([name for name, _ in labelled]),
        None,
        np.arange(len(labelled)),
        np.array([label for _, label in labelled]),
    )
    first_rows = list(dict.fromkeys(model for _, model in predicted))
    expected = [
        (name, model, row, label)
        for row, (name, label) in enumerate(labelled)
        for model in [m for m in first_rows if (name, m) in predicted] or [""]
    ]
    if all(model == "" for _, model, _, _ in expected):
        with pytest.raises(FileError, match="give the label file of these predictions"):
            with_models(labels, predictions)
        return

    resolved = with_models(labels, predictions)

    assert resolved.model is not None
    got = zip(resolved.prediction_id, resolved.model, resolved.ts_ms, resolved.label, strict=True)
    assert list(got) == expected
    assert resolved.unmatched == sum(model == "" for _, model, _, _ in expected)
    assert with_models(resolved, predictions) is resolved


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
