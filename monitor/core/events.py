"""Events as columns: what decoding hands to the join, whatever it was read from.

Guarantees: element i of every column belongs to event i, in arrival order. Must never: hold a
value that decoding has not checked.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """Claims waiting for their outcome; one element a claim.

    key: 64-bit hash of (model, prediction_id); shard: partition that owns the key;
    series: index into the series table; ts_ms: prediction time, epoch milliseconds; refs: None, or
    of shape (n, 2) the numbers that the label is compared with, NaN for a claim that has its
    reference in the series table.
    """

    key: NDArray[np.uint64]
    shard: NDArray[np.int32]
    series: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    score: NDArray[np.float64]
    refs: NDArray[np.float64] | None = None

    @classmethod
    def empty(cls) -> Self:
        """No predictions."""
        return cls(_u64(), _i32(), _i32(), _i64(), _f64())

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """The chosen elements, by mask, by position or as a span."""
        columns = {name: getattr(self, name)[chosen] for name in _OF_EVERY_CLAIM}
        return type(self)(**columns, refs=None if self.refs is None else self.refs[chosen])

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """All parts (one at least) in this order."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in _OF_EVERY_CLAIM
        }
        if all(part.refs is None for part in parts):
            return cls(**columns)
        refs = [np.full((len(p), 2), np.nan) if p.refs is None else p.refs for p in parts]
        return cls(**columns, refs=np.concatenate(refs))

    def __len__(self) -> int:
        return len(self.key)


_OF_EVERY_CLAIM = ("key", "shard", "series", "ts_ms", "score")


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """Labels; one element an event. A NaN label retracts; model: index into the model names."""

    key: NDArray[np.uint64]
    shard: NDArray[np.int32]
    model: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    label: NDArray[np.float64]

    @classmethod
    def empty(cls) -> Self:
        """No labels."""
        return cls(_u64(), _i32(), _i32(), _i64(), _f64())

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """The chosen elements, by mask, by position or as a span."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """All parts (one at least) in this order."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.key)


class ChangeKind(StrEnum):
    """What changed around a model; each asks for an immediate check."""

    VERSION = "version"
    DATA = "data"
    FEATURE = "feature"
    DEPLOY = "deploy"
    RECALIBRATION = "recalibration"


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """Something was changed around a model at `happened_at`."""

    model: str
    version: str | None
    kind: ChangeKind
    happened_at: datetime
    description: str = ""


def _u64() -> NDArray[np.uint64]:
    return np.empty(0, dtype=np.uint64)


def _i64() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _i32() -> NDArray[np.int32]:
    return np.empty(0, dtype=np.int32)


def _f64() -> NDArray[np.float64]:
    return np.empty(0, dtype=np.float64)
