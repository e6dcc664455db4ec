"""`calmon ack` and `calmon silence`: people's answers to alerts.

Guarantees: every answer carries who gave it and why, and stays on record. Must never: hold logic
of its own beyond words and tables.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.database import database
from monitor.cli.options import AsJson, ConfigPath
from monitor.cli.signed import this_user
from monitor.config import load
from monitor.config.times import parse_moment, parse_span
from monitor.core.episode.silences import Acknowledgement, Matcher, Silence
from monitor.core.verdicts import rfc3339
from monitor.store.history import HistoryStore

if TYPE_CHECKING:
    from monitor.store.interactions import StoredSilence

silence = typer.Typer(
    help="Alerts of which no notification is sent for a while.", no_args_is_help=True
)

Author = Annotated[str | None, typer.Option(help="Who says so; default: the user of this process.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for whoever reads the history.")]


def ack(
    alert: Annotated[
        str, typer.Argument(help="Id of the alert's group, or fingerprint of one of its series.")
    ],
    reason: Why,
    author: Author = None,
    config_path: ConfigPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take an alert on: no reminders until it gets worse or another series joins."""
    said = Acknowledgement(alert, author or this_user(), reason, datetime.now(UTC))
    group = _history(config_path).acknowledge(said)
    found = {
        "group_id": group.group_id,
        "model": group.model,
        "author": said.author,
        "reason": said.reason,
        "acknowledged_at": rfc3339(said.at),
    }
    typer.echo(
        json.dumps(found) if as_json else f"acknowledged: {group.model}, group {group.group_id}"
    )


@silence.command("add")
def add(  # noqa: PLR0913  # one parameter an option
    matchers: Annotated[
        list[str],
        typer.Argument(
            help="Conditions that must all be met: label=value, or label=~regex, of "
            "model, version, claim, segment, team and severity."
        ),
    ],
    *,
    reason: Why,
    lasting: Annotated[
        str | None, typer.Option("--for", help="How long, as 2h or 1d; from now or from --start.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when, instead of --for.")] = None,
    start: Annotated[str | None, typer.Option(help="From when on; default: now.")] = None,
    author: Author = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Send nothing of matching alerts for a while; when it is over, what still fires is told."""
    now = datetime.now(UTC)
    starts_at = now if start is None else parse_moment(start)
    if (lasting is None) == (until is None):
        message = "say how long: give either --for or --until"
        raise ValueError(message)
    ends_at = starts_at + parse_span(lasting) if lasting is not None else parse_moment(until)
    said = Silence(
        tuple(Matcher.parse(text) for text in matchers),
        author or this_user(),
        reason,
        starts_at,
        ends_at,
    )
    if ends_at <= now:
        message = f"the silence would be over already, at {rfc3339(ends_at)}; give a later end"
        raise ValueError(message)
    silence_id, quiet = _history(config_path).silence(said, now)
    if as_json:
        typer.echo(json.dumps({"silence_id": silence_id, "silent": [g.group_id for g in quiet]}))
        return
    open_now = ", ".join(group.model for group in quiet) or "none"
    typer.echo(f"silence {silence_id} until {rfc3339(ends_at)}; open alerts it covers: {open_now}")


@silence.command("list")
def list_silences(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List silences that hold or will hold."""
    now = datetime.now(UTC)
    found = _history(config_path).silences(None if everything else now)
    if as_json:
        typer.echo(json.dumps({"silences": [_json(one, now) for one in found]}))
        return
    table = Table(title="silences", title_justify="left")
    for name in ("id", "state", "what", "until", "by", "why"):
        table.add_column(name)
    for one in found:
        shown = _json(one, now)
        what = ", ".join(str(matcher) for matcher in one.silence.matchers)
        until = rfc3339(one.expired_at or one.silence.ends_at)
        cells = [str(one.silence_id), shown["state"], what, until]
        table.add_row(*map(str, [*cells, one.silence.author, one.silence.reason]))
    Console().print(table, markup=False)


@silence.command()
def expire(
    silence_id: int,
    reason: Why,
    author: Author = None,
    config_path: ConfigPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """End a silence now; what still fires is told."""
    now = datetime.now(UTC)
    who = author or this_user()
    found = _history(config_path).expire_silence(silence_id, who, reason, now)
    typer.echo(json.dumps(_json(found, now)) if as_json else f"silence {silence_id} is over")


def _json(one: StoredSilence, now: datetime) -> dict[str, object]:
    said = one.silence
    state = "active" if one.is_active(now) else "to come" if one.will_hold(now) else "over"
    return {
        "silence_id": one.silence_id,
        "state": state,
        "matchers": [str(matcher) for matcher in said.matchers],
        "author": said.author,
        "reason": said.reason,
        "starts_at": rfc3339(said.starts_at),
        "ends_at": rfc3339(said.ends_at),
        "expired_at": rfc3339(one.expired_at) if one.expired_at else None,
        "expired_by": one.expired_by,
    }


def _history(config_path: Path | None) -> HistoryStore:
    return HistoryStore(database(load(config_path, os.environ), "alerts"))
