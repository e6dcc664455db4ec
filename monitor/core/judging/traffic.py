"""Traffic: how many labels a month a series sends, as its cohorts show.

Guarantees: a pure function of cohorts, of bounded size. Must never: count labels that came past
the label horizon: no detector is fed them.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.judging.series_state import Cohort, SeriesState
    from monitor.core.verdicts import BudgetShare

DAY_S = 86_400
MONTH_S = DAY_S * 365.25 / 12
REMEMBERED_DAYS = 32

Traffic = tuple[tuple[int, int], ...]
"""Days, by number since 1970, and the labels of the cohorts that ended in each, oldest first."""


def with_cohort(traffic: Traffic, cohort: Cohort) -> Traffic:
    """Traffic with one more cohort, later than all before it."""
    day = (cohort.end_s - 1) // DAY_S
    labels = cohort.counts.n_labelled
    if traffic and traffic[-1][0] == day:
        return (*traffic[:-1], (day, traffic[-1][1] + labels))
    kept = [each for each in traffic if each[0] > day - REMEMBERED_DAYS]
    return (*kept, (day, labels))


def labels_a_month(state: SeriesState, at: datetime) -> float:
    """Labels a month over the month before event time `at`, or since the series' first cohort.

    Only cohorts that matured by `at` count: the month ends the label horizon before it.
    """
    if state.first_s is None:
        return 0.0
    horizon_s = state.policy.label_horizon.total_seconds()
    cohort_s = state.policy.cohort.total_seconds()
    until_s = at.timestamp() - horizon_s
    from_s = max(float(state.first_s), until_s - MONTH_S)
    labels = sum(n for day, n in state.traffic if (day + 1) * DAY_S > from_s)
    return labels / max(until_s - from_s, cohort_s) * MONTH_S


def log_excess(share: BudgetShare | None, cohort: Cohort) -> float:
    """Log of n / e where a cohort has more than the e labels that its part was made for, else 0.

    R <- L (R + min(n, e)): a busy day spends no more of a budget than a usual one. That is
    L (R n / e + n) e / n, so evidence is scaled up by n / e before, and down after.
    """
    if share is None or not cohort.counts.n_labelled:
        return 0.0
    expected = share.labels_per_month * (cohort.end_s - cohort.start_s) / MONTH_S
    return max(0.0, log(cohort.counts.n_labelled / expected))
