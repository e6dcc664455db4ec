"""What `calmon threshold` prints: sentences first, then the cost of a few cutoffs.

Guarantees: what is printed comes from the same values as the JSON form. Must never: compute an
estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from monitor.core.decision.decision_evidence import cost_words, number
from monitor.core.report.threshold_words import threshold_json, threshold_words
from monitor.core.wording import one_line, series_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from monitor.core.claims import Series
    from monitor.core.report.threshold_advice import ThresholdAdvice

Json = dict[str, object]
TENTHS = tuple(k / 10 for k in range(1, 10))


def advices_json(advices: Sequence[tuple[Series, ThresholdAdvice]]) -> Json:
    """Every advice with the series it is of."""
    return {
        "thresholds": [
            {
                "model": series.model,
                "version": series.version or None,
                "claim": series.claim,
                "segment": series.segment or None,
            }
            | threshold_json(advice)
            for series, advice in advices
        ]
    }


def print_advices(console: Console, advices: Sequence[tuple[Series, ThresholdAdvice]]) -> None:
    """A paragraph and a table a series."""
    for series, advice in advices:
        name = series_name(series) if series.version else one_line(series.model)
        first, *others = threshold_words(advice)
        lead = f"{name}, {advice.labels:,} labels: {first}"
        for sentence in (lead, *others):
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        console.print(_table(advice))


def _table(advice: ThresholdAdvice) -> Table:
    table = Table(title="cost per 1,000 predictions, 95 % interval", title_justify="left")
    for name in ("cutoff", "cost", "interval", "false +", "missed", ""):
        table.add_column(name, no_wrap=True)
    named = {
        advice.best.cutoff: "best on these labels",
        advice.calibrated.cutoff: "best for honest scores",
        advice.present.cutoff: "present",
    }
    for cutoff in sorted({*TENTHS, *named}):
        at = advice.curve.at(cutoff)
        table.add_row(
            number(cutoff),
            cost_words(at.cost),
            f"{cost_words(at.low)} to {cost_words(at.high)}",
            f"{at.false_positive:.1%}",
            f"{at.false_negative:.1%}",
            named.get(cutoff, ""),
        )
    return table
