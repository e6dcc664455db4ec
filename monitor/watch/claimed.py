"""Events of files as claims: what each prediction states, and which claims a label decides.

Guarantees: the same claims, under the same names and rules, as ingest makes of the same events.
Must never: drop a claim that a prediction makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import POSITIVE, OutcomeRule, Series, pooled, segment_name, watch_values
from monitor.core.counting.series_table import SeriesRules, SeriesTable
from monitor.core.kinds import ClaimColumns, ClaimSet, Kind, claim_set_of, claims_made
from monitor.core.policies import Unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monitor.core.policies import Policy
    from monitor.watch.counting import Events

    Text = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Claims, rows counted from the events' first; labels: by claim, the rows that decide it."""

    predictions: list[ClaimColumns]
    labels: list[tuple[str, NDArray[np.intp]]]


def claimed_by(events: Events, policy_for: Callable[[str], Policy]) -> Claimed:
    """All claims of the events; those of binary scores where they bring no other numbers.

    Raises ValueError for a model whose policy declares other claims.
    """
    if not events.numbers:
        _refuse_other_kinds(events, policy_for)
        rows = np.arange(len(events.score))
        score = np.asarray(events.score, dtype=np.float64)
        made = ClaimColumns(POSITIVE, OutcomeRule.EQUALS, rows, score, np.ones(len(rows)))
        return Claimed([made], [(POSITIVE, np.arange(len(events.label)))])
    claimed = Claimed([], [])
    for model in dict.fromkeys(events.model):
        claims = claims_in(events, policy_for(model).claims, model)
        rows = np.flatnonzero(events.model == model)
        values = np.column_stack([events.numbers[name][rows] for name in claims.columns])
        claimed.predictions.extend(
            ClaimColumns(m.name, m.rule, rows[m.row], m.score, m.low, m.refs)
            for m in claims_made(claims, values)
        )
        decided = np.flatnonzero(events.label_model == model)
        claimed.labels.extend((name, decided) for name in claims.names)
    unknown = np.flatnonzero(events.label_model == "")
    claimed.labels.append((POSITIVE, unknown))
    return claimed


def claims_in(events: Events, declared: ClaimSet, model: str) -> ClaimSet:
    """What a policy declares, if the file brings it, or else what the file's columns name.

    Raises ValueError where a policy declares what the file does not have.
    """
    found = claim_set_of(tuple(events.numbers))
    if declared.kind is Kind.BINARY:
        return found
    missing = [name for name in declared.columns if name not in events.numbers]
    if missing:
        message = (
            f"the policy of {model} declares {declared.kind} claims, but the file has no column "
            f"{missing[0]}; it has {', '.join(events.numbers)}"
        )
        raise ValueError(message)
    return declared


class NamedSeries:
    """Numbers of the series that the events' claims belong to, and their rules."""

    def __init__(self, events: Events, policy_for: Callable[[str], Policy]) -> None:
        names = sorted(set(events.model) | set(events.label_model))
        self._number = {name: index for index, name in enumerate(names)}
        self._policies = {name: policy_for(name) for name in dict.fromkeys(events.model)}
        self._watched: dict[str, dict[str, set[str]]] = {name: {} for name in self._policies}
        self._whose = [
            (model, version, self._segment(events, row, model))
            for row, (model, version) in enumerate(zip(events.model, events.version, strict=True))
        ]
        self.table = SeriesTable()
        self.named: dict[int, Series] = {}
        self._indices: dict[tuple[Series, float], int] = {}

    def models(self, names: Text) -> NDArray[np.int32]:
        """Number of each model."""
        return np.array([self._number[name] for name in names], dtype=np.int32)

    def indices(self, made: ClaimColumns) -> NDArray[np.int32]:
        """Index of each row's series under one claim."""
        known: dict[tuple[str, str, str, float], int] = {}
        found = np.empty(len(made.row), dtype=np.int32)
        for place, (row, low) in enumerate(zip(made.row.tolist(), made.low.tolist(), strict=True)):
            whose = (*self._whose[row], low)
            index = known.get(whose)
            if index is None:
                index = known[whose] = self._index(made, *whose)
            found[place] = index
        return found

    def _index(self, made: ClaimColumns, model: str, version: str, segment: str, low: float) -> int:
        series = Series(model, version, made.name, segment)
        index = self._indices.setdefault((series, low), len(self._indices))
        if index not in self.named:
            self.named[index] = series
            policy = self._policies[model]
            rules = SeriesRules(
                self._number[model],
                int(policy.pane.total_seconds()),
                int(policy.label_horizon.total_seconds()),
                int(policy.correction_horizon.total_seconds()),
                rule=made.rule,
                low=low,
                unlabelled_negative=policy.unlabelled is Unlabelled.NEGATIVE,
            )
            self.table.add(index, series, rules)
        return index

    def _segment(self, events: Events, row: int, model: str) -> str:
        policy = self._policies[model]
        values = {
            name: str(events.segments[name][row]) if name in events.segments else ""
            for name in policy.segments
        }
        segment = pooled(segment_name(values), self._watched[model], policy.max_segment_values)
        watch_values(segment, self._watched[model])
        return segment


def _refuse_other_kinds(events: Events, policy_for: Callable[[str], Policy]) -> None:
    for model in dict.fromkeys(events.model):
        declared = policy_for(model).claims
        if declared.kind is not Kind.BINARY:
            message = (
                f"the policy of {model} declares {declared.kind} claims, but the file has a "
                f"column score; give the columns {', '.join(declared.columns)} instead"
            )
            raise ValueError(message)
