"""Predictions and labels from files, with the columns of docs/files.md.

Guarantees: one strict reading for `replay`, `backtest` and `report`, in file order; whatever is
returned is usable: ids are not empty, scores are probabilities, labels are 0 or 1 (NaN for a
retraction), times are epoch milliseconds. Must never: drop or reorder a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.ingest.columns import Columns, FileError, is_text, read_columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "FileError",
    "LabelFile",
    "PredictionFile",
    "ScoredFile",
    "read_labels",
    "read_predictions",
    "read_scored",
    "with_models",
]

OTHER_KINDS = re.compile(r"[pq]_.+")
NOT_SEGMENTS = frozenset(
    {"prediction_id", "model", "model_version", "version", "ts", "score", "label", "op", "type"}
)
SUPPORTED = "supported now: binary models, with one column score in [0, 1]"


@dataclass(frozen=True, slots=True, eq=False)
class PredictionFile:
    """Predictions; every array has one element a row, text as str objects.

    segments: column name -> values, `""` where a row has none.
    """

    source: str
    prediction_id: NDArray[np.object_]
    model: NDArray[np.object_]
    version: NDArray[np.object_]
    ts_ms: NDArray[np.int64]
    score: NDArray[np.float64]
    segments: dict[str, NDArray[np.object_]]

    def __len__(self) -> int:
        return len(self.prediction_id)


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """Labels; one element a row. A NaN label retracts.

    model: None if the file names none; `""` for a label whose prediction is not known.
    """

    source: str
    prediction_id: NDArray[np.object_]
    model: NDArray[np.object_] | None
    ts_ms: NDArray[np.int64]
    label: NDArray[np.float64]

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
    score = _scores(columns)
    return PredictionFile(
        source=columns.path,
        prediction_id=columns.texts(columns.find("prediction_id")),
        model=columns.texts(columns.find("model")),
        version=columns.texts(columns.find("model_version", "version")),
        ts_ms=columns.times(columns.find("ts")),
        score=score,
        segments={
            name: columns.texts_or(name, "") for name in columns.names_of_text(but=NOT_SEGMENTS)
        },
    )


def read_labels(path: Path) -> LabelFile:
    """Read a label file; FileError says what cannot be used and how to mend it."""
    columns = read_columns(path)
    return LabelFile(
        source=columns.path,
        prediction_id=columns.texts(columns.find("prediction_id")),
        model=columns.texts("model") if "model" in columns.arrays else None,
        ts_ms=columns.times(columns.find("ts")),
        label=_labels(columns, retracted=_retracted(columns)),
    )


def read_scored(path: Path) -> ScoredFile:
    """Read one file of columns score and label, and those others of predictions that it has."""
    columns = read_columns(path)
    version = next((n for n in ("model_version", "version") if n in columns.arrays), None)
    return ScoredFile(
        source=columns.path,
        score=_scores(columns),
        label=_labels(columns, retracted=np.zeros(len(columns), dtype=np.bool_)),
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
    )


def _scores(columns: Columns) -> NDArray[np.float64]:
    others = [name for name in columns.arrays if OTHER_KINDS.fullmatch(name)]
    if "score" not in columns.arrays and others:
        kinds = {"p": "multiclass", "q": "quantile"}
        kind = " and ".join(kinds[letter] for letter in sorted({name[0] for name in others}))
        problem = f"no column score, but {', '.join(others)}: {kind} predictions are not supported"
        raise FileError(columns.path, f"{problem} yet; {SUPPORTED}")
    name = columns.find("score")
    score = columns.numbers(name)
    wrong = ~((score >= 0) & (score <= 1))
    columns.refuse(name, wrong, lambda v: f"{v} is not a probability; give a number from 0 to 1")
    return score


def _labels(columns: Columns, *, retracted: NDArray[np.bool_]) -> NDArray[np.float64]:
    name = columns.find("label")
    array = columns.arrays[name]
    label = _named(array) if is_text(array.type) else columns.numbers(name)
    wrong = ~((label == 0) | (label == 1) | retracted)
    columns.refuse(name, wrong, lambda v: f"{v} is not 0 or 1; {SUPPORTED}")
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
