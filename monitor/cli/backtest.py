"""`calmon backtest`: the alerts that two files would have raised.

Guarantees: the watch and its decisions are the daemon's own. Must never: ask for a server.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor.cli.event_files import read_events
from monitor.cli.options import AsJson, Labels, Predictions
from monitor.config import load
from monitor.core.policies import Policy
from monitor.printing.backtest import print_backtest
from monitor.watch import backtest as backtests
from monitor.watch.counting import series_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.events import ChangeEvent
    from monitor.core.judging.fleet import Fleet


def backtest(  # noqa: PLR0913  # one parameter an option
    predictions: Predictions,
    labels: Labels,
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="Configuration file with the policies.")
    ] = None,
    changes: Annotated[
        Path | None, typer.Option(help="Change events, a JSON object a line, as on the topic.")
    ] = None,
    *,
    as_json: AsJson = False,
    by_version: Annotated[bool, typer.Option("--by-version", help="A report a version.")] = False,
) -> None:
    """Say which alerts would have fired: the monitor over two files, without servers."""
    policy_for, fleet = _policies(policy)
    announced = _changes(changes)
    events = read_events(predictions, labels)
    counted, given, alerts = backtests.backtest(events, policy_for, announced, fleet)
    reports = series_reports(counted, by_version=by_version)
    if as_json:
        shown = {"series": reports, "alerts": [alert.as_json() for alert in alerts]}
        typer.echo(json.dumps(shown))
    else:
        print_backtest(Console(), reports, given, alerts)


def _policies(path: Path | None) -> tuple[Callable[[str], Policy], Fleet | None]:
    if path is None:
        return lambda _: Policy(), None
    settings = load(path, os.environ)
    return lambda model: settings.policy_for(model) or settings.defaults, settings.fleet


def _changes(path: Path | None) -> Sequence[ChangeEvent]:
    if path is None:
        return ()
    from monitor.ingest.change_files import read_changes  # noqa: PLC0415  # Arrow; rarely asked for

    return read_changes(path)
