"""What the delays seen so far say of a model's label horizon, and of its newest predictions.

Guarantees: delays are read from panes that are all as old as the age they are read up to, so that
labels still to come do not pass for labels that never come; the fresh view is marked provisional.
Must never: raise an alarm, or stand in a verdict: both change with every label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.delay_cells import delay_pane_s
from monitor.core.delay.horizons import HorizonAdvice, span_words, suggest_horizon
from monitor.core.delay.provisional import FreshPane, equal_width_ece, provisional
from monitor.core.delays import BUCKETS, NEGATIVE, POSITIVE, DelayCounts
from monitor.core.policies import Unlabelled

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts
    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.panes import Cells
    from monitor.core.policies import Policy

LOSES_MUCH = 0.9
"""A horizon that lets in a smaller share of the labels, of either class, is said to lose much."""


@dataclass(frozen=True, slots=True)
class FreshView:
    """Provisional estimates of predictions not yet as old as the label horizon.

    Labels are weighted by the inverse of the share of their class that has come by their age; gap
    is mean score less base rate, ece of 15 equal-width bins. None where there is nothing to weigh.
    """

    n_predicted: int
    n_labelled: int
    n_effective: float
    gap: float | None
    ece: float | None
    panes_left_out: int


@dataclass(frozen=True, slots=True)
class LabelAdvice:
    """What is known of one model version's labels.

    observed_s: age up to which delays were read; the shares are of the labels within the horizon,
    None where the labels do not decide them. words: sentences for people.
    """

    model: str
    version: str
    label_horizon_s: int
    observed_s: int | None
    on_time: float | None
    on_time_positive: float | None
    on_time_negative: float | None
    suggested: HorizonAdvice | None
    fresh: FreshView | None
    words: tuple[str, ...]


def observed_delays(cells: DelayCells, policy: Policy, now_s: int) -> DelayCounts | None:
    """Delays of the panes that are old enough, up to that age; None without any.

    The age is the correction horizon, or half of the time since the first pane if that is less.
    """
    if not len(cells):
        return None
    pane_s = delay_pane_s(int(policy.pane.total_seconds()))
    span_s = now_s - int(cells.pane_start.min())
    until_s = min(int(policy.correction_horizon.total_seconds()), span_s // 2)
    old = cells.take(cells.pane_start + pane_s + until_s <= now_s)
    return old.counts(until_s) if until_s >= BUCKETS[0] and len(old) else None


def label_advice(  # noqa: PLR0913, PLR0917  # whose, what was counted, and when
    model: str,
    version: str,
    cells: Cells,
    delays: DelayCells,
    policy: Policy,
    now_s: int,
) -> LabelAdvice:
    """Advice on the cells and delays of one model version, at event time now_s (epoch seconds)."""
    horizon_s = int(policy.label_horizon.total_seconds())
    seen = observed_delays(delays, policy, now_s)
    suggested = suggest_horizon(seen) if seen is not None else None
    shares = [None if seen is None else _known(seen.share_by(horizon_s, y)) for y in _CLASSES]
    fresh = fresh_view(cells, seen, policy, now_s) if seen is not None else None
    return LabelAdvice(
        model,
        version,
        horizon_s,
        None if seen is None else seen.until_s,
        shares[0],
        shares[1],
        shares[2],
        suggested,
        fresh,
        tuple(_words(horizon_s, shares, suggested, fresh)),
    )


_CLASSES = (None, POSITIVE, NEGATIVE)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def fresh_view(cells: Cells, seen: DelayCounts, policy: Policy, now_s: int) -> FreshView | None:
    """Estimates of the panes younger than the label horizon; None without any prediction."""
    pane_s = int(policy.pane.total_seconds())
    horizon_s = int(policy.label_horizon.total_seconds())
    young = cells.take(cells.pane_start + pane_s + horizon_s > now_s)
    if not len(young):
        return None
    panes = [
        FreshPane(_counts(young, start), now_s - start - pane_s, now_s - start)
        for start in np.unique(young.pane_start).tolist()
    ]
    implicit = policy.unlabelled is Unlabelled.NEGATIVE
    found = provisional(panes, seen, unlabelled_negative=implicit)
    return FreshView(
        n_predicted=sum(pane.counts.n_predicted for pane in panes),
        n_labelled=found.n_labelled,
        n_effective=found.n_effective,
        gap=_known(found.gap),
        ece=_known(equal_width_ece(found)),
        panes_left_out=found.panes_left_out,
    )


def _counts(cells: Cells, start: int) -> BinCounts:
    return cells.take(cells.pane_start == start).counts()


def _words(
    horizon_s: int,
    shares: list[float | None],
    suggested: HorizonAdvice | None,
    fresh: FreshView | None,
) -> list[str]:
    said = [suggested.reason] if suggested is not None else ["No labels are old enough yet."]
    known = [share for share in shares if share is not None]
    if known and min(known) < LOSES_MUCH:
        classes = [
            f"{share:.0%} of the {name} labels"
            for share, name in zip(shares[1:], ("positive", "negative"), strict=True)
            if share is not None
        ]
        said.append(
            f"The label horizon of {span_words(horizon_s)} loses much: within it come "
            f"{' and '.join(classes)}."
        )
    if fresh is not None and fresh.gap is not None and fresh.ece is not None:
        said.append(
            f"Provisional, of {fresh.n_labelled} labels of predictions younger than that, weighted "
            f"for labels still to come: gap {fresh.gap:+.3f}, ECE {fresh.ece:.3f}. It never alarms."
        )
    return said
