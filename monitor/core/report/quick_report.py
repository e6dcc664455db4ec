"""What one file of scores and labels says: the verdict, the numbers, a repair, and more labels.

Guarantees: pure; the same counts give the same report; every sentence is plain text without
markup, names from outside on one line. Must never: say what a file cannot know (whether it got
worse, what the unlabelled rows hold) without pointing to the command that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.measures.metrics import reliability_bins
from monitor.core.measures.usefulness import Use
from monitor.core.recalibration.recalibrating import propose
from monitor.core.recalibration.recalibration_words import proposal_words, use_words
from monitor.core.recalibration.repairs import MIN_CLASS, MIN_LABELS
from monitor.core.report.more_labels import MIN_LABELS as MIN_KNOWN
from monitor.core.report.more_labels import more_labels
from monitor.core.report.reports import FEW_LABELS, metric_words, series_report, verdict_words
from monitor.core.verdicts import Direction
from monitor.core.wording import amount, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.recalibration.recalibrating import Proposal
    from monitor.core.report.more_labels import MoreLabels
    from monitor.core.report.reports import ReportBin, SeriesReport
    from monitor.core.verdicts import BinEstimate

WORST_SHOWN = 3
TOLD = 4
"""Factor of further labels that the sentence names; the table has all."""
_REPAIR, _MORE = "What a repair would bring", "What more labels would buy"

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuickReport:
    """Everything that is said of one file. models: how many models and versions it names."""

    report: SeriesReport
    bins: tuple[BinEstimate, ...]
    proposal: Proposal | None
    more: tuple[MoreLabels, ...]
    models: int


@dataclass(frozen=True, slots=True)
class Section:
    """Part of a page: paragraphs, then a table of a header and rows, if there are rows."""

    title: str
    paragraphs: tuple[str, ...]
    header: Row = ()
    rows: tuple[Row, ...] = ()


def quick_report(name: str, cohorts: Sequence[BinCounts], models: int = 1) -> QuickReport:
    """Report of the labelled rows of one file, by day in their order where days are known.

    About 0.3 s, most of it for `more_labels`.
    """
    counts = sum(cohorts, BinCounts.empty())
    return QuickReport(
        series_report(Series(name, ""), counts, pooled=True),
        reliability_bins(counts),
        _proposal(cohorts) if models == 1 else None,
        more_labels(counts),
        models,
    )


def title(found: QuickReport) -> str:
    """The verdict in a few words: `Honest within the interval, but useless`."""
    word, _ = verdict_words(found.report)
    if found.report["use"] != Use.USELESS:
        return word
    shown = (found.report["metrics"]["ece_debiased_low"] or 0.0) > 0
    return f"{word}, {'and' if shown else 'but'} useless"


def verdict(found: QuickReport) -> Section:
    """What the labels show, with its interval, and what that rests on."""
    report = found.report
    word, rest = verdict_words(report)
    said = [f"{word}{rest}"]
    if report["n"]:
        said.append(report["use_reason"])
    if 0 < report["n"] < FEW_LABELS:
        said.append("Few labels: read the intervals, not the numbers.")
    said.append(
        "Intervals are of 95 %. They take the labels to be independent of one another and chosen "
        "without regard to score or outcome, and the model to be one and the same throughout."
    )
    if found.models > 1:
        said.append(
            f"The file names {found.models} models or versions, pooled here: split it to see each."
        )
    return Section("Verdict", tuple(said))


def picture_words(found: QuickReport) -> str:
    """The reliability diagram for those who do not see it."""
    held = [b for b in found.report["bins"] if b["n"]]
    points = "; ".join(
        f"promised {promised}, observed {observed}, {amount(b['n'])} labels"
        for b in held
        for promised, observed in [_bin_words(b)]
    )
    return (
        "Reliability diagram: observed frequency against claimed probability by bin of the score, "
        f"with 95 % intervals, and the number of labels of each bin below. {points}."
    )


def numbers(found: QuickReport) -> Section:
    """The table of figures, each with what it means."""
    report = found.report
    values = report["metrics"]
    positive = f"{amount(_positive(report))} of them positive"
    rows: list[Row] = [("labels", amount(report["n"]), positive)]
    rows += [(label, metric_words(values, key), says) for label, key, says in _NUMBERS]
    return Section("Numbers", (), ("figure", "value (95 % interval)", "reading"), tuple(rows))


_NUMBERS = (
    ("mean score - positive rate", "gap", "above 0: the scores promise too much"),
    ("ECE, debiased", "ece_debiased", "mean size of the error; 0 is honest"),
    ("ECE, raw, 10 / 15 / 20 bins", "ece_15", "never 0, even for honest scores"),
    ("slope", "slope", "1 is honest; below 1: too extreme"),
    ("Brier", "brier", "mean squared error; lower is better"),
    (
        "= reliability - resolution + uncertainty",
        "brier_reliability",
        "error of the map, power of the scores, what there is to know (by bins)",
    ),
    ("log loss", "log_loss", "in nats; lower is better"),
    ("AUROC", "auroc", "order of the scores; 0.5 is chance"),
    ("variance explained", "resolution_share", "share of the outcome that the scores tell"),
)


def _positive(report: SeriesReport) -> int:
    return round((report["metrics"]["base_rate"] or 0.0) * report["n"])


def worst_bins(found: QuickReport) -> Section:
    """Up to three bins with the most outcomes promised but not seen, or the other way round."""
    held = [b for b in found.report["bins"] if b["n"]]
    rows = [_worst_row(b) for b in sorted(held, key=_missed, reverse=True)[:WORST_SHOWN]]
    shown = sum(1 for b in held if b["wrong"])
    said = (
        f"{shown} of {len(held)} bins {'is' if shown == 1 else 'are'} shown to be wrong, all "
        "tested together at 5 %."
        if shown
        else "No single bin is shown to be wrong, all tested together at 5 %."
    )
    header = ("score", "labels", "promised", "observed (95 % interval)", "off by", "shown")
    return Section(
        "Worst bins", (said,) if held else ("No bin holds a label.",), header, tuple(rows)
    )


def _missed(b: ReportBin) -> float:
    return b["n"] * abs((b["observed"] or 0.0) - (b["mean_score"] or 0.0))


def _worst_row(b: ReportBin) -> Row:
    off = (b["mean_score"] or 0.0) - (b["observed"] or 0.0)
    shown = "may be chance"
    if b["wrong"]:
        shown = "too high" if b["wrong"] == Direction.OVERCONFIDENT else "too low"
    return (
        f"{b['lower']:.2f} to {b['upper']:.2f}",
        amount(b["n"]),
        *_bin_words(b),
        f"{off:+.3f}",
        shown,
    )


def _bin_words(b: ReportBin) -> tuple[str, str]:
    """Promised, and observed with its interval, of a bin that holds labels."""
    values = [b[key] or 0.0 for key in ("mean_score", "observed", "ci_low", "ci_high")]
    (promised,), (observed, low, high) = probabilities(values[0]), probabilities(*values[1:])
    return promised, f"{observed} ({low} to {high})"


def repair(found: QuickReport) -> Section:
    """What `calmon recalibrate` would propose, and what it does to labels not fitted to."""
    if found.models > 1:
        return Section(_REPAIR, ("A repair is of one model: `calmon recalibrate --model`.",))
    proposal = found.proposal
    if proposal is None:
        return Section(_REPAIR, (_no_repair(found.report),))
    warning = use_words(proposal)
    said = [each for each in proposal_words(proposal) if each != warning]
    if proposal.map is not None:
        said.append("`calmon recalibrate` writes it to a file that is applied with a function.")
    elif (found.report["metrics"]["ece_debiased_low"] or 0.0) > 0:
        said.append(
            "That the scores err is shown by all labels; that a repair mends it must be shown by "
            "those that it was not fitted to. More labels may show it."
        )
    changes = {each.metric: each for each in proposal.changes}
    rows = tuple(
        (
            label,
            f"{change.before:.4f}",
            f"{change.after:.4f}",
            f"{change.difference:+.4f} ({change.low:+.4f} to {change.high:+.4f})",
        )
        for metric, label in _CHANGES
        if (change := changes.get(metric)) is not None
    )
    return Section(
        _REPAIR, tuple(said), ("on held-out labels", "as it is", "repaired", "difference"), rows
    )


_CHANGES = (
    ("log_loss", "log loss"),
    ("brier", "Brier"),
    ("ece_debiased", "ECE, debiased"),
    ("auroc", "AUROC"),
)


def _no_repair(report: SeriesReport) -> str:
    n = report["n"]
    rarer = min(_positive(report), n - _positive(report))
    return (
        f"None is offered: it takes about {2 * MIN_LABELS} labels and {2 * MIN_CLASS} of either "
        "outcome to fit a repair on one half and to judge it on the other; here are "
        f"{amount(n)}, {amount(rarer)} of the rarer outcome."
    )


def _proposal(cohorts: Sequence[BinCounts]) -> Proposal | None:
    try:
        return propose(cohorts)
    except ValueError:  # too few labels on a side
        return None


def more(found: QuickReport) -> Section:
    """What n, 2 n, 4 n and 10 n labels would show."""
    if not found.more:
        said = "Too little is known yet to say; label a hundred more."
        if found.report["n"] >= MIN_KNOWN:
            said = "Scores of 0 and 1 leave no outcome in doubt, so there is no spread to foretell."
        return Section(_MORE, (said,))
    now = found.more[0]
    at = next((one for one in found.more if one.factor == TOLD), found.more[-1])
    bought = (
        f"With {at.factor} times as many labels ECE would be known to about "
        f"± {at.ece_half_width:.3f} instead of ± {now.ece_half_width:.3f}. Honest scores that "
        f"moved by {at.smallest_shift:.3f} as a whole would be found out four times in five; with "
        f"as many as these it takes {now.smallest_shift:.3f}."
    )
    assumed = (
        "These are expectations, if further labels come like these: independent, with the same "
        "spread of scores and the same model."
    )
    rows = tuple(
        (
            amount(one.n),
            f"± {one.ece_half_width:.3f}",
            f"± {one.gap_half_width:.3f}",
            f"{one.smallest_shift:.3f}",
        )
        for one in found.more
    )
    header = ("labels", "ECE, debiased", "mean score - positive rate", "smallest shift found")
    return Section(_MORE, (bought, assumed), header, rows)


def limits() -> Section:
    """What this cannot say, and which command can."""
    worse = (
        "Whether it got worse, or since when: a file has no baseline. Give dated predictions and "
        "labels to `calmon backtest`, or let `calmon run` watch the stream."
    )
    unlabelled = (
        "Anything of rows without a label. Labels that come late, or only for some scores or "
        "outcomes (cases that were reviewed, loans that were granted), make both verdict and "
        "interval wrong."
    )
    used = "What the scores are used for: `calmon threshold` says what a cutoff costs."
    return Section("What this cannot say", (worse, unlabelled, used))


def sections(found: QuickReport) -> tuple[Section, ...]:
    """All parts in order; the picture belongs after the first."""
    parts = (verdict, numbers, worst_bins, repair, more)
    return (*(part(found) for part in parts), limits())
