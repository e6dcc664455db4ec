"""What commands print for people: tables, a progress bar and the state of every model.

Guarantees: what is printed comes from the same values as the JSON forms. Must never: compute.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from monitor.core.claim_tables import claim_tables, is_levelled, worst_segments
from monitor.core.claims import POSITIVE
from monitor.core.due import due_words
from monitor.core.reports import report_table
from monitor.core.restarts import restart_words
from monitor.core.verdicts import rfc3339
from monitor.printing.alerts import alert_words, alerts_json, print_alerts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.core.delay_advice import LabelAdvice
    from monitor.core.due import Due
    from monitor.core.reports import SeriesReport
    from monitor.ingest.replay import Progress as Published
    from monitor.store.history import HistoryStore, Standing
    from monitor.store.panes import PaneStore
    from monitor.watch.backtest import BacktestAlert
    from monitor.watch.following import Judged

Json = dict[str, object]

_COLOURS = {"OK": "green", "DRIFTED": "bold red", "INSUFFICIENT": "yellow", "NO_DATA": "yellow"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar on stderr; `say` prints above it."""

    bar: Progress
    task: TaskID

    def update(self, published: Published) -> None:
        """Show how many events went out, and the day that they have reached."""
        day = datetime.fromtimestamp(published.ts_ms / 1000, UTC).date().isoformat()
        self.bar.update(self.task, completed=published.published, description=f"events of {day}")

    def say(self, text: str) -> None:
        """Print a text as it is."""
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Bar]:
    """A bar for `total` events."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Bar(bar, bar.add_task("publishing", total=total))


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
            _named(report["model"], report["version"]),
            *([report["claim"]] if kinds else []),
            str(report["segment"] or "all"),
            str(report["n"]),
            _figure(report.get("coverage")),
            _figure(metrics["ece_15"]),
            _figure(metrics["ece_debiased"]),
        )
    console.print(table)
    for line in worst_segments(reports):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{len(alerts)} alerts in {len(given)} verdicts", highlight=False)
    for alert in alerts:
        episode = alert.episode
        since = rfc3339(alert.fired_at)
        until = rfc3339(episode.resolved_at) if episode.resolved_at else "still firing at the end"
        where = _of_series(episode.series.claim, episode.series.segment)
        console.print(
            f"\n{_named(episode.series.model, episode.series.version)}{where}: "
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


def advice_json(advice: Sequence[LabelAdvice]) -> list[Json]:
    """Advice on labels as plain JSON."""
    return [asdict(each) for each in advice]


def print_advice(console: Console, advice: Sequence[LabelAdvice]) -> None:
    """What is known of each model version's labels, in sentences."""
    for each in advice:
        text = f"labels of {_named(each.model, each.version)}: {' '.join(each.words)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def status_json(history: HistoryStore, panes: PaneStore, model: str | None = None) -> Json:
    """State of every series, how far each partition was read, and what was not counted.

    model: only its series.
    """
    return {
        "series": standings_json(history.standings(None if model is None else [model])),
        "alerts": alerts_json(history.answers(datetime.now(UTC)), model),
        "partitions": [
            {
                "topic": reading.topic,
                "partition": reading.partition,
                "counted_through_at": rfc3339(at) if (at := reading.counted_through_at) else None,
            }
            for reading in panes.readings()
        ],
        "tallies": [
            {"model": model, "kind": kind, "events": n} for model, kind, n in history.tallies()
        ],
        "dead_letters": history.dead_letters(),
    }


def standings_json(standings: Sequence[Standing]) -> list[Json]:
    """State of series: those that drifted first, then those nearest to an alarm."""
    return sorted(map(_standing_json, standings), key=_nearness, reverse=True)


def print_status(console: Console, found: Json) -> None:
    """The state table."""
    table = Table(title="models", title_justify="left")
    series = found["series"]
    if not isinstance(series, list):  # pragma: no cover  # status_json makes a list
        raise TypeError
    shared = any(one["budget"] for one in series)
    kinds = any(one["claim"] != POSITIVE for one in series)
    columns = ["segment", "state", "alert", "ECE", "baseline", "labels", "evidence"]
    columns = ["model", *(["claim"] if kinds else []), *columns]
    for name in [*columns, *(["budget"] if shared else []), "as of"]:
        table.add_column(name)
    for one in series:
        table.add_row(
            _named(one["model"], one["version"]),
            *([one["claim"]] if kinds else []),
            one["segment"] or "all",
            f"[{_COLOURS[one['status']]}]{one['status']}[/]",
            alert_words(one["episode"]),
            _with_interval(one["ece_debiased"], one["ece_debiased_low"], one["ece_debiased_high"]),
            _figure(one["baseline_ece_debiased"]),
            str(one["labels"]),
            _evidence_words(one["of_alarm_at"], one["alarm_at"]),
            *([_share_words(one["budget"])] if shared else []),
            one["evaluated_at"],
        )
    console.print(table)
    print_alerts(console, found.get("alerts"))
    for one in series:
        where = _of_series(one["claim"], one["segment"])
        name = _named(one["model"], one["version"])
        console.print(f"{name}{where}: {one['reason']}", markup=False, highlight=False)
    tallies = found["tallies"]
    for tally in tallies if isinstance(tallies, list) else []:
        kind = tally["kind"].replace("_", " ")
        console.print(f"{tally['model']}: {tally['events']} x {kind}", highlight=False)
    console.print(f"dead letters: {found['dead_letters']}", highlight=False)


def print_due(console: Console, schedule: Sequence[Due]) -> None:
    """What is overdue, and what a change asks for."""
    for found in schedule:
        series = found.series
        name = _named(series.model, series.version) + _of_series(series.claim, series.segment)
        words = due_words(found, name)
        if words is not None:
            console.print(words, markup=False, highlight=False, soft_wrap=True)


def _standing_json(standing: Standing) -> Json:
    window, before = standing.evidence.get("window"), standing.evidence.get("baseline")
    ranked = standing.evidence.get("ranking")
    now = window if isinstance(window, dict) else {}
    then = before if isinstance(before, dict) else {}
    rank = ranked if isinstance(ranked, dict) else {}
    episode = standing.episode
    return {
        "model": standing.series.model,
        "version": standing.series.version,
        "claim": standing.series.claim,
        "segment": standing.series.segment or None,
        "status": standing.status,
        "reason": standing.reason,
        "evaluated_at": rfc3339(standing.evaluated_at),
        "labels": now.get("n"),
        "ece_15": now.get("ece_15"),
        "ece_debiased": now.get("ece_debiased"),
        "ece_debiased_low": now.get("ece_debiased_low"),
        "ece_debiased_high": now.get("ece_debiased_high"),
        "gap": now.get("gap"),
        "slope": now.get("slope"),
        "brier": now.get("brier"),
        "auroc": now.get("auroc"),
        "auroc_low": rank.get("auroc_low"),
        "auroc_high": rank.get("auroc_high"),
        "use": rank.get("use"),
        "direction": standing.evidence.get("direction"),
        "cause": standing.evidence.get("cause"),
        "baseline_ece_debiased": then.get("ece_debiased"),
        "alarm_at": standing.evidence.get("alarm_at"),
        "of_alarm_at": _of_alarm_at(standing.evidence),
        "budget": standing.evidence.get("budget"),
        "episode": None
        if episode is None
        else {
            "episode_id": episode.episode_id,
            "state": str(episode.state),
            "severity": str(episode.severity),
            "fired_at": rfc3339(episode.fired_at) if episode.fired_at else None,
            "resolved_at": rfc3339(episode.resolved_at) if episode.resolved_at else None,
        },
    }


def _of_alarm_at(evidence: Json) -> float | None:
    """Evidence over the threshold; 1 where it was reached."""
    e_value, alarm_at = evidence.get("e_value"), evidence.get("alarm_at")
    if not isinstance(e_value, int | float) or not isinstance(alarm_at, int | float):
        return None
    return e_value / alarm_at


def _nearness(series: Json) -> tuple[bool, float]:
    """Drifted series first, then those nearest to an alarm."""
    reached = series["of_alarm_at"]
    return series["status"] == "DRIFTED", reached if isinstance(reached, float) else -1.0


def _evidence_words(reached: object, alarm_at: object) -> str:
    """Evidence and threshold: `0.12 of 3.1e+06`."""
    if not isinstance(alarm_at, int | float):
        return "-"
    return (
        f"{reached:.2g} of {alarm_at:.3g}" if isinstance(reached, float) else f"- of {alarm_at:.3g}"
    )


def _share_words(budget: object) -> str:
    """Part of the fleet's budget: `0.0018 a month`."""
    if not isinstance(budget, dict):
        return "-"
    return f"{budget['false_alarms_per_month']:.2g} a month"


def _named(model: object, version: object) -> str:
    return f"{model} {version}" if version else str(model)


def _of_series(claim: str, segment: str | None) -> str:
    """Claim and segment after a model's name, where they are not the ordinary ones."""
    return "".join(f" {part}" for part in (claim if claim != POSITIVE else "", segment) if part)


def _with_interval(value: object, low: object, high: object) -> str:
    if not isinstance(low, float) or not isinstance(high, float):
        return _figure(value)
    return f"{_figure(value)} ({_figure(low)} to {_figure(high)})"


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-"
