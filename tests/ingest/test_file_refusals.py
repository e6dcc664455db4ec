from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.ingest.files import (
    FileError,
    read_labels,
    read_predictions,
)
from tests.ingest.written_files import HEAD, NOON, NOON_MS, write_parquet

if TYPE_CHECKING:
    from pathlib import Path


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
