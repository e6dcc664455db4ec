"""Files of events as tests write them."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = "2026-01-31T12:00:00Z"
NOON_MS = 1_769_860_800_000
HEAD = "prediction_id,model,version,ts,score\n"


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
