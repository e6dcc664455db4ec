"""Reports: the estimates of one series as JSON for programs and as text for people.

Guarantees: `series_report` is plain JSON with null where the labels decide no number, and
`report_table` says nothing that the report does not hold. Must never: call a model dishonest when
the interval of its error contains 0.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, NotRequired, TypedDict

from monitor.core.claims import WHOLE, Series
from monitor.core.counting.losses import NO_LOSSES, Losses
from monitor.core.detector.selection import labelled_selectively
from monitor.core.measures.bin_tests import classify
from monitor.core.measures.estimates import estimates, ranking
from monitor.core.measures.kind_metrics import kind_metrics
from monitor.core.measures.metrics import metrics, reliability_bins
from monitor.core.verdicts import Direction
from monitor.core.wording import amount, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.core.bins import BinCounts

FEW_LABELS = 500
"""Below this many labels the table warns: an honest model reads a raw ECE of .04 there."""
TELLING = 0.15
"""An interval from 0 to more than this says neither that the scores are honest nor that they are
not; an honest model has it with about a hundred labels or fewer."""
BAR = 20
_ROWS = (
    ("ECE, debiased", "ece_debiased"),
    ("RMS error, debiased", "rms_error"),
    ("smooth ECE", "smooth_ece"),
    ("ECE, raw, 10 / 15 / 20 bins", "ece_15"),
    ("ECE, equal mass, raw / debiased", "ece_equal_mass"),
    ("ACE, 15 bins", "ace"),
    ("MCE, 15 bins", "mce_15"),
    ("mean score - base rate", "gap"),
    ("slope (honest: 1)", "slope"),
    ("intercept (honest: 0)", "intercept"),
    ("Brier", "brier"),
    ("Brier: rel. - res. + uncertainty", "brier_reliability"),
    ("log loss", "log_loss"),
    ("AUROC", "auroc"),
    ("variance explained", "resolution_share"),
    ("sharpness", "sharpness"),
)
_TOGETHER = {
    "ece_15": (("ece_10", "ece_15", "ece_20"), "{} / {} / {}"),
    "ece_equal_mass": (("ece_equal_mass", "ece_equal_mass_debiased"), "{} / {}"),
    "gap": (("mean_score", "base_rate", "gap"), "{} - {} = {}"),
    "brier_reliability": (
        ("brier_reliability", "brier_resolution", "brier_uncertainty"),
        "{} - {} + {}",
    ),
}
"""Metrics that one row shows together. Brier's: reliability - resolution + uncertainty."""


class ReportBin(TypedDict):
    """One equal-width bin, (lower, upper]; null estimates where it is empty.

    wrong: overconfident or underconfident, where the tests of all bins together say so (5 %).
    """

    lower: float
    upper: float
    n: int
    mean_score: float | None
    observed: float | None
    ci_low: float | None
    ci_high: float | None
    wrong: str | None


class SeriesReport(TypedDict):
    """Estimates of one series; `metrics` holds every number of `Metrics`, `Estimates`, `Ranking`.

    Claims of other kinds than binary have those of `kind_metrics.py` too.

    use says whether the scores tell outcomes apart, use_reason why; warnings are sentences. version
    is null where versions are pooled, segment where it is all the traffic.
    """

    model: str
    version: str | None
    claim: str
    segment: str | None
    n: int
    metrics: dict[str, float | None]
    use: str
    use_reason: str
    warnings: list[str]
    bins: list[ReportBin]
    coverage: NotRequired[float | None]


def series_report(  # noqa: PLR0913  # what is known of a series, by name
    series: Series,
    counts: BinCounts,
    *,
    pooled: bool = False,
    with_coverage: bool = False,
    cohorts: Sequence[BinCounts] = (),
    losses: Losses = NO_LOSSES,
) -> SeriesReport:
    """Report of one series; `pooled` counts hold all versions, so none is named.

    cohorts: the same rows by day, where days are known, to see whether labels are chosen. losses:
    those of the same rows.
    """
    rank = asdict(ranking(counts))
    use, use_reason = rank.pop("use"), rank.pop("reason")
    found = asdict(metrics(counts)) | asdict(estimates(counts)) | rank
    found |= kind_metrics(series.claim, counts, losses)
    n = found.pop("n")
    bins = reliability_bins(counts)
    wrong = {test.bin.lower: str(test.direction) for test in classify(bins) if test.off}
    selection = labelled_selectively(cohorts)
    report = SeriesReport(
        model=series.model,
        version=None if pooled else series.version,
        claim=series.claim,
        segment=None if series.segment == WHOLE else series.segment,
        n=n,
        metrics={name: _number(value) for name, value in found.items()},
        use=use,
        use_reason=use_reason,
        warnings=[selection.warning] if selection.warning else [],
        bins=[
            ReportBin(
                lower=b.lower,
                upper=b.upper,
                n=b.n,
                mean_score=_number(b.mean_score),
                observed=_number(b.observed),
                ci_low=_number(b.ci_low),
                ci_high=_number(b.ci_high),
                wrong=wrong.get(b.lower),
            )
            for b in bins
        ],
    )
    if with_coverage:
        report["coverage"] = _number(counts.coverage)
    return report


def report_table(report: SeriesReport) -> str:
    """Markdown for people: what it is, the verdict in words, the bins, the metrics."""
    return "\n".join([*_head(report), "", *_bin_table(report), "", *_metric_table(report), ""])


def verdict_in_words(report: SeriesReport) -> str:
    """One sentence: overconfident, underconfident, or honest as far as the labels can tell.

    Direction by the gap when it carries half of the debiased ECE or more, else by the slope, as
    for alerts; a falling map has none.
    """
    word, rest = verdict_words(report)
    return f"{word}{rest}"


def verdict_words(report: SeriesReport) -> tuple[str, str]:
    """The sentence of `verdict_in_words`, cut after the words that can stand alone as a title."""
    values = report["metrics"]
    ece, low, high = (values[f"ece_debiased{end}"] for end in ("", "_low", "_high"))
    if ece is None or low is None or high is None:
        return "No labels", ": nothing can be said."
    if low <= 0 and high > TELLING:
        return "Too few labels to tell", f": the error may be 0, and may be {high:.3f}."
    if low <= 0:
        return "Honest within the interval", f": the error may be 0, and is at most {high:.3f}."
    return _dishonest(values, ece, f"off by {ece:.3f} on average ({low:.3f} to {high:.3f})")


def _dishonest(values: Mapping[str, float | None], ece: float, size: str) -> tuple[str, str]:
    """Which way, where the interval excludes 0."""
    gap, slope, error = values["gap"] or 0.0, values["slope"], values["slope_se"] or 0.0
    if slope is not None and slope + 1.96 * error < 0:
        return "The wrong way round", f", the outcome comes where it is denied: {size}."
    if abs(gap) >= 0.5 * ece:
        side, how = ("Overconfident", "high") if gap > 0 else ("Underconfident", "low")
        return side, f", {abs(gap):.3f} too {how} overall: {size}."
    if slope is None:
        return "Not honest", f", though right on the whole: {size}."
    if slope < 1:
        return "Overconfident", f", too extreme on both sides (slope {slope:.2f}): {size}."
    return "Underconfident", f", too timid on both sides (slope {slope:.2f}): {size}."


def _head(report: SeriesReport) -> list[str]:
    version = "all versions" if report["version"] is None else f"version {report['version']}"
    name = [report["model"], version, f"claim {report['claim']}"]
    if report["segment"] is not None:
        name.append(f"segment {report['segment']}")
    labels = f"{amount(report['n'])} label{'' if report['n'] == 1 else 's'}"
    coverage = report.get("coverage")
    if coverage is not None:
        labels += f", {coverage:.1%} of the predictions"
    lines = [f"### {', '.join(one_line(part) for part in name)}", "", f"{labels}."]
    if 0 < report["n"] < FEW_LABELS:
        lines.append("Few labels: read the intervals, not the numbers.")
    lines += [verdict_in_words(report), report["use_reason"]]
    wrong = [_wrong_bin(b) for b in report["bins"] if b["wrong"]]
    if wrong:
        lines.append(f"Wrong bins, all tested together: {'; '.join(wrong)}.")
    elif report["n"]:
        lines.append("No single bin is shown to be wrong, all tested together.")
    return [*lines, *report["warnings"]]


def _wrong_bin(b: ReportBin) -> str:
    side = "too high" if b["wrong"] == Direction.OVERCONFIDENT else "too low"
    return f"{b['lower']:.3f} to {b['upper']:.3f} {side}"


def _bin_table(report: SeriesReport) -> list[str]:
    """Bins that hold labels, and how to read them."""
    scale = f"0{' ' * (BAR - 2)}1"
    lines = [
        "`=` observed rate, `^` promised rate. Off: promised is outside this bin's own interval;",
        "high, low: the scores are shown to be so, all bins tested together.",
        "",
        f"| score         |    labels | promised | observed | 95 % interval   | {scale} | off  |",
        f"|{15 * '-'}|{10 * '-'}:|{9 * '-'}:|{9 * '-'}:|{17 * '-'}|{(BAR + 2) * '-'}|------|",
    ]
    for b in report["bins"]:
        values = (b["mean_score"], b["observed"], b["ci_low"], b["ci_high"])
        promised, observed, low, high = (math.nan if v is None else v for v in values)
        if not b["n"]:
            continue
        off = "" if low <= promised <= high else "off"
        if b["wrong"]:
            off = "high" if b["wrong"] == Direction.OVERCONFIDENT else "low"
        lines.append(
            f"| {b['lower']:.3f} - {b['upper']:.3f} | {b['n']:>9,} | {promised:>8.4f} "
            f"| {observed:>8.4f} | {low:.4f} - {high:.4f} | {_bar(promised, observed)} | {off:<4} |"
        )
    return lines


def _bar(promised: float, observed: float) -> str:
    """Observed rate as a bar of `=` with the promised rate marked `^`, over [0, 1]."""
    filled = round(observed * BAR)
    mark = min(BAR - 1, int(promised * BAR))
    return "".join("^" if k == mark else "=" if k < filled else " " for k in range(BAR))


def _metric_table(report: SeriesReport) -> list[str]:
    values = report["metrics"]
    lines = [f"| {'metric':<32} | {'value':<28} |", f"|{'-' * 34}|{'-' * 30}|"]
    for label, name in _ROWS:
        lines.append(f"| {label:<32} | {metric_words(values, name):<28} |")
    return lines


def metric_words(values: Mapping[str, float | None], name: str) -> str:
    """Value with its interval, where it has one."""
    if name in _TOGETHER:
        names, form = _TOGETHER[name]
        return form.format(*(_said(values[each]) for each in names))
    value, error = values[name], values.get(f"{name}_se")
    low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
    if value is not None and error is not None and low is None:
        low, high = value - 1.96 * error, value + 1.96 * error
    if low is None or high is None:
        return _said(value)
    return f"{_said(value)} ({low:.4f} to {high:.4f})"


def _said(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
