"""Labelled rows of one model's claim, by prediction id, for comparing models row by row.

Guarantees: the first prediction of an id counts, and its newest label, late ones included; a
retracted label is none. Must never: pair two rows whose labels differ, where they foretell the
same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.claims import POSITIVE, outcomes
from monitor.core.counting.losses import BILLION, loss_sums
from monitor.core.decision.comparing import Pairs
from monitor.core.decision.comparing_levels import Covered
from monitor.core.kinds import TOP_LABEL, claim_set_of, claims_made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.kinds import ClaimColumns
    from monitor.watch.counting import Events


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Rows in the order of their predictions; ids are unique, or None where a file has none.

    covered: of a quantile's or an interval's claim.
    """

    ids: NDArray[np.object_] | None
    score: NDArray[np.float64]
    outcome: NDArray[np.bool_]
    claim: str = POSITIVE
    covered: Covered | None = None

    def counts(self) -> BinCounts:
        """The rows' histogram."""
        return BinCounts.from_rows(self.score, self.outcome)


def labelled_rows(
    events: Events, model: str, version: str | None = None, claim: str | None = None
) -> LabelledRows:
    """Labelled rows of a model's claim, or of one version of it; empty where there are none.

    claim: by default the one there is, or the top label. Raises ValueError for a claim that the
    predictions do not make, and where there are several to choose from.
    """
    rows, label = newest_labels(events, model, version)
    if not events.numbers:
        if claim not in {None, POSITIVE}:
            message = f"predictions of {model} are binary scores; they make no claim {claim}"
            raise ValueError(message)
        return LabelledRows(events.prediction_id[rows], events.score[rows], label == 1)
    claims = claim_set_of(tuple(events.numbers))
    name = claim or _only(claims.names, model)
    values = np.column_stack([events.numbers[column][rows] for column in claims.columns])
    for made in claims_made(claims, values):
        if made.name == name:
            return _of_claim(made, events.prediction_id[rows][made.row], label[made.row])
    message = f"{model} makes no claim {name}; it makes {', '.join(claims.names)}"
    raise ValueError(message)


def _only(names: Sequence[str], model: str) -> str:
    if TOP_LABEL in names:
        return TOP_LABEL
    if len(names) > 1:
        message = f"{model} makes several claims; give --claim, one of {', '.join(names)}"
        raise ValueError(message)
    return names[0]


def _of_claim(
    made: ClaimColumns, ids: NDArray[np.object_], label: NDArray[np.float64]
) -> LabelledRows:
    outcome = outcome_of(made, label)
    if made.refs is None:
        return LabelledRows(ids, made.score, outcome, made.name)
    sums = loss_sums(np.full(len(label), made.rule, dtype=np.int8), made.score, made.refs, label)
    loss, width = (sums[:, k] + sums[:, k + 1] / BILLION for k in (1, 3))
    return LabelledRows(ids, made.score, outcome, made.name, Covered(outcome, loss, width))


def outcome_of(made: ClaimColumns, label: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What came of each row of a claim under its label."""
    rule = np.full(len(label), made.rule, dtype=np.int8)
    low, high = (made.low, made.low) if made.refs is None else made.refs.T
    return outcomes(rule, low, high, label)


def newest_labels(
    events: Events, model: str, version: str | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows of the labelled predictions of a model, and the newest label of each."""
    newest: dict[object, float] = {}
    for row in np.argsort(events.label_ms, kind="stable"):
        if events.label_model[row] == model:
            newest[events.label_id[row]] = float(events.label[row])
    first: dict[object, int] = {}
    mine = events.model == model
    for row in np.flatnonzero(mine):
        first.setdefault(events.prediction_id[row], int(row))
    rows = [
        row
        for key, row in first.items()
        if not np.isnan(newest.get(key, np.nan)) and version in {None, events.version[row]}
    ]
    label = [newest[events.prediction_id[row]] for row in rows]
    return np.array(rows, dtype=np.intp), np.array(label, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Rows of both sides that have one id, in the order of a; row numbers of either."""

    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]


def matched(a: LabelledRows, b: LabelledRows) -> Matched | None:
    """The rows that both have; None where ids are missing.

    Raises ValueError for an id with two outcomes where both foretell the same thing: the labels
    are not of the same thing.
    """
    if a.ids is None or b.ids is None:
        return None
    place = {key: row for row, key in enumerate(b.ids)}
    row_a = np.array([row for row, key in enumerate(a.ids) if key in place], dtype=np.int64)
    row_b = np.array([place[a.ids[row]] for row in row_a], dtype=np.int64)
    apart = a.outcome[row_a] != b.outcome[row_b]
    if apart.any() and not is_own(a.claim):
        message = (
            f"{int(apart.sum())} ids ({a.ids[row_a[apart.argmax()]]!r}, ...) have one label for "
            "one model and another for the other; the two do not predict the same thing"
        )
        raise ValueError(message)
    return Matched(row_a, row_b)


def is_own(claim: str) -> bool:
    """Whether a claim is of what a model says itself, so that two models' outcomes may differ."""
    return claim == TOP_LABEL or claim.startswith(("confidence:", "quantile:", "interval:"))


def pairs_of(a: LabelledRows, b: LabelledRows, rows: Matched) -> Pairs:
    """Scores and outcomes of matched rows."""
    own = b.outcome[rows.row_b] if is_own(a.claim) else None
    return Pairs(a.score[rows.row_a], b.score[rows.row_b], a.outcome[rows.row_a], own)
