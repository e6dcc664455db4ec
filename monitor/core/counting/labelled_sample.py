"""A bounded uniform sample of labelled predictions with several claims, whole predictions each.

Guarantees: a function of the rows alone: of each model version, partition and UTC day of prediction
the predictions with the smallest hashes, of the newest days with labels; so samples of parts, drawn
again together, are the sample of the whole, in any order and any split. A prediction that was once
left out never comes back, since rows with labels only grow in number: a retracted label is one
without an outcome. Must never: choose by arrival, by score or by label.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.kinds import ClaimSet

CLAIMS_A_DAY = 1_000
"""Claims of one model version, partition and UTC day that are kept, by and large."""
FEWEST_A_DAY = 10
"""Predictions that are kept at least, however many claims each has."""
KEPT_DAYS = 28
"""Days of prediction that are kept: the newest with a label in a partition, and those before it."""
DAY_MS = 86_400_000


def sample_size(claims: ClaimSet) -> int:
    """Predictions a day to keep of a model with these claims; 0 where rows are needed for nothing.

    They are for the temperature of several classes, and for comparing sources with one another.
    """
    columns = len(claims.columns)
    if claims.kind is Kind.MULTICLASS or (claims.kind is Kind.LLM and columns > 1):
        return max(CLAIMS_A_DAY // columns, FEWEST_A_DAY)
    return 0


def is_sampled(claim: str) -> bool:
    """Whether the claim is one of those that a sampled prediction is put together from."""
    return claim.startswith(("class:", "confidence:"))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledClaims:
    """Claims of predictions that have had a label; one element a claim.

    model, version: numbers, a version's being its own among all models. day: of prediction, UTC,
    since 1970. key: hash of the prediction's id. size: predictions of the version, partition and
    day that are kept. outcome: 1, 0, or NaN for a label that was retracted.
    """

    model: NDArray[np.int32]
    shard: NDArray[np.int32]
    day: NDArray[np.int32]
    version: NDArray[np.int32]
    key: NDArray[np.uint64]
    series: NDArray[np.int32]
    size: NDArray[np.int32]
    score: NDArray[np.float64]
    outcome: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def empty(cls) -> Self:
        """No claims."""
        number = np.empty(0, dtype=np.int32)
        rate = np.empty(0, dtype=np.float64)
        key = np.empty(0, dtype=np.uint64)
        return cls(number, number, number, number, key, number, number, rate, rate)

    @classmethod
    def concatenated(cls, parts: Sequence[LabelledClaims]) -> Self:
        """All of them, one part after the other."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES))

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, name)[chosen] for name in _NAMES))

    def repeats(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each is in these columns like the one before it."""
        same = np.ones(len(self), dtype=np.bool_)
        same[:1] = False
        for name in names:
            column = getattr(self, name)
            same[1:] &= column[1:] == column[:-1]
        return same


GROUP = ("model", "shard", "day", "version")
"""Columns that name the version, partition and day of a prediction."""
PREDICTION = (*GROUP, "key")
CLAIM = (*PREDICTION, "series")

_NAMES = tuple(field.name for field in fields(LabelledClaims))


def drawn(parts: Sequence[LabelledClaims]) -> LabelledClaims:
    """The sample of all parts together, in one order; of one claim the last state counts."""
    rows = _newest_state(_newest_days(LabelledClaims.concatenated(parts)))
    number = np.cumsum(~rows.repeats(PREDICTION))
    starts = np.flatnonzero(~rows.repeats(GROUP))
    before = np.repeat(number[starts] - 1, np.diff(np.append(starts, len(rows))))
    return rows.take(number - before <= rows.size)


def _newest_days(rows: LabelledClaims) -> LabelledClaims:
    """Without the days that lie too far behind the newest of the same model and partition."""
    pairs = rows.model.astype(np.int64) << 32 | rows.shard
    distinct, group = np.unique(pairs, return_inverse=True)
    newest = np.full(len(distinct), np.iinfo(np.int32).min, dtype=np.int32)
    np.maximum.at(newest, group, rows.day)
    return rows.take(rows.day > newest[group] - KEPT_DAYS)


def _newest_state(rows: LabelledClaims) -> LabelledClaims:
    """Ordered by version, partition, day, hash and claim; each claim once, as it came last."""
    backwards = rows.take(np.arange(len(rows))[::-1])
    # The sort is stable: of equal ones the first is the one that came last.
    ordered = backwards.take(np.lexsort([getattr(backwards, name) for name in CLAIM[::-1]]))
    return ordered.take(~ordered.repeats(CLAIM))


class SampleDraft:
    """What may belong to the sample since the last flush, told by what was seen since the start.

    The sample itself is in the database. A hash that is beyond as many others of its group as are
    kept is left out at once; what was seen before the start can only leave out more.
    """

    def __init__(self) -> None:
        self._waiting: list[LabelledClaims] = []
        self._seen = LabelledClaims.empty()
        self._full: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._largest: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def offer(self, rows: LabelledClaims) -> None:
        """Take note of claims that have a label now, or another one."""
        if not len(rows):
            return
        if len(self._full):
            group = _group(rows)
            place = np.minimum(np.searchsorted(self._full, group), len(self._full) - 1)
            beyond = (self._full[place] == group) & (rows.key > self._largest[place])
            rows = rows.take(~beyond)
        self._waiting.append(rows)

    def take(self) -> LabelledClaims:
        """What may belong to the sample, and has not been taken before."""
        if not self._waiting:
            return LabelledClaims.empty()
        found = drawn(self._waiting)
        self._waiting = []
        seen = drawn([self._seen, found.take(~found.repeats(PREDICTION))])
        # Claims of one prediction may come one after another: one of them stands for it.
        self._seen = seen = seen.take(~seen.repeats(PREDICTION))
        starts = np.flatnonzero(~seen.repeats(GROUP))
        ends = np.append(starts[1:], len(seen)) - 1
        full = np.flatnonzero(ends - starts + 1 >= seen.size[starts])
        group, largest = _group(seen)[starts[full]], seen.key[ends[full]]
        order = np.argsort(group)
        self._full, self._largest = group[order], largest[order]
        return found


def _group(rows: LabelledClaims) -> NDArray[np.int64]:
    """One number a version, partition and day: 23, 16 and 24 bits."""
    return rows.version.astype(np.int64) << 40 | rows.shard.astype(np.int64) << 24 | rows.day
