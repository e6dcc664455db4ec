"""Metrics of claims that are not a probability of their own: accuracy, coverage, losses.

Guarantees: pure functions of counts and losses; what the labels do not decide is NaN. Must never:
give a claim a metric that it has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.kinds import TOP_LABEL, level_of
from monitor.core.measures.wilson import wilson

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts
    from monitor.core.counting.losses import Losses

NAN = float("nan")


def kind_metrics(claim: str, counts: BinCounts, losses: Losses) -> dict[str, float]:
    """By name, what a claim has beside the metrics of every claim; nothing of `positive`.

    accuracy, of top labels and answers. level, coverage with its 95 % Wilson interval, and pinball,
    of quantiles: share of labels at or below, mean loss. Of intervals: coverage, below and above
    (shares of labels outside on each side), interval_score and width (means).
    """
    n, positive = counts.n_labelled, counts.n_positive
    share = positive / n if n else NAN
    if claim == TOP_LABEL or claim.startswith("confidence:"):
        return {"accuracy": share}
    level = level_of(claim)
    if level is None:
        return {}
    low, high = wilson(np.array([positive]), np.array([n]))
    found = {
        "level": level,
        "coverage": share,
        "coverage_low": float(low[0]) if n else NAN,
        "coverage_high": float(high[0]) if n else NAN,
    }
    if claim.startswith("quantile:"):
        return found | {"pinball": losses.loss / n if n else NAN}
    below = losses.below / n if n else NAN
    return found | {
        "below": below,
        "above": 1 - share - below,
        "interval_score": losses.loss / n if n else NAN,
        "width": losses.width / n if n else NAN,
    }
