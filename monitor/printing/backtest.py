"""What a backtest found: every series' figures, and the alerts that would have fired.

Guarantees: what is printed comes from the same values as the JSON form. Must never: compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from monitor.core.claims import POSITIVE
from monitor.core.judging.restarts import restart_words
from monitor.core.report.claim_tables import worst_segments
from monitor.core.verdicts import rfc3339
from monitor.printing.words import figure, named, of_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from monitor.core.report.reports import SeriesReport
    from monitor.watch.backtest import BacktestAlert
    from monitor.watch.following import Judged


def print_backtest(
    console: Console,
    reports: Sequence[SeriesReport],
    given: Sequence[Judged],
    alerts: Sequence[BacktestAlert],
) -> None:
    """Every series' figures and verdicts, and the alerts that would have fired."""
    table = Table(title="series", title_justify="left")
    kinds = any(report["claim"] != POSITIVE for report in reports)
    columns = ["segment", "labels", "coverage", "ECE (15 bins)", "debiased"]
    for name in ["model", *(["claim"] if kinds else []), *columns]:
        table.add_column(name)
    for report in reports:
        metrics = report["metrics"]
        table.add_row(
            named(report["model"], report["version"]),
            *([report["claim"]] if kinds else []),
            str(report["segment"] or "all"),
            str(report["n"]),
            figure(report.get("coverage")),
            figure(metrics["ece_15"]),
            figure(metrics["ece_debiased"]),
        )
    console.print(table)
    for line in worst_segments(reports):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    counted = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    console.print(f"\n{counted} in {len(given)} verdicts", highlight=False)
    for alert in alerts:
        episode = alert.episode
        since = rfc3339(alert.fired_at)
        until = rfc3339(episode.resolved_at) if episode.resolved_at else "still firing at the end"
        where = of_series(episode.series.claim, episode.series.segment)
        console.print(
            f"\n{named(episode.series.model, episode.series.version)}{where}: "
            f"{episode.direction}, by the {episode.cause}\n"
            f"  {since} to {until}\n  {alert.verdict.reason}"
            f"{_end(alert)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _end(alert: BacktestAlert) -> str:
    """Why an episode ended, where it was not by itself."""
    restart = alert.ended.evidence.restart if alert.ended is not None else None
    if restart is None or restart.taken_at <= alert.episode.began_at:
        return ""
    return f"\n  Ended by {restart_words(restart)}."
