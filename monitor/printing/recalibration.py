"""What `calmon recalibrate` prints: sentences first, then what each map changes.

Guarantees: what is printed comes from the same values as the JSON form. Must never: compute an
estimate.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from monitor.core.recalibration.artifact import dumps
from monitor.core.recalibration.recalibration_effects import APPROVED
from monitor.core.recalibration.recalibration_words import NAMES, proposal_json, proposal_words
from monitor.core.verdicts import as_plain
from monitor.core.wording import day, moment, one_line, series_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from monitor.core.claims import Series
    from monitor.core.recalibration.artifact import Recalibrator
    from monitor.core.recalibration.held_out import Change
    from monitor.core.recalibration.recalibrating import Proposal
    from monitor.store.recalibrations import StoredProposal

Json = dict[str, object]
SHOWN = {
    "log_loss": "log loss",
    "ece_debiased": "ECE, debiased",
    "brier": "Brier",
    "reliability": "  reliability",
    "resolution": "  resolution",
    "auroc": "AUROC",
}


def show(  # noqa: PLR0913, PLR0917  # what there is to say
    console: Console,
    series: Series,
    proposal: Proposal,
    artifact: Recalibrator | None,
    file: Path | None,
    proposal_id: int | None = None,
    *,
    as_json: bool,
) -> None:
    """Print a proposal; artifact and file are None where nothing is proposed."""
    if as_json:
        found = {
            "model": series.model,
            "version": series.version or None,
            "claim": series.claim,
            "segment": series.segment or None,
            **proposal_json(proposal),
            "artifact": None if artifact is None else json.loads(dumps(artifact)),
            "file": None if file is None else str(file),
            "proposal_id": proposal_id,
        }
        console.out(json.dumps(found), highlight=False)
        return
    name = series_name(series) if series.version else one_line(series.model)
    first, *others = proposal_words(proposal)
    for sentence in (f"{name}: {first}", *others):
        console.out(sentence, highlight=False)
    if proposal.best is not None:
        console.print(_maps(proposal))
        console.print(_changes(proposal, NAMES[proposal.best.method]))
    if artifact is not None and file is not None:
        said = f"Written: {file} (sha256 {artifact.sha256[:12]})."
        if proposal_id is not None:
            said += (
                f" It is proposal {proposal_id}: `calmon recalibrate approve {proposal_id} "
                "--author NAME --reason WHY`."
            )
        console.out(said, highlight=False)


def show_decision(
    console: Console, proposal: StoredProposal, decision: str, *, as_json: bool
) -> None:
    """Say what was decided, and what is to be done next."""
    number = proposal.proposal_id
    if as_json:
        found = {"proposal_id": number, "sha256": proposal.sha256, "decision": decision}
        console.out(json.dumps(found), highlight=False)
        return
    said = f"{decision}: proposal {number}, {series_name(proposal.series)}"
    if decision == APPROVED:
        said += (
            f"; apply it where scores are made (`calmon recalibrate show {number}` prints the "
            "file), then publish a change event of kind recalibration whose description names "
            f"{proposal.sha256[:12]}"
        )
    console.out(said, highlight=False)


def show_proposals(console: Console, proposals: Sequence[StoredProposal], *, as_json: bool) -> None:
    """One line a proposal: what it is, what was decided, and what came of it."""
    if as_json:
        found = {"proposals": [_stored_json(each) for each in proposals]}
        console.out(json.dumps(found), highlight=False)
        return
    table = Table(title="recalibrations", title_justify="left")
    for name in ("id", "series", "map", "hash", "proposed", "decided", "applied", "did it help"):
        table.add_column(name)
    for each in proposals:
        decided, effect = each.decided, each.effect
        table.add_row(
            str(each.proposal_id),
            Text(series_name(each.series)),
            each.method,
            each.sha256[:12],
            day(each.proposed_at),
            Text("" if decided is None else f"{decided.decision} by {one_line(decided.author)}"),
            "" if effect is None else moment(effect.applied_at),
            "" if effect is None else effect.words,
        )
    console.print(table)


def _stored_json(stored: StoredProposal) -> Json:
    effect = stored.effect
    found = as_plain(stored)
    found["artifact"] = json.loads(stored.artifact)
    if effect is not None:
        found["effect"] = as_plain(effect) | {"words": effect.words}
    return found


def _maps(proposal: Proposal) -> Table:
    table = Table(title="held-out log loss of each map", title_justify="left")
    for name in ("map", "before", "after", "difference", "interval", "helps"):
        table.add_column(name, no_wrap=True)
    for each in proposal.tried:
        if each.log_loss is None:
            table.add_row(NAMES[each.method], "", "none rises", "", "", "no")
        else:
            helps = "yes" if each.helps else "no"
            table.add_row(NAMES[each.method], *_cells(each.log_loss), helps)
    return table


def _changes(proposal: Proposal, name: str) -> Table:
    table = Table(title=f"{name}, on the held-out labels", title_justify="left")
    for column in ("", "before", "after", "difference", "interval"):
        table.add_column(column, no_wrap=True)
    for metric, words in SHOWN.items():
        table.add_row(words, *_cells(proposal.of(metric)))
    return table


def _cells(change: Change) -> tuple[str, str, str, str]:
    return (
        f"{change.before:.4f}",
        f"{change.after:.4f}",
        f"{change.difference:+.4f}",
        f"{change.low:+.4f} to {change.high:+.4f}",
    )
