"""Predictions and labels from files, with the columns of docs/files.md.

Guarantees: one strict reading for `replay`, `backtest` and `report`, in file order; whatever is
returned is usable: ids are not empty, scores are probabilities, labels are 0 or 1, or what their
kind of prediction asks for (NaN for a retraction), times are epoch milliseconds. Must never: drop
or reorder a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.core.counting.losses import LARGEST
from monitor.core.kinds import (
    BINARY,
    PREFIXES,
    SUM_TOLERANCE,
    ClaimSet,
    Kind,
    claim_set_of,
    class_number,
    level_text,
)
from monitor.ingest.columns import Columns, FileError, is_text, read_columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "FileError",
    "LabelFile",
    "PredictionFile",
    "ScoredFile",
    "labelled_predictions",
    "read_labels",
    "read_predictions",
    "read_scored",
    "with_models",
]

NOT_SEGMENTS = frozenset(
    {"prediction_id", "model", "model_version", "version", "ts", "score", "label", "op", "type"}
)
OTHER_LABELS = "classes and numbers are labels of predictions with columns p_... or q_..."


@dataclass(frozen=True, slots=True, eq=False)
class PredictionFile:
    """Predictions; every array has one element a row, text as str objects.

    segments: column name -> values, `""` where a row has none. claims: the kind of its columns;
    numbers: by name what predictions of another kind than binary state, in the order of
    `claims.columns`; then `score` is NaN.
    """

    source: str
    prediction_id: NDArray[np.object_]
    model: NDArray[np.object_]
    version: NDArray[np.object_]
    ts_ms: NDArray[np.int64]
    score: NDArray[np.float64]
    segments: dict[str, NDArray[np.object_]]
    claims: ClaimSet = BINARY
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prediction_id)


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """Labels; one element a row. A NaN label retracts.

    model: None if the file names none; `""` for a label whose prediction is not known. names: of
    classes, where labels are classes; `label` then holds their numbers.
    """

    source: str
    prediction_id: NDArray[np.object_]
    model: NDArray[np.object_] | None
    ts_ms: NDArray[np.int64]
    label: NDArray[np.float64]
    names: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.prediction_id)

    @property
    def unmatched(self) -> int:
        """Labels whose model is `""`: no prediction has their id."""
        return 0 if self.model is None else int((self.model == "").sum())


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFile:
    """Scores with their labels in one file; one element a row. Columns not in the file: None."""

    source: str
    score: NDArray[np.float64]
    label: NDArray[np.float64]
    ts_ms: NDArray[np.int64] | None = None
    model: NDArray[np.object_] | None = None
    version: NDArray[np.object_] | None = None
    prediction_id: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.score)


def read_predictions(path: Path) -> PredictionFile:
    """Read a prediction file; FileError says what cannot be used and how to mend it."""
    columns = read_columns(path)
    claims, numbers = _numbers(columns)
    score = np.full(len(columns), np.nan) if numbers else _scores(columns)
    return PredictionFile(
        source=columns.path,
        prediction_id=columns.texts(columns.find("prediction_id")),
        model=columns.texts(columns.find("model")),
        version=columns.texts(columns.find("model_version", "version")),
        ts_ms=columns.times(columns.find("ts")),
        score=score,
        segments=_segments(columns, claims),
        claims=claims,
        numbers=numbers,
    )


def read_labels(path: Path, claims: ClaimSet = BINARY) -> LabelFile:
    """Read the labels of predictions that make these claims.

    FileError says what cannot be used and how to mend it.
    """
    return _label_file(read_columns(path), claims)


def labelled_predictions(columns: Columns) -> tuple[PredictionFile, LabelFile] | None:
    """One file of another kind than binary, with its labels; None where it has scores.

    Rows without ids are told apart by their number, and without times are of one moment.
    """
    claims, numbers = _numbers(columns)
    if not numbers:
        return None
    n = len(columns)
    version = next((name for name in ("model_version", "version") if name in columns.arrays), None)
    ids = [str(number) for number in range(n)]
    predictions = PredictionFile(
        source=columns.path,
        prediction_id=np.array(ids, dtype=np.object_),
        model=_texts_if_there(columns, "model", columns.path),
        version=_texts_if_there(columns, version, ""),
        ts_ms=columns.times("ts") if "ts" in columns.arrays else np.zeros(n, dtype=np.int64),
        score=np.full(n, np.nan),
        segments=_segments(columns, claims),
        claims=claims,
        numbers=numbers,
    )
    label, names = _labels(columns, claims, retracted=np.zeros(n, dtype=np.bool_))
    labels = LabelFile(
        columns.path, predictions.prediction_id, predictions.model, predictions.ts_ms, label, names
    )
    return predictions, labels


def read_scored(path: Path) -> ScoredFile:
    """Read one file of columns score and label, and those others of predictions that it has."""
    return scored_of(read_columns(path))


def scored_of(columns: Columns) -> ScoredFile:
    """As read_scored, of columns that were read already."""
    version = next((n for n in ("model_version", "version") if n in columns.arrays), None)
    return ScoredFile(
        source=columns.path,
        score=_scores(columns),
        label=_binary_labels(columns, retracted=np.zeros(len(columns), dtype=np.bool_)),
        ts_ms=columns.times("ts") if "ts" in columns.arrays else None,
        model=columns.texts("model") if "model" in columns.arrays else None,
        version=columns.texts(version) if version else None,
        prediction_id=columns.texts("prediction_id") if "prediction_id" in columns.arrays else None,
    )


def with_models(labels: LabelFile, predictions: PredictionFile) -> LabelFile:
    """Labels with the model of the prediction that has their id; label order is kept.

    An id that several models predicted gives one label for each, in the order of the models'
    first rows. A label without a prediction keeps the model `""` and is counted in `unmatched`.
    A file that names its models is returned as it is. Raises FileError if no label at all has a
    prediction: the files do not belong together.
    """
    if labels.model is not None:
        return labels
    known = pa.array(predictions.prediction_id, pa.large_string()).dictionary_encode()
    models = pa.array(predictions.model, pa.large_string()).dictionary_encode()
    n_models = len(models.dictionary)
    pairs = np.unique(
        known.indices.to_numpy().astype(np.int64) * n_models + models.indices.to_numpy()
    )
    wanted = pa.array(labels.prediction_id, pa.large_string())
    found = pc.fill_null(pc.index_in(wanted, value_set=known.dictionary), -1).to_numpy()
    if len(labels) and (found < 0).all():
        problem = f"none of its {len(labels)} ids ({labels.prediction_id[0]!r}, ...) is in "
        problem += f"{predictions.source}; give the label file of these predictions"
        raise FileError(labels.source, problem, column="prediction_id")
    start = np.searchsorted(pairs, found.astype(np.int64) * n_models)
    stop = np.searchsorted(pairs, (found.astype(np.int64) + 1) * n_models)
    copies = np.where(found < 0, 1, stop - start)
    row = np.repeat(np.arange(len(labels)), copies)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    pair = np.minimum(np.repeat(start, copies) + nth, len(pairs) - 1)
    names = np.asarray(models.dictionary.to_numpy(zero_copy_only=False), dtype=np.object_)
    return replace(
        labels,
        prediction_id=labels.prediction_id[row],
        model=np.where(found[row] < 0, "", names[pairs[pair] % n_models]),
        ts_ms=labels.ts_ms[row],
        label=labels.label[row],
        names=None if labels.names is None else labels.names[row],
    )


def _label_file(columns: Columns, claims: ClaimSet) -> LabelFile:
    label, names = _labels(columns, claims, retracted=_retracted(columns))
    return LabelFile(
        source=columns.path,
        prediction_id=columns.texts(columns.find("prediction_id")),
        model=columns.texts("model") if "model" in columns.arrays else None,
        ts_ms=columns.times(columns.find("ts")),
        label=label,
        names=names,
    )


def _segments(columns: Columns, claims: ClaimSet) -> dict[str, NDArray[np.object_]]:
    """Columns of text; of CSV, where all are, those that hold numbers are none."""
    numbers = set() if claims.kind is Kind.BINARY else set(_number_columns(columns))
    names = columns.names_of_text(but=NOT_SEGMENTS | numbers)
    return {name: columns.texts_or(name, "") for name in names}


def _texts_if_there(columns: Columns, name: str | None, missing: str) -> NDArray[np.object_]:
    if name is None or name not in columns.arrays:
        return np.full(len(columns), missing, dtype=np.object_)
    return columns.texts(name)


def _number_columns(columns: Columns) -> list[str]:
    return [name for name in columns.arrays if name.startswith(PREFIXES) and not name.endswith("_")]


def _numbers(columns: Columns) -> tuple[ClaimSet, dict[str, NDArray[np.float64]]]:
    """What kind of predictions a file holds, and their numbers; none where it has scores."""
    names = _number_columns(columns)
    if "score" in columns.arrays or not names:
        return BINARY, {}
    try:
        claims = claim_set_of(names)
    except ValueError as error:
        raise FileError(columns.path, str(error)) from None
    found = {}
    for name in names:
        own = f"q_{level_text(float(name[2:]))}" if claims.quantiles else name
        if own in found:
            raise FileError(columns.path, "is a second column of this level", column=name)
        found[own] = columns.numbers(name)
        _check(columns, name, found[own], claims.kind)
    if claims.kind is Kind.MULTICLASS:
        total = np.sum(list(found.values()), axis=0)
        wrong = ~(np.abs(total - 1) <= SUM_TOLERANCE)
        if wrong.any():
            row = int(wrong.argmax())
            problem = f"its probabilities add up to {total[row]:.6g}, not to 1; "
            problem += f"give every class its column {names[0]}, ..."
            raise FileError(columns.path, problem, row=row + 1)
    return claims, {name: found[name] for name in claims.columns}


def _check(columns: Columns, name: str, values: NDArray[np.float64], kind: Kind) -> None:
    """Refuse what cannot stand in a column of this kind."""
    if kind is Kind.REGRESSION:
        wrong = ~(np.abs(values) <= LARGEST)
        mend = f"is no number within {LARGEST:g} of 0; give every row one"
    else:
        wrong = ~((values >= 0) & (values <= 1))
        if kind is Kind.LLM:
            wrong &= ~np.isnan(values)
        mend = "is not a probability; give a number from 0 to 1"
    columns.refuse(name, wrong, lambda v: f"{v} {mend}")


def _scores(columns: Columns) -> NDArray[np.float64]:
    name = columns.find("score")
    score = columns.numbers(name)
    wrong = ~((score >= 0) & (score <= 1))
    columns.refuse(name, wrong, lambda v: f"{v} is not a probability; give a number from 0 to 1")
    return score


def _labels(
    columns: Columns, claims: ClaimSet, *, retracted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.object_] | None]:
    """Labels as numbers, NaN where retracted; and the names of classes."""
    if claims.kind is Kind.MULTICLASS:
        return _classes(columns, claims, retracted)
    if claims.kind is Kind.REGRESSION:
        name = columns.find("label")
        label = columns.numbers(name)
        wrong = ~(np.abs(label) <= LARGEST) & ~retracted
        columns.refuse(name, wrong, lambda v: f"{v} is no number within {LARGEST:g} of 0")
        return np.where(retracted, np.nan, label), None
    return _binary_labels(columns, retracted=retracted), None


def _classes(
    columns: Columns, claims: ClaimSet, retracted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    name = columns.find("label")
    names = columns.texts_or(name, "")
    numbers = {each: class_number(each) for each in claims.classes}
    label = np.array([numbers.get(each, np.nan) for each in names], dtype=np.float64)
    known = ", ".join(claims.classes)
    columns.refuse(
        name, np.isnan(label) & ~retracted, lambda v: f"{v} is none of the classes {known}"
    )
    return np.where(retracted, np.nan, label), names


def _binary_labels(columns: Columns, *, retracted: NDArray[np.bool_]) -> NDArray[np.float64]:
    name = columns.find("label")
    array = columns.arrays[name]
    label = _named(array) if is_text(array.type) else columns.numbers(name)
    wrong = ~((label == 0) | (label == 1) | retracted)
    columns.refuse(name, wrong, lambda v: f"{v} is not 0 or 1; {OTHER_LABELS}")
    return np.where(retracted, np.nan, label)


def _named(text: pa.ChunkedArray) -> NDArray[np.float64]:
    """0 or 1 from text as other tools write them; NaN for anything else."""
    folded = pc.utf8_lower(pc.cast(text, pa.large_string()))
    index = pc.index_in(folded, value_set=pa.array(list(_LABEL_TEXTS), pa.large_string()))
    values: NDArray[np.float64] = np.array([*_LABEL_TEXTS.values(), np.nan])
    place: NDArray[np.int32] = pc.fill_null(index, len(_LABEL_TEXTS)).to_numpy()
    return values[place]


_LABEL_TEXTS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


def _retracted(columns: Columns) -> NDArray[np.bool_]:
    if "op" not in columns.arrays:
        return np.zeros(len(columns), dtype=np.bool_)
    op = columns.texts_or("op", "upsert")
    wrong = (op != "upsert") & (op != "retract")
    columns.refuse("op", wrong, lambda v: f"{v} is no operation; give upsert or retract")
    return np.asarray(op == "retract", dtype=np.bool_)
