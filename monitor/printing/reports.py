"""Reports of series and advice on their labels, as tables and sentences.

Guarantees: what is printed comes from the same values as the JSON forms. Must never: compute.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from monitor.core.report.claim_tables import claim_tables, is_levelled
from monitor.core.report.reports import report_table
from monitor.printing.words import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from monitor.core.delay.delay_advice import LabelAdvice
    from monitor.core.report.reports import SeriesReport


def print_reports(console: Console, reports: Sequence[SeriesReport]) -> None:
    """Reliability table and metrics of each series, and the claims of a model side by side."""
    for report in reports:
        if not is_levelled(report):
            console.print(report_table(report), markup=False, highlight=False, soft_wrap=True)
            console.print()
    print_claims(console, reports)


def print_claims(console: Console, reports: Sequence[SeriesReport]) -> None:
    """The claims of each model side by side."""
    for text in claim_tables(reports):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print()


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Sentences as they are, a line each."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def advice_json(advice: Sequence[LabelAdvice]) -> list[dict[str, object]]:
    """Advice on labels as plain JSON."""
    return [asdict(each) for each in advice]


def print_advice(console: Console, advice: Sequence[LabelAdvice]) -> None:
    """What is known of each model version's labels, in sentences."""
    for each in advice:
        text = f"labels of {named(each.model, each.version)}: {' '.join(each.words)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
