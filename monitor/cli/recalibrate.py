"""`calmon recalibrate`: a map that makes scores honest, as a file to apply.

Guarantees: exit code 0 where a map is shown to help on held-out labels and its file was written, 1
where none is shown to help and nothing was written, 2 for what a person can mend; what people
decide has an author and a reason. Must never: change a score by itself, or write a map that is not
shown to help.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from typer.core import TyperGroup

from monitor import __version__
from monitor.cli.database import database
from monitor.cli.decision_options import PolicyPath, model_and_version
from monitor.cli.event_files import (
    is_data_file,
    read_events,
    read_labelled,
    refuse_overwriting,
    scored_by_day,
)
from monitor.cli.options import AsJson
from monitor.cli.signed import Author, Reason, require_signature
from monitor.config import load
from monitor.core.claims import WHOLE
from monitor.core.recalibration.artifact import dumps, recalibrator
from monitor.core.recalibration.recalibrating import propose as proposed
from monitor.core.recalibration.recalibration_effects import APPROVED, REJECTED
from monitor.core.recalibration.recalibrators import Method
from monitor.printing import recalibration as recalibrate_printing
from monitor.store.history import HistoryStore
from monitor.store.panes import PaneStore
from monitor.store.recalibrations import RecalibrationStore
from monitor.watch.counting import Events
from monitor.watch.observed_spans import newest_windows, observed_in_files
from monitor.watch.recalibrations import file_name, provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typer._click.core import Context  # typer.Context is a subclass of it

    from monitor.config import Settings
    from monitor.core.claims import Series
    from monitor.core.policies import Policy
    from monitor.core.report.threshold_advice import Observed

NONE_HELPS = 1
"""Exit code where no map is shown to help."""


ProposalId = Annotated[int, typer.Argument(help="Number of the proposal.")]


class Asked(StrEnum):
    """Methods to choose from."""

    AUTO = "auto"
    TEMPERATURE = "temperature"
    PLATT = "platt"
    BETA = "beta"
    ISOTONIC = "isotonic"

    @property
    def methods(self) -> tuple[Method, ...]:
        """The families that are tried, the simplest first."""
        return tuple(Method) if self is Asked.AUTO else (Method(self.value),)


class ProposeByDefault(TyperGroup):
    """`calmon recalibrate MODEL` means `propose MODEL`, unless MODEL is one of the commands."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Put the command's name where it was left out."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["propose", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ProposeByDefault,
    help=(
        "Maps that make scores honest: `calmon recalibrate MODEL|FILE` proposes one "
        "(`calmon recalibrate propose --help` lists its options)."
    ),
    no_args_is_help=True,
)


@app.command()
def propose(  # noqa: PLR0913  # one parameter an option
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE",
            help="A watched model, MODEL@VERSION, predictions, or one file with labels.",
        ),
    ],
    labels: Annotated[Path | None, typer.Argument(help="Labels of the predictions.")] = None,
    *,
    method: Annotated[Asked, typer.Option(help="The family of maps; auto: the best.")] = Asked.AUTO,
    policy_path: PolicyPath = None,
    model: Annotated[str | None, typer.Option(help="Of several models in files this one.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="This version alone.")] = None,
    segment: Annotated[
        str, typer.Option("--segment", help="This segment, as country=DE; default: all traffic.")
    ] = WHOLE,
    claim: Annotated[
        str | None,
        typer.Option("--claim", help="Of several kinds of confidence this one, as top_label."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: MODEL.recalibrator.json here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a map: fitted on the earlier labels, chosen and judged on the later ones."""
    settings = load(policy_path, os.environ)
    if labels is None and not is_data_file(Path(what)):
        there = _watched(settings, what, version)
    else:
        there = _in_files(settings, Path(what), labels, version)
    of_model = {series: seen for series, seen in there.items() if model in {None, series.model}}
    series, observed = _only(what, of_model or there, segment, claim)
    try:
        found = proposed(observed.cohorts, method.methods)
    except ValueError as error:
        message = f"{what} has too few labels to recalibrate by: {error}"
        raise ValueError(message) from None
    if found.map is None:
        recalibrate_printing.show(Console(), series, found, None, None, as_json=as_json)
        raise typer.Exit(NONE_HELPS)
    artifact = recalibrator(found.map, provenance(series, observed, found, __version__))
    file = Path(file_name(series)) if out is None else out
    refuse_overwriting(file, Path(what), labels)
    try:
        file.write_text(dumps(artifact), encoding="utf-8")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise ValueError(message) from None
    recorded = None
    if observed.window is not None and observed.evaluation_id is not None:
        recorded = _store(settings).propose(
            series, artifact, dumps(artifact), observed.window, observed.evaluation_id
        )
    recalibrate_printing.show(Console(), series, found, artifact, file, recorded, as_json=as_json)


@app.command()
def approve(
    proposal_id: ProposalId,
    reason: Reason,
    author: Author,
    config_path: PolicyPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Approve a proposal: it may be applied where scores are made."""
    _decide(config_path, proposal_id, APPROVED, author, reason, as_json=as_json)


@app.command()
def reject(
    proposal_id: ProposalId,
    reason: Reason,
    author: Author,
    config_path: PolicyPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Reject a proposal; also one that was approved."""
    _decide(config_path, proposal_id, REJECTED, author, reason, as_json=as_json)


@app.command("list")
def list_proposals(
    model: Annotated[str | None, typer.Argument(help="Of this model; default: of all.")] = None,
    config_path: PolicyPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List proposals, what was decided about them, and whether those that were applied helped."""
    found = _store(load(config_path, os.environ)).proposals(model)
    recalibrate_printing.show_proposals(Console(), found, as_json=as_json)


@app.command()
def show(proposal_id: ProposalId, config_path: PolicyPath = None) -> None:
    """Print a proposal's file again."""
    for each in _store(load(config_path, os.environ)).proposals():
        if each.proposal_id == proposal_id:
            typer.echo(each.artifact, nl=False)
            return
    message = f"there is no proposal {proposal_id}; see `calmon recalibrate list`"
    raise ValueError(message)


def _decide(  # noqa: PLR0913  # what is said, and where
    config_path: Path | None,
    proposal_id: int,
    decision: str,
    author: str,
    reason: str,
    *,
    as_json: bool,
) -> None:
    require_signature(author, reason)
    found = _store(load(config_path, os.environ)).decide(proposal_id, decision, author, reason)
    recalibrate_printing.show_decision(Console(), found, decision, as_json=as_json)


def _store(settings: Settings) -> RecalibrationStore:
    return RecalibrationStore(database(settings, "recalibrate"))


def _watched(settings: Settings, what: str, version: str | None) -> Mapping[Series, Observed]:
    """The window of the newest verdict on each series; after a drift, what comes after it."""
    engine = database(settings, "recalibrate")
    panes = PaneStore(engine)
    model, named = model_and_version(what, panes.models())
    windows = newest_windows(
        panes,
        HistoryStore(engine),
        settings.policy_for(model) or settings.defaults,
        model,
        version or named,
        since_drift=True,
    )
    if not windows:
        message = f"no window of {what} was judged yet; `calmon status` says which models were"
        raise ValueError(message)
    return windows


def _in_files(
    settings: Settings, file: Path, labels: Path | None, version: str | None
) -> Mapping[Series, Observed]:
    def policy_for(model: str) -> Policy:
        return settings.policy_for(model) or settings.defaults

    read = read_labelled(file) if labels is None else read_events(file, labels)
    if isinstance(read, Events):
        return _of_version(observed_in_files(read, policy_for), version)
    return _of_version(scored_by_day(read), version)


def _of_version(found: Mapping[Series, Observed], version: str | None) -> Mapping[Series, Observed]:
    return {series: seen for series, seen in found.items() if version in {None, series.version}}


def _named(series: Series) -> str:
    return f"{series.model}@{series.version}" if series.version else series.model


def _only(
    what: str, found: Mapping[Series, Observed], segment: str, claim: str | None
) -> tuple[Series, Observed]:
    """The one series that is meant; raises ValueError, with what there is, for none or several."""
    meant = [
        each for each in sorted(found) if each.segment == segment and claim in {None, each.claim}
    ]
    if len(meant) == 1:
        return meant[0], found[meant[0]]
    there = ", ".join(
        " ".join(part for part in (_named(s), s.claim, s.segment) if part) for s in sorted(found)
    )
    if meant:
        message = (
            f"{what} has several series, and each needs its own map; give --model, --version or "
            f"--claim; there are: {there}"
        )
        if any(each.claim.startswith("class:") for each in meant):
            message += (
                "; a temperature for all classes at once is no file: `calmon status MODEL` tells "
                "it, of files `calmon report`; take every probability to the power of 1 over it, "
                "and divide by their sum"
            )
    else:
        message = f"no series of {what} is meant; there are: {there or 'none'}"
    raise ValueError(message)
