"""`calmon compare`: which of two models is the more honest, and what else differs.

Guarantees: rows are paired where at least half of the smaller side's labelled ones have the same
prediction id, and it is said whether they were. Must never: change anything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console

from monitor.cli.database import database
from monitor.cli.decision_options import (
    Asked,
    Cutoff,
    FalseNegative,
    FalsePositive,
    PolicyPath,
    model_and_version,
)
from monitor.cli.event_files import is_data_file, read_events, read_scored
from monitor.cli.options import AsJson
from monitor.config import Settings, load
from monitor.core.bins import BinCounts
from monitor.core.claims import WHOLE
from monitor.core.comparing import compare_paired, compare_unpaired
from monitor.printing import comparison as compare_printing
from monitor.store.history import HistoryStore
from monitor.store.panes import PaneStore
from monitor.watch.labelled_rows import LabelledRows, labelled_rows, paired
from monitor.watch.observed_spans import newest_windows

if TYPE_CHECKING:
    from collections.abc import Collection

    from monitor.core.comparing import Comparison
    from monitor.core.decisions import DecisionPolicy
    from monitor.watch.counting import Events

    Decisions = tuple[DecisionPolicy, DecisionPolicy] | None

PAIRED_SHARE = 0.5
"""Least share of the smaller side's labelled rows that must match to compare them in pairs."""


def compare(  # noqa: PLR0913  # one parameter an option
    a: Annotated[str, typer.Argument(help="A file, a model, or a version as MODEL@VERSION.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    *,
    predictions: Annotated[
        Path | None, typer.Option(help="Predictions of both models, A and B being names in it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of the predictions; else files hold labels.")
    ] = None,
    policy_path: PolicyPath = None,
    cutoff: Cutoff = None,
    cost_false_positive: FalsePositive = None,
    cost_false_negative: FalseNegative = None,
    as_json: AsJson = False,
) -> None:
    """Say which of two models is the more honest, with every difference and its interval."""
    settings = load(policy_path, os.environ)
    asked = Asked(cutoff, cost_false_positive, cost_false_negative)
    if predictions is not None and labels is None:
        message = "--predictions needs --labels, the labels of these predictions"
        raise ValueError(message)
    files = is_data_file(Path(a)), is_data_file(Path(b))
    if predictions is None and files[0] != files[1]:
        message = f"{a} and {b} are a file and a name; give two files, or two names"
        raise ValueError(message)
    if predictions is not None and labels is not None:
        events = read_events(predictions, labels)
        known = set(events.model)
        rows = [_of_name(events, *model_and_version(each, known), each) for each in (a, b)]
        models = [model_and_version(each, known)[0] for each in (a, b)]
        found = _of_rows(rows[0], rows[1], _decisions(settings, models, asked))
    elif files[0]:
        both = [_of_file(Path(each), labels) for each in (a, b)]
        found = _of_rows(both[0][1], both[1][1], _decisions(settings, [m for m, _ in both], asked))
    else:
        found = _of_database(settings, a, b, asked)
    if as_json:
        typer.echo(json.dumps(compare_printing.compare_json(a, b, found)))
    else:
        compare_printing.print_comparison(Console(), a, b, found)


def _of_rows(a: LabelledRows, b: LabelledRows, decisions: Decisions) -> Comparison:
    pairs = paired(a, b)
    smaller = min(len(a.score), len(b.score))
    if pairs is not None and len(pairs.outcome) >= max(1, PAIRED_SHARE * smaller):
        return compare_paired(pairs, decisions)
    return compare_unpaired(a.counts(), b.counts(), decisions)


def _of_file(file: Path, labels: Path | None) -> tuple[str, LabelledRows]:
    """Model and rows of one file, with its labels in it or beside it."""
    if labels is None:
        scored = read_scored(file)
        rows = LabelledRows(scored.prediction_id, scored.score, scored.label == 1)
        _refuse_twice(file, scored.prediction_id)
        return _only(file, [] if scored.model is None else set(scored.model)), rows
    events = read_events(file, labels)
    model = _only(file, set(events.model))
    return model, labelled_rows(events, model)


def _only(file: Path, models: Collection[str]) -> str:
    if len(models) > 1:
        message = (
            f"{file} holds several models ({', '.join(sorted(models)[:5])}); name two of them: "
            f"calmon compare A B --predictions {file} --labels ..."
        )
        raise ValueError(message)
    return next(iter(models), str(file))


def _refuse_twice(file: Path, ids: np.ndarray | None) -> None:
    if ids is not None and len(np.unique(ids)) < len(ids):
        message = f"{file} has prediction ids more than once; give every row its own"
        raise ValueError(message)


def _of_name(events: Events, model: str, version: str | None, name: str) -> LabelledRows:
    rows = labelled_rows(events, model, version)
    if not len(rows.score):
        there = ", ".join(sorted(set(events.model))[:10])
        message = f"no labelled predictions of {name}; the file holds {there}"
        raise ValueError(message)
    return rows


def _of_database(settings: Settings, a: str, b: str, asked: Asked) -> Comparison:
    """The newest judged windows of two series, as histograms."""
    engine = database(settings, "compare")
    panes, history = PaneStore(engine), HistoryStore(engine)
    known = panes.models()
    counts, models = [], []
    for name in (a, b):
        model, version = model_and_version(name, known)
        policy = settings.policy_for(model) or settings.defaults
        windows = newest_windows(panes, history, policy, model, version)
        mine = [o for series, o in windows.items() if series.segment == WHOLE]
        if not mine:
            message = f"no window of {name} was judged yet; `calmon status` says which models were"
            raise ValueError(message)
        counts.append(sum((c for o in mine for c in o.cohorts), BinCounts.empty()))
        models.append(model)
    return compare_unpaired(counts[0], counts[1], _decisions(settings, models, asked))


def _decisions(settings: Settings, models: list[str], asked: Asked) -> Decisions:
    """What hangs on each model's scores; None unless it is said of both."""
    policies = [settings.policy_for(model) or settings.defaults for model in models]
    a, b = (asked.over(policy.decision) for policy in policies)
    return None if a is None or b is None else (a, b)
