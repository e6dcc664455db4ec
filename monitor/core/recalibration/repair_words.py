"""Repair in words: its formula, and what it did on labels that it was not fitted to.

Guarantees: alert and report say the same of the same repair. Must never: call a repair worth
applying whose gain was measured on the labels that it was fitted to, or let honest be read as
useful.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from monitor.core.claims import POSITIVE
from monitor.core.measures.usefulness import Use
from monitor.core.wording import amount, one_line

if TYPE_CHECKING:
    from monitor.core.claims import Series
    from monitor.core.verdicts import Evidence, Repair

WORTH_APPLYING = 0.75
"""A recalibrator is advised when it leaves at most this part of ECE on held-out labels."""
HARDLY_RANKS = 0.05
"""An AUROC nearer to .5 than this, on a few hundred held-out labels, is hardly told from none."""


def repair_formula(repair: Repair) -> str:
    """The repair's line in the logit; a temperature by its own name."""
    if repair.method == "temperature" and repair.slope:
        return f"temperature {1 / repair.slope:.3f}, repaired logit = logit(score) / temperature"
    sign = "-" if repair.intercept < 0 else "+"
    line = f"{repair.slope:.3f} × logit(score) {sign} {abs(repair.intercept):.3f}"  # noqa: RUF001  # a times sign; * would be markup
    return f"{repair.method.capitalize()}, repaired logit = {line}"


def held_out_words(repair: Repair) -> str:
    """Before and after on the held-out labels, without a full stop."""
    ranking = f"AUROC {repair.auroc_before:.3f} before, {repair.auroc_after:.3f} after"
    # A rising line of the logit keeps the order of the scores; a falling one turns it round.
    kept = "ranking untouched" if repair.slope > 0 else "it turns the ranking round"
    return (
        f"On {amount(repair.n_held_out)} held-out labels ECE goes from {repair.ece_before:.3f} "
        f"to {repair.ece_after:.3f}; {kept} ({ranking})"
    )


def caveat_words(evidence: Evidence) -> str:
    """What an honest score would still not do, where that is not known to be enough."""
    if evidence.ranking is not None and evidence.ranking.use == Use.UNPROVEN:
        return (
            " It makes the scores honest; the labels do not show that they tell outcomes apart, "
            "before or after."
        )
    if evidence.repair is not None and abs(evidence.repair.auroc_after - 0.5) < HARDLY_RANKS:
        return (
            " It makes the scores honest, not useful: on these labels they hardly tell outcomes "
            "apart."
        )
    return ""


def recalibrate_words(series: Series) -> str:
    """The command that tries more maps on later labels and writes one."""
    claim = "" if series.claim == POSITIVE else f" --claim {shlex.quote(series.claim)}"
    segment = f" --segment {shlex.quote(series.segment)}" if series.segment else ""
    name = shlex.quote(f"{series.model}@{series.version}")
    return one_line(f"As a file to apply: calmon recalibrate {name}{claim}{segment}")
