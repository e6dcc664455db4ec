"""`calmon threshold`: what a cutoff costs, and which one would be best.

Guarantees: exit code 0 where the cutoff is not shown to cost too much, 1 where it is, 2 for what a
person can mend. Must never: change anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor.cli.database import database
from monitor.cli.decision_options import (
    Asked,
    Cutoff,
    FalseNegative,
    FalsePositive,
    PolicyPath,
)
from monitor.cli.event_files import is_data_file, read_events, read_labelled
from monitor.cli.options import AsJson
from monitor.config import load
from monitor.core.bins import BinCounts
from monitor.core.claims import POSITIVE, WHOLE, Series
from monitor.core.decision.decision_evidence import MIN_LABELS
from monitor.core.kinds import level_of
from monitor.core.report.threshold_advice import Observed, threshold_advice
from monitor.printing import threshold as threshold_printing
from monitor.store.history import HistoryStore
from monitor.store.panes import PaneStore
from monitor.watch.counting import Events
from monitor.watch.observed_spans import newest_windows, observed_in_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.decisions import DecisionPolicy
    from monitor.core.policies import Policy

TOO_COSTLY = 1
"""Exit code where a cutoff is shown to cost more than its policy tolerates."""


def threshold(  # noqa: PLR0913  # one parameter an option
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE", help="A watched model, predictions, or one file with labels."
        ),
    ],
    labels: Annotated[Path | None, typer.Argument(help="Labels of the predictions.")] = None,
    *,
    policy_path: PolicyPath = None,
    cutoff: Cutoff = None,
    cost_false_positive: FalsePositive = None,
    cost_false_negative: FalseNegative = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Excess over the best cutoff's cost, as a share."),
    ] = None,
    version: Annotated[str | None, typer.Option("--version", help="This version alone.")] = None,
    segment: Annotated[
        str, typer.Option("--segment", help="This segment, as country=DE; default: all traffic.")
    ] = WHOLE,
    claim: Annotated[
        str | None,
        typer.Option(
            "--claim", help="Of several kinds of confidence this one, as confidence:judge."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the cutoff costs, which one would be best, and what the reviewers get."""
    settings = load(policy_path, os.environ)
    asked = Asked(cutoff, cost_false_positive, cost_false_negative, tolerance)

    def policy_for(model: str) -> Policy:
        policy = settings.policy_for(model) or settings.defaults
        return replace(policy, decision=asked.over(policy.decision))

    if labels is None and not is_data_file(Path(what)):
        engine = database(settings, "threshold")
        observed = newest_windows(
            PaneStore(engine), HistoryStore(engine), policy_for(what), what, version
        )
    else:
        observed = observed_in(Path(what), labels, policy_for)
    found = {
        series: decision
        for series in sorted(observed)
        if series.segment == segment
        and version in {None, series.version}
        and claim in {None, series.claim}
        if (decision := _decision(policy_for(series.model), series.claim, claim)) is not None
    }
    if not found:
        meant = {"--claim": claim, "--version": version, "--segment": segment or None}
        raise ValueError(_nothing(what, observed, policy_for, meant))
    advices = []
    for series, decision in found.items():
        if sum(c.n_labelled for c in observed[series].cohorts) >= MIN_LABELS:
            advices.append((series, threshold_advice(observed[series], decision)))
    if not advices:
        message = f"{what} has fewer than {MIN_LABELS} labels; a cutoff's cost needs more"
        raise ValueError(message)
    if as_json:
        typer.echo(json.dumps(threshold_printing.advices_json(advices)))
    else:
        threshold_printing.print_advices(Console(), advices)
    if any(advice.standing.too_costly for _, advice in advices):
        raise typer.Exit(TOO_COSTLY)


def observed_in(
    file: Path, labels: Path | None, policy_for: Callable[[str], Policy]
) -> dict[Series, Observed]:
    """What files hold by series; one file of scores and labels is one series without a version."""
    if labels is not None:
        return observed_in_files(read_events(file, labels), policy_for)
    found = read_labelled(file)
    if isinstance(found, Events):
        return observed_in_files(found, policy_for)
    counts = BinCounts.from_rows(found.score, found.label == 1)
    return {Series(found.source, ""): Observed([counts])}


def _decision(policy: Policy, claim: str, asked: str | None) -> DecisionPolicy | None:
    """What hangs on a claim: by the policy, or because it is asked for by name."""
    if asked == claim and level_of(claim) is None:
        return policy.decision
    return policy.decision_on(claim)


def _nothing(
    what: str,
    observed: dict[Series, Observed],
    policy_for: Callable[[str], Policy],
    meant: Mapping[str, str | None],
) -> str:
    """Why no series is left; meant: what was asked for, by option."""
    if not observed:
        return f"no window of {what} was judged yet; `calmon status` says which models were"
    if all(policy_for(series.model).decision is None for series in observed):
        return (
            f"nothing is said of what hangs on {what}: give `decision:` in its policy, or "
            "--cutoff, --cost-false-positive and --cost-false-negative"
        )
    there = ", ".join(dict.fromkeys(map(_named, sorted(observed))))
    given = " ".join(f"{option} {value}" for option, value in meant.items() if value is not None)
    if given:
        return f"{what} has nothing with {given} that a decision hangs on; it has: {there}"
    return f"no series of {what} is meant; give --claim, --version or --segment of {there}"


def _named(series: Series) -> str:
    parts = [series.version, series.claim if series.claim != POSITIVE else ""]
    return " ".join([*(part for part in parts if part), series.segment or "all traffic"])
