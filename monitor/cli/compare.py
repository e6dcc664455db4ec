"""`calmon compare`: which of two models, or of two claims, is the more honest, and what differs.

Guarantees: rows are paired where at least half of the smaller side's labelled ones have the same
prediction id, and it is said whether they were. Must never: change anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
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
from monitor.cli.event_files import is_data_file, read_events, read_with_ids
from monitor.cli.options import AsJson
from monitor.config import Settings, load
from monitor.core.bins import BinCounts
from monitor.core.claims import POSITIVE, WHOLE
from monitor.core.decision.comparing import MIN_LABELS, compare_paired, compare_unpaired
from monitor.core.decision.comparing_levels import compare_coverage, compare_levels
from monitor.core.kinds import TOP_LABEL, level_of
from monitor.printing import comparison as compare_printing
from monitor.store.history import HistoryStore
from monitor.store.panes import PaneStore
from monitor.watch.counting import Events
from monitor.watch.labelled_rows import LabelledRows, is_own, labelled_rows, matched, pairs_of
from monitor.watch.observed_spans import newest_windows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from monitor.core.decision.comparing import Comparison
    from monitor.core.decisions import DecisionPolicy

    Decisions = tuple[DecisionPolicy, DecisionPolicy] | None

PAIRED_SHARE = 0.5
"""Least share of the smaller side's labelled rows that must match to compare them in pairs."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: a file or a model, its claim, and what it is called."""

    what: str
    claim: str | None
    name: str


def compare(  # noqa: PLR0913  # one parameter an option
    a: Annotated[str, typer.Argument(help="A file, a model, or a version as MODEL@VERSION.")],
    b: Annotated[
        str | None, typer.Argument(help="The other one; default: A, by its claim --against.")
    ] = None,
    *,
    predictions: Annotated[
        Path | None, typer.Option(help="Predictions of both models, A and B being names in it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of the predictions; else files hold labels.")
    ] = None,
    claim: Annotated[
        str | None,
        typer.Option("--claim", help="Of several kinds of confidence this one, as interval:0.9."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="B's claim, if it is another, as confidence:judge."),
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
    sides = _sides(a, b, claim, against)
    files = [is_data_file(Path(side.what)) for side in sides]
    if predictions is None and files[0] != files[1]:
        message = f"{a} and {b} are a file and a name; give two files, or two names"
        raise ValueError(message)
    if predictions is not None and labels is not None:
        events = read_events(predictions, labels)
        found = _of_rows(settings, sides, [_of_name(events, side) for side in sides], asked)
    elif files[0]:
        rows = [_of_file(side, labels, is_same=_is_same(sides)) for side in sides]
        found = _of_rows(settings, sides, rows, asked)
    else:
        found = _of_database(settings, sides, asked)
    names = sides[0].name, sides[1].name
    if as_json:
        typer.echo(json.dumps(compare_printing.compare_json(*names, found)))
    else:
        compare_printing.print_comparison(Console(), *names, found)


def _sides(a: str, b: str | None, claim: str | None, against: str | None) -> tuple[Side, Side]:
    """Both sides; two claims of one thing are called by the claims."""
    other = claim if against is None else against
    if claim is None and against is not None:
        message = "--against is B's claim; give A's with --claim"
        raise ValueError(message)
    if claim is not None and claim != other and {level_of(claim), level_of(str(other))} != {None}:
        message = f"{claim} and {other} promise different things; compare one level of two models"
        raise ValueError(message)
    if b is None or b == a:
        if claim is None or other == claim:
            message = (
                "give a second file or model to compare with, or two claims of one: --claim "
                "confidence:judge --against confidence:token_prob"
            )
            raise ValueError(message)
        return Side(a, claim, str(claim)), Side(a, other, str(other))
    return Side(a, claim, a), Side(b, other, b)


def _is_same(sides: tuple[Side, Side]) -> bool:
    return sides[0].what == sides[1].what


def _of_rows(
    settings: Settings,
    sides: tuple[Side, Side],
    there: Sequence[tuple[str, LabelledRows]],
    asked: Asked,
) -> Comparison:
    (model_a, a), (model_b, b) = there
    if sides[0].claim is None and a.claim != b.claim:
        message = (
            f"{sides[0].name} claims {a.claim}, {sides[1].name} {b.claim}; give two of one kind, "
            "or name what to compare with --claim and --against"
        )
        raise ValueError(message)
    decisions = _decisions(settings, [model_a, model_b], asked)
    rows = matched(a, b)
    smaller = min(len(a.score), len(b.score))
    _refuse_few(sides[0].name, len(a.score))
    _refuse_few(sides[1].name, len(b.score))
    if rows is not None and len(rows.row_a) >= max(1, PAIRED_SHARE * smaller):
        _refuse_few(f"{sides[0].name} and {sides[1].name} together", len(rows.row_a))
        if a.covered is not None and b.covered is not None:
            covered = a.covered.take(rows.row_a), b.covered.take(rows.row_b)
            return compare_levels(*covered, a.claim, paired=True)
        return compare_paired(pairs_of(a, b, rows), decisions)
    if a.covered is not None and b.covered is not None:
        return compare_levels(a.covered, b.covered, a.claim, paired=False)
    return compare_unpaired(a.counts(), b.counts(), decisions, own=is_own(a.claim))


def _refuse_few(name: str, n: int) -> None:
    if n < MIN_LABELS:
        message = f"{name}: {n} labelled rows to compare on; {MIN_LABELS} are needed"
        raise ValueError(message)


def _of_file(side: Side, labels: Path | None, *, is_same: bool) -> tuple[str, LabelledRows]:
    """Model and rows of one file, with its labels in it or beside it."""
    file = Path(side.what)
    if labels is not None:
        events = read_events(file, labels)
        model = _only(file, set(events.model))
        return model, labelled_rows(events, model, claim=side.claim)
    found, ids = read_with_ids(file)
    _refuse_twice(file, ids)
    if isinstance(found, Events):
        model = _only(file, set(found.model))
        if ids is not None:
            found = replace(found, prediction_id=ids, label_id=ids)
        rows = labelled_rows(found, model, claim=side.claim)
        # Rows of another file that happen to have the same number are no pair.
        return model, rows if ids is not None or is_same else replace(rows, ids=None)
    if side.claim not in {None, POSITIVE}:
        message = f"{file} holds binary scores; they make no claim {side.claim}"
        raise ValueError(message)
    rows = LabelledRows(ids, found.score, found.label == 1)
    return _only(file, [] if found.model is None else set(found.model)), rows


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


def _of_name(events: Events, side: Side) -> tuple[str, LabelledRows]:
    model, version = model_and_version(side.what, set(events.model))
    rows = labelled_rows(events, model, version, side.claim)
    if not len(rows.score):
        there = ", ".join(sorted(set(events.model))[:10])
        message = f"no labelled predictions of {side.name}; the file holds {there}"
        raise ValueError(message)
    return model, rows


def _of_database(settings: Settings, sides: tuple[Side, Side], asked: Asked) -> Comparison:
    """The newest judged windows of two series, as histograms."""
    engine = database(settings, "compare")
    panes, history = PaneStore(engine), HistoryStore(engine)
    known = panes.models()
    counts, models, claims = [], [], []
    for side in sides:
        model, version = model_and_version(side.what, known)
        policy = settings.policy_for(model) or settings.defaults
        windows = newest_windows(panes, history, policy, model, version)
        whole = {series: o for series, o in windows.items() if series.segment == WHOLE}
        if not whole:
            message = (
                f"no window of {side.what} was judged yet; `calmon status` says which models were"
            )
            raise ValueError(message)
        claim = _meant(side, {series.claim for series in whole})
        mine = [o for series, o in whole.items() if series.claim == claim]
        counts.append(sum((c for o in mine for c in o.cohorts), BinCounts.empty()))
        models.append(model)
        claims.append(claim)
        _refuse_few(side.name, counts[-1].n_labelled)
    if level_of(claims[0]) is not None:
        return compare_coverage(counts[0], counts[1], claims[0])
    decisions = _decisions(settings, models, asked)
    return compare_unpaired(counts[0], counts[1], decisions, own=is_own(claims[0]))


def _meant(side: Side, claims: Collection[str]) -> str:
    """The claim that is asked for, or the only one, or the top label."""
    there = ", ".join(sorted(claims))
    if side.claim is not None:
        if side.claim not in claims:
            message = f"no claim {side.claim} of {side.what} was judged; there are: {there}"
            raise ValueError(message)
        return side.claim
    if TOP_LABEL in claims:
        return TOP_LABEL
    if len(claims) > 1:
        message = f"{side.what} makes several claims; give --claim, one of {there}"
        raise ValueError(message)
    return next(iter(claims))


def _decisions(settings: Settings, models: list[str], asked: Asked) -> Decisions:
    """What hangs on each model's scores; None unless it is said of both."""
    policies = [settings.policy_for(model) or settings.defaults for model in models]
    a, b = (asked.over(policy.decision) for policy in policies)
    return None if a is None or b is None else (a, b)
