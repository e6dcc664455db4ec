"""The series table: what the join must know about each series, as columns.

Guarantees: a series keeps its index and its counting rules (pane length, horizons, outcome rule)
for ever; a changed rule is a new index. So the contribution of a row never changes meaning.
Must never: renumber.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import OutcomeRule
from monitor.core.counting.delay_cells import delay_pane_s
from monitor.core.kinds import salt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.claims import Series


EVERY_PPM = 1_000_000
"""Sample rate, in parts per million, at which every prediction is counted."""


@dataclass(frozen=True, slots=True)
class SeriesRules:
    """How one series is counted.

    `low` and `high` are the references of its outcome rule; of a million predictions `sample_ppm`
    are counted. unlabelled_negative: a prediction without a label counts as a negative.
    """

    model: int
    pane_s: int
    label_horizon_s: int
    correction_horizon_s: int
    rule: OutcomeRule = OutcomeRule.EQUALS
    low: float = 1.0
    high: float = 1.0
    sample_ppm: int = EVERY_PPM
    unlabelled_negative: bool = False


class SeriesTable:
    """Append-only; index i holds the rules of series i. Gaps are allowed and never looked up."""

    def __init__(self) -> None:
        self._by_identity: dict[tuple[Series, SeriesRules], int] = {}
        self._n = 0
        self._newest = -1
        self.model: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.pane_s: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.delay_pane_s: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.label_horizon_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.correction_horizon_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.rule: NDArray[np.int8] = np.empty(0, dtype=np.int8)
        self.low: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.high: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self.unlabelled_negative: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self.salt: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        """What the key of a claim differs by from its prediction's own; of sampled series alone."""
        self.version: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        """A number for the model and version; of sampled series alone."""
        self.sample_size: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        """Labelled predictions a day that are sampled, 0 for none."""
        self._versions: dict[tuple[str, str], int] = {}
        self.any_sampled = False
        self.any_unlabelled_negative = False
        self.only_equals = True
        """Whether every outcome rule is EQUALS."""
        self.one_pane_s: int | None = None
        """Pane length of all series, if it is one: dividing by a scalar is ten times faster."""
        self.one_delay_pane_s: int | None = None
        """The same of the delays' panes."""

    def add(self, index: int, series: Series, rules: SeriesRules, sample_size: int = 0) -> None:
        """Put a series at its index; raises ValueError if the index is taken by another.

        sample_size: labelled predictions a day to sample of its model version, 0 for none.
        """
        known = self._by_identity.setdefault((series, rules), index)
        if known != index:
            msg = f"{series} is already at index {known}, not {index}"
            raise ValueError(msg)
        delay_s = delay_pane_s(rules.pane_s)
        self.one_pane_s = self._one(self.one_pane_s, rules.pane_s)
        self.one_delay_pane_s = self._one(self.one_delay_pane_s, delay_s)
        self.only_equals &= rules.rule is OutcomeRule.EQUALS
        self._grow(index + 1)
        self._newest = max(self._newest, index)
        self.model[index] = rules.model
        self.pane_s[index] = rules.pane_s
        self.delay_pane_s[index] = delay_s
        self.label_horizon_ms[index] = rules.label_horizon_s * 1000
        self.correction_horizon_ms[index] = rules.correction_horizon_s * 1000
        self.rule[index] = rules.rule
        self.low[index] = rules.low
        self.high[index] = rules.high
        self.unlabelled_negative[index] = rules.unlabelled_negative
        self.any_unlabelled_negative |= rules.unlabelled_negative
        if sample_size:
            self.any_sampled = True
            self.sample_size[index] = sample_size
            self.salt[index] = salt(series.claim)
            self.version[index] = self._versions.setdefault(
                (series.model, series.version), len(self._versions)
            )

    @property
    def newest(self) -> int:
        """Largest index of a known series, -1 without any."""
        return self._newest

    @property
    def n_series(self) -> int:
        """Number of known series."""
        return len(self._by_identity)

    def find(self, series: Series, rules: SeriesRules) -> int | None:
        """Index of a series under these rules, if it is known."""
        return self._by_identity.get((series, rules))

    def items(self) -> tuple[tuple[int, Series, SeriesRules], ...]:
        """Every known (index, series, rules)."""
        return tuple((index, *identity) for identity, index in self._by_identity.items())

    def _one(self, known: int | None, new: int) -> int | None:
        """The length that all series have, with one more; None for several."""
        return new if len(self._by_identity) == 1 or known == new else None

    def _grow(self, size: int) -> None:
        if size <= self._n:
            return
        more = max(size, 2 * self._n) - len(self.model)
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(more, dtype=column.dtype)]))
        self._n = len(self.model)


_COLUMNS = (
    "model",
    "pane_s",
    "delay_pane_s",
    "label_horizon_ms",
    "correction_horizon_ms",
    "rule",
    "low",
    "high",
    "unlabelled_negative",
    "salt",
    "version",
    "sample_size",
)
