"""`calmon baseline`: what models are compared with, and a person's word on it.

Guarantees: a decision is a row with its author and reason, and the watcher alone acts on it; what
would concern no series is refused with the mend. Must never: change a baseline that stands.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.database import database
from monitor.cli.event_files import read_labelled
from monitor.cli.options import AsJson, ConfigPath
from monitor.cli.signed import Author, Reason, require_signature
from monitor.config import Settings, load
from monitor.config.times import parse_moment
from monitor.core.claims import POSITIVE
from monitor.core.episode.episodes import EpisodeState
from monitor.core.judging.restarts import ACCEPTED, RESET
from monitor.core.verdicts import as_plain
from monitor.core.wording import one_line
from monitor.store.announcements import Decision
from monitor.store.history import HistoryStore
from monitor.watch.baselines import baseline_from, baselines_from
from monitor.watch.clock import Clock
from monitor.watch.counting import Events

if TYPE_CHECKING:
    from monitor.store.judgements import Standing

DRIFTS = (EpisodeState.PENDING, EpisodeState.FIRING, EpisodeState.NO_DATA)
"""States in which a drift that was found may still hold."""

app = typer.Typer(help="What models are compared with.", no_args_is_help=True)

VersionOption = Annotated[str | None, typer.Option("--version", help="This version alone.")]
SegmentOption = Annotated[
    str | None,
    typer.Option("--segment", help="This segment alone, as country=DE; empty: all traffic."),
]


@app.command("import")
def import_(
    model: str,
    version: str,
    file: Annotated[
        Path, typer.Argument(help="Validation rows: score, or another kind's columns; label, ts.")
    ],
    author: Annotated[str, typer.Option(help="Who pins it.")],
    config_path: ConfigPath = None,
) -> None:
    """Pin a model version's baseline from a validation file."""
    settings = load(config_path, os.environ)
    history = _history(settings)
    policy = settings.policy_for(model) or settings.defaults
    read = read_labelled(file)
    if isinstance(read, Events):
        pinned, holds_from = baselines_from(model, version, read, policy)
    else:
        one, holds_from = baseline_from(model, version, read.score, read.label, read.ts_ms, policy)
        pinned = [one]
    # It stands in for whatever came of restarts before it.
    announced = history.announced([model]).get(model, [])
    taken = [each.told.taken_at for each in announced if each.is_taken]
    for each in pinned:
        history.pin(each, max([holds_from, *taken]), author)
        claim = "" if each.series.claim == POSITIVE else f", {each.series.claim}"
        n = each.counts.n_labelled
        typer.echo(f"pinned {n} labels as the baseline of {model} {version}{claim}")
    if isinstance(read, Events):
        left = set(policy.claims.names) - {each.series.claim for each in pinned}
        for claim in sorted(left):
            typer.echo(f"{claim}: fewer labels than min_labels {policy.min_labels}; none pinned")


@app.command()
def accept(  # noqa: PLR0913  # one parameter an option
    model: str,
    reason: Reason,
    author: Author,
    *,
    version: VersionOption = None,
    segment: SegmentOption = None,
    since: Annotated[
        str | None,
        typer.Option(help="Since when it is the new normal; default: since each drift began."),
    ] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take open drifts as the new normal: they are resolved, and their cohorts are the baseline."""
    settings = load(config_path, os.environ)
    history = _history(settings)
    since_at = None if since is None else parse_moment(since)
    firing = [
        each
        for each in _concerned(history, model, version, segment)
        if each.episode is not None and each.episode.is_drift and each.episode.state in DRIFTS
    ]
    if not firing:
        message = f"no drift of {model} is open there; to give a baseline up, use `baseline reset`"
        raise ValueError(message)
    at = _now(settings, history, model)
    decision = Decision(model, ACCEPTED, version, segment, reason, author, since_at, at)
    _decide(history, decision, firing, as_json=as_json)


@app.command()
def reset(  # noqa: PLR0913  # one parameter an option
    model: str,
    reason: Reason,
    author: Author,
    *,
    version: VersionOption = None,
    segment: SegmentOption = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give baselines up: new ones are collected from now on, and open drifts are resolved."""
    settings = load(config_path, os.environ)
    history = _history(settings)
    concerned = _concerned(history, model, version, segment)
    at = _now(settings, history, model)
    decision = Decision(model, RESET, version, segment, reason, author, None, at)
    _decide(history, decision, concerned, as_json=as_json)


def _concerned(
    history: HistoryStore, model: str, version: str | None, segment: str | None
) -> list[Standing]:
    """Series that are meant; raises ValueError, with what there is, for none."""
    judged = history.standings([model])
    found = [
        each
        for each in judged
        if version in {None, each.series.version} and segment in {None, each.series.segment}
    ]
    if not judged:
        message = f"{one_line(model)} has not been judged yet; `calmon status` lists what has"
        raise ValueError(message)
    if not found:
        there = ", ".join(_named(each) for each in judged)
        message = f"no series of {model} is meant; there are: {there}"
        raise ValueError(message)
    return found


def _decide(
    history: HistoryStore, decision: Decision, concerned: list[Standing], *, as_json: bool
) -> None:
    require_signature(decision.author, decision.reason)
    history.decide(decision)
    if as_json:
        names = [
            {"version": each.series.version, "segment": each.series.segment or None}
            for each in concerned
        ]
        typer.echo(json.dumps({"decision": as_plain(decision), "series": names}))
        return
    named = ", ".join(_named(each) for each in concerned)
    typer.echo(f"{decision.kind}: {named}; the next tick takes it")


def _named(standing: Standing) -> str:
    series = standing.series
    return one_line(f"version {series.version}" + (f" {series.segment}" if series.segment else ""))


def _now(settings: Settings, history: HistoryStore, model: str) -> datetime:
    """Event time of a decision: now, or how far the model was judged on the event clock."""
    if Clock(settings.clock) is Clock.EVENT:
        return history.judged_through().get(model, datetime.now(UTC))
    return datetime.now(UTC)


def _history(settings: Settings) -> HistoryStore:
    return HistoryStore(database(settings, "baseline"))
