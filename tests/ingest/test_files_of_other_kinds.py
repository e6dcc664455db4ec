from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.kinds import ClaimSet, class_number
from monitor.ingest.files import (
    FileError,
    read_labels,
    read_predictions,
)
from tests.ingest.written_files import NOON, write_parquet

if TYPE_CHECKING:
    from pathlib import Path


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
