"""`calmon status`: every model's state, and of one model all that is known now.

Must never: change anything.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor.cli.database import database
from monitor.cli.options import AsJson, ConfigPath
from monitor.config import load
from monitor.printing.reports import advice_json, print_advice, print_claims, print_lines
from monitor.printing.status import print_due, print_status, status_json
from monitor.store.history import HistoryStore
from monitor.store.labelled_samples import LabelledSampleStore
from monitor.store.panes import PaneStore
from monitor.watch.advice import stored_advices
from monitor.watch.schedule import stored_due
from monitor.watch.stored_reports import stored_reports
from monitor.watch.stored_samples import findings_json, findings_words, sample_findings

if TYPE_CHECKING:
    from monitor.core.delay.delay_advice import LabelAdvice
    from monitor.core.report.reports import SeriesReport
    from monitor.watch.stored_samples import SampleFindings


def status(
    model: Annotated[
        str | None, typer.Argument(help="One model, with its labels' delays and a fresh view.")
    ] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print every model's state."""
    settings = load(config_path, os.environ)
    engine = database(settings, "status")
    panes = PaneStore(engine)
    history = HistoryStore(engine)
    found = status_json(history, panes, model)
    schedule = stored_due(
        history, panes, model, lambda m: settings.policy_for(m) or settings.defaults
    )
    found["due"] = [each.as_json() for each in schedule]
    advice: list[LabelAdvice] = []
    reports: list[SeriesReport] = []
    sample: list[SampleFindings] = []
    if model is not None:
        reports = stored_reports(panes, model)
        found["claims"] = reports
        sample = sample_findings(LabelledSampleStore(engine), model)
        found |= findings_json(sample)
        advice = stored_advices(panes, model, settings.policy_for(model) or settings.defaults)
        found["label_delays"] = advice_json(advice)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        print_status(Console(), found)
        print_due(Console(), schedule)
        print_claims(Console(), reports)
        print_lines(Console(), findings_words(sample))
        print_advice(Console(), advice)
