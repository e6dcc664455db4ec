"""`calmon report`: what files of predictions and labels say, without a configuration or a server.

Must never: change anything, or hold logic of its own.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor import printing
from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.policies import Policy
from monitor.core.reports import series_report
from monitor.event_files import read_events, read_scored
from monitor.watch import backtest as backtests

if TYPE_CHECKING:
    from monitor.core.delay_advice import LabelAdvice


def report(
    predictions: Annotated[Path, typer.Argument(help="Predictions, or one file with labels.")],
    labels: Annotated[Path | None, typer.Argument(help="Labels.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    by_version: Annotated[bool, typer.Option("--by-version", help="A report a version.")] = False,
) -> None:
    """Print the reliability table and the metrics of files, and what their labels' delays say."""
    advice: list[LabelAdvice] = []
    if labels is None:
        scored = read_scored(predictions)
        series = Series(scored.source, "")
        counts = BinCounts.from_rows(scored.score, scored.label == 1)
        reports = [series_report(series, counts, pooled=True)]
    else:
        events = read_events(predictions, labels)
        counted = backtests.count(events, lambda _: Policy())
        advice = backtests.label_advices(events, counted, lambda _: Policy())
        reports = backtests.series_reports(counted, by_version=by_version)
    if as_json:
        shown = {"series": reports, "labels": printing.advice_json(advice)}
        typer.echo(json.dumps(shown))
    else:
        printing.print_reports(Console(), reports)
        printing.print_advice(Console(), advice)
