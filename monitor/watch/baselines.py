"""Baselines from validation files.

Guarantees: rows become whole cohorts by their own time. Must never: pin a baseline that cannot
say how far days differ without saying so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.series_state import IMPORTED, Baseline, Cohort, moment

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from monitor.core.policies import Policy


def baseline_from(  # noqa: PLR0913, PLR0917  # a file's columns and whose they are
    model: str,
    version: str,
    score: NDArray[np.float64],
    label: NDArray[np.float64],
    ts_ms: NDArray[np.int64] | None,
    policy: Policy,
) -> tuple[Baseline, datetime]:
    """Baseline of validation rows, and the event time it holds from: the end of its last cohort.

    Raises ValueError without times, since how far days differ is estimated between cohorts, and
    for fewer labels than the policy's min_labels.
    """
    if ts_ms is None:
        msg = "a validation file needs a column ts: days are compared with each other"
        raise ValueError(msg)
    if len(label) < policy.min_labels:
        msg = f"{len(label)} labelled rows; the policy's min_labels asks for {policy.min_labels}"
        raise ValueError(msg)
    cohort_s = int(policy.cohort.total_seconds())
    start_s = ts_ms // 1000 // cohort_s * cohort_s
    cohorts = tuple(
        Cohort(
            begun,
            begun + cohort_s,
            BinCounts.from_rows(score[start_s == begun], label[start_s == begun] == 1),
        )
        for begun in np.unique(start_s).tolist()
    )
    baseline = Baseline(Series(model, version), IMPORTED, cohorts)
    return baseline, moment(cohorts[-1].end_s)
