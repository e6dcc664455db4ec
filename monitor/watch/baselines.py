"""Baselines from validation files.

Guarantees: rows become whole cohorts by their own time. Must never: pin a baseline that cannot
say how far days differ without saying so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.judging.series_state import IMPORTED, Baseline, Cohort, moment
from monitor.core.kinds import Kind, claims_made
from monitor.watch.claimed import claims_in
from monitor.watch.labelled_rows import outcome_of

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from monitor.core.policies import Policy
    from monitor.watch.counting import Events


def baseline_from(  # noqa: PLR0913, PLR0917  # a file's columns and whose they are
    model: str,
    version: str,
    score: NDArray[np.float64],
    label: NDArray[np.float64],
    ts_ms: NDArray[np.int64] | None,
    policy: Policy,
) -> tuple[Baseline, datetime]:
    """Baseline of validation rows, and the event time it holds from: the end of its last cohort.

    Raises ValueError without times, since how far days differ is estimated between cohorts, for
    fewer labels than the policy's min_labels, and where the policy declares other claims.
    """
    if policy.claims.kind is not Kind.BINARY:
        msg = (
            f"predictions of {model} make the claims {', '.join(policy.claims.names[:5])}; give "
            "their columns instead of a score"
        )
        raise ValueError(msg)
    if ts_ms is None:
        raise ValueError(_NO_TIMES)
    if len(label) < policy.min_labels:
        raise ValueError(_too_few(len(label), policy))
    baseline = _baseline(Series(model, version), score, label == 1, ts_ms, policy)
    return baseline, moment(baseline.cohorts[-1].end_s)


def baselines_from(
    model: str, version: str, events: Events, policy: Policy
) -> tuple[list[Baseline], datetime]:
    """Of rows of another kind a baseline a claim with labels enough, and when they hold from.

    events: a row each with its label, as `read_labelled` gives them. Raises ValueError as
    `baseline_from`, and where no claim has labels enough.
    """
    if policy.claims.kind is Kind.BINARY:
        msg = (
            f"the policy of {model} declares no claims, so none of {', '.join(events.numbers)} "
            "would be compared with anything; declare them under `claims`"
        )
        raise ValueError(msg)
    if not events.ts_ms.any():
        raise ValueError(_NO_TIMES)
    claims = claims_in(events, policy.claims, model)
    values = np.column_stack([events.numbers[name] for name in claims.columns])
    found, most = [], 0
    for made in claims_made(claims, values):
        most = max(most, len(made.row))
        if len(made.row) >= policy.min_labels:
            came = outcome_of(made, events.label[made.row])
            series, ts_ms = Series(model, version, made.name), events.ts_ms[made.row]
            found.append(_baseline(series, made.score, came, ts_ms, policy))
    if not found:
        raise ValueError(_too_few(most, policy))
    return found, moment(max(each.cohorts[-1].end_s for each in found))


_NO_TIMES = "a validation file needs a column ts: days are compared with each other"


def _too_few(n: int, policy: Policy) -> str:
    return f"{n} labelled rows; the policy's min_labels asks for {policy.min_labels}"


def _baseline(
    series: Series,
    score: NDArray[np.float64],
    outcome: NDArray[np.bool_],
    ts_ms: NDArray[np.int64],
    policy: Policy,
) -> Baseline:
    cohort_s = int(policy.cohort.total_seconds())
    start_s = ts_ms // 1000 // cohort_s * cohort_s
    cohorts = tuple(
        Cohort(
            begun,
            begun + cohort_s,
            BinCounts.from_rows(score[start_s == begun], outcome[start_s == begun]),
        )
        for begun in np.unique(start_s).tolist()
    )
    return Baseline(series, IMPORTED, cohorts)
