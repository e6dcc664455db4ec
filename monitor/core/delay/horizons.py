"""A label horizon suggested by the delays that were observed.

Guarantees: a horizon is suggested only when the labels have clearly stopped coming within the age
they were seen for, and its interval is exact for independent labels. Must never: suggest a horizon
from delays that are cut off, or from too few labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.delays import BUCKETS, DAY_S, HOUR_S, MINUTE_S
from monitor.core.measures.wilson import wilson

if TYPE_CHECKING:
    from monitor.core.delays import DelayCounts

MIN_LABELS = 100
LEVEL = 0.95
SPANS = ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"))


@dataclass(frozen=True, slots=True)
class HorizonAdvice:
    """Smallest horizon by which the wished share of labels has come, or why there is none.

    In seconds, with a 95 % interval (order statistics); all three are bucket edges, or all None.
    """

    horizon_s: int | None
    low_s: int | None
    high_s: int | None
    reason: str


def suggest_horizon(delays: DelayCounts, share: float = 0.95) -> HorizonAdvice:
    """Smallest H with at least `share` (in (0, 1)) of the labels, from mature cohorts' delays.

    The interval is that of a quantile by order statistics: the ranks are binomial. Delays are
    taken to be cut off when more labels may still come (upper end of a Wilson interval) in the
    second half of the observed age than half of what the wished share leaves out.
    """
    n = delays.labels()
    total = int(n.sum())
    needed = max(MIN_LABELS, ceil(5 / (1 - share)))
    if total < needed:
        return _none(f"Not enough labels to suggest a horizon: {total} of the {needed} needed.")
    late = int(n[delays.until_s // 2 < BUCKETS].sum())
    _, most = wilson(np.array([late]), np.array([total]))
    if float(most[0]) > (1 - share) / 2:
        return _none(
            f"Not enough time to suggest a horizon: {late / total:.1%} of the labels came in the "
            f"second half of the {span_words(delays.until_s)} that were observed, "
            "so more are still to come."
        )
    ranks = np.array([share * total, *_ranks(total, share)])
    at = np.searchsorted(np.cumsum(n), np.clip(np.ceil(ranks), 1, total), side="left")
    horizon_s, low_s, high_s = (int(BUCKETS[i]) for i in at)
    return HorizonAdvice(
        horizon_s,
        low_s,
        high_s,
        f"{share:.0%} of {total} labels came within {span_words(horizon_s)} "
        f"(95 % interval {span_words(low_s)} to {span_words(high_s)}).",
    )


def _ranks(total: int, share: float) -> tuple[float, float]:
    """Ranks between which the quantile lies with probability LEVEL."""
    from scipy.stats import binom  # noqa: PLC0415  # most commands never need it; it takes long

    low = binom.ppf((1 - LEVEL) / 2, total, share)
    high = binom.ppf((1 + LEVEL) / 2, total, share) + 1
    return float(low), float(high)


def _none(reason: str) -> HorizonAdvice:
    return HorizonAdvice(None, None, None, reason)


def span_words(span_s: float) -> str:
    """A span in the largest unit that it fills: `7 d`, `1.5 h`, `40 s`."""
    for unit_s, name in SPANS:
        if span_s >= unit_s:
            return f"{span_s / unit_s:.3g} {name}"
    return f"{span_s:.3g} s"
