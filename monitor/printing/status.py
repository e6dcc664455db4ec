"""The state of every model, as JSON, as tables and in sentences.

Guarantees: what is printed comes from the same values as the JSON forms. Must never: compute.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from monitor.core.claims import POSITIVE
from monitor.core.judging.due import due_words
from monitor.core.verdicts import rfc3339
from monitor.printing.alerts import alert_words, alerts_json, print_alerts
from monitor.printing.words import figure, named, of_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from monitor.core.judging.due import Due
    from monitor.store.history import HistoryStore
    from monitor.store.judgements import Standing
    from monitor.store.panes import PaneStore

Json = dict[str, object]

_COLOURS = {"OK": "green", "DRIFTED": "bold red", "INSUFFICIENT": "yellow", "NO_DATA": "yellow"}


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
            named(one["model"], one["version"]),
            *([one["claim"]] if kinds else []),
            one["segment"] or "all",
            f"[{_COLOURS[one['status']]}]{one['status']}[/]",
            alert_words(one["episode"]),
            _with_interval(one["ece_debiased"], one["ece_debiased_low"], one["ece_debiased_high"]),
            figure(one["baseline_ece_debiased"]),
            str(one["labels"]),
            _evidence_words(one["of_alarm_at"], one["alarm_at"]),
            *([_share_words(one["budget"])] if shared else []),
            one["evaluated_at"],
        )
    console.print(table)
    print_alerts(console, found.get("alerts"))
    for one in series:
        where = of_series(one["claim"], one["segment"])
        name = named(one["model"], one["version"])
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
        name = named(series.model, series.version) + of_series(series.claim, series.segment)
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


def _with_interval(value: object, low: object, high: object) -> str:
    if not isinstance(low, float) or not isinstance(high, float):
        return figure(value)
    return f"{figure(value)} ({figure(low)} to {figure(high)})"
