"""Claims of one model side by side: sources of confidence, classes, quantiles and intervals.

Guarantees: says nothing that the series' reports do not hold. Must never: pool two claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from monitor.core.kinds import VERBALIZED, level_of
from monitor.core.wording import amount, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.report.reports import SeriesReport

BAR = 20

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """Claims of one kind side by side: rows under a header, then sentences about them.

    kind: what their names begin with, as `class:`.
    """

    kind: str
    title: str
    header: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def claim_tables(reports: Sequence[SeriesReport]) -> list[str]:
    """A table for each model, version and segment with claims of a kind that has several."""
    found = []
    for whose, group in groupby(reports, key=whose_claims):
        for table in side_by_side(list(group)):
            lines = [f"### {name_of(whose)}: {table.title}", "", *_aligned(table)]
            found.append("\n".join([*lines, *(part for n in table.notes for part in ("", n)), ""]))
    return found


def side_by_side(reports: Sequence[SeriesReport]) -> list[ClaimTable]:
    """The tables of one model, version and segment."""
    found = []
    for kind, title, table in _TABLES:
        chosen = [report for report in reports if report["claim"].startswith(kind)]
        if chosen:
            header, rows, notes = table(chosen)
            found.append(ClaimTable(kind, title, header, tuple(rows), notes))
    return found


def name_of(whose: tuple[str, str, str]) -> str:
    """Model, version and segment on one line."""
    model, version, segment = whose
    where = [model, *([f"version {version}"] if version else []), *([segment] if segment else [])]
    return ", ".join(one_line(part) for part in where)


def worst_segments(reports: Sequence[SeriesReport], least: int = 200) -> list[str]:
    """Of each model, version and claim with segments the one that is shown to be furthest off.

    By the lower end of the debiased ECE's interval, so that few labels do not look bad; segments
    with fewer than `least` labels are left out, and of none that may be honest it speaks.
    """
    found = []
    for whose, group in groupby(sorted(reports, key=_claim_of), key=_claim_of):
        off = [
            (low, report["segment"] or "", report["metrics"]["ece_debiased"])
            for report in group
            if report["segment"] and report["n"] >= least
            if (low := report["metrics"]["ece_debiased_low"]) is not None and low > 0
        ]
        if off:
            low, segment, ece = max(off, key=lambda each: each[0])
            name = ", ".join(one_line(part) for part in whose if part)
            found.append(
                f"{name}: worst segment {one_line(segment)}, off by {ece:.3f} (at least {low:.3f})"
            )
    return found


def _claim_of(report: SeriesReport) -> tuple[str, str, str]:
    return report["model"], report["version"] or "", report["claim"]


def is_levelled(report: SeriesReport) -> bool:
    """Whether a claim's probability is a constant, so that a table of its own says little."""
    return level_of(report["claim"]) is not None


def whose_claims(report: SeriesReport) -> tuple[str, str, str]:
    """Model, version and segment; empty where it is all of them."""
    return report["model"], report["version"] or "", report["segment"] or ""


_Parts = tuple[Row, list[Row], tuple[str, ...]]


def _source_table(reports: Sequence[SeriesReport]) -> _Parts:
    columns = ("labels", "accuracy", "ECE (15)", "ECE, debiased", "AUROC", "Brier", "resolution")
    rows: list[Row] = []
    for report in sorted(reports, key=_error):
        values = report["metrics"]
        source = report["claim"].partition(":")[2]
        weak = " (weak)" if source == VERBALIZED else ""
        rows.append(
            (
                f"{one_line(source)}{weak}",
                amount(report["n"]),
                *(_figure(values[name]) for name in ("accuracy", "ece_15")),
                _with_interval(report, "ece_debiased"),
                _with_interval(report, "auroc"),
                *(_figure(values[name]) for name in ("brier", "brier_resolution")),
            )
        )
    words = (
        "is weak evidence: a model's words about its own certainty. Put no decision on it alone."
    )
    is_weak = any(report["claim"].endswith(f":{VERBALIZED}") for report in reports)
    return ("source", *columns), rows, (f"{VERBALIZED} {words}",) if is_weak else ()


def _class_table(reports: Sequence[SeriesReport]) -> _Parts:
    columns = ("labels", "mean p", "observed", "gap", "ECE (15)", "ECE, debiased")
    rows: list[Row] = []
    for report in reports:
        values = report["metrics"]
        rows.append(
            (
                one_line(report["claim"].partition(":")[2]),
                amount(report["n"]),
                *(_figure(values[name]) for name in ("mean_score", "base_rate", "gap", "ece_15")),
                _with_interval(report, "ece_debiased"),
            )
        )
    errors = [report["metrics"]["ece_15"] for report in reports]
    known = [error for error in errors if error is not None]
    notes: tuple[str, ...] = ()
    if known:
        mean = sum(known) / len(known)
        notes = (f"Class-wise ECE, mean over {len(known)} classes: {mean:.4f}.",)
    return ("class", *columns), rows, notes


def _quantile_table(reports: Sequence[SeriesReport]) -> _Parts:
    """Shares between neighbouring quantiles are the picture that a PIT histogram gives."""
    columns = ("labels", "at or below", "pinball", "between", "promised", "picture", "verdict")
    rows: list[Row] = []
    before, share_before = 0.0, 0.0
    for report in sorted(reports, key=_level):
        level, values = _level(report), report["metrics"]
        share = values["coverage"]
        between = None if share is None else share - share_before
        rows.append(
            (
                f"{level:g}",
                amount(report["n"]),
                _with_interval(report, "coverage"),
                _figure(values["pinball"]),
                *_between(between, level - before),
                coverage_words(report),
            )
        )
        before, share_before = level, share_before if share is None else share
    rest = None if any(r["metrics"]["coverage"] is None for r in reports) else 1 - share_before
    rows.append(("above", "", "", "", *_between(rest, 1 - before), ""))
    told = "`=` share of the labels between this quantile and the one below it, `^` promised."
    return ("level", *columns), rows, (told,)


def _interval_table(reports: Sequence[SeriesReport]) -> _Parts:
    columns = ("labels", "covered", "below", "above", "width", "interval score", "verdict")
    rows: list[Row] = []
    for report in sorted(reports, key=_level):
        values = report["metrics"]
        rows.append(
            (
                f"{_level(report):g}",
                amount(report["n"]),
                _with_interval(report, "coverage"),
                *(_figure(values[name]) for name in ("below", "above", "width", "interval_score")),
                coverage_words(report),
            )
        )
    return ("level", *columns), rows, ()


_TABLES = (
    ("confidence:", "sources of confidence side by side", _source_table),
    ("class:", "classes side by side", _class_table),
    ("quantile:", "quantiles", _quantile_table),
    ("interval:", "intervals", _interval_table),
)


def coverage_words(report: SeriesReport) -> str:
    """Whether an interval covers what it promises, as far as the labels can tell."""
    values = report["metrics"]
    level, low, high = values["level"], values["coverage_low"], values["coverage_high"]
    if level is None or low is None or high is None:
        return "no labels"
    if low <= level <= high:
        return "as promised"
    if report["claim"].startswith("quantile:"):
        return "too high" if low > level else "too low"
    below, above = values.get("below"), values.get("above")
    side = ""
    if below is not None and above is not None and max(below, above) > 2 * min(below, above):
        side = ", labels above" if above > below else ", labels below"
    return "too wide" if low > level else f"too narrow{side}"


def _aligned(table: ClaimTable) -> list[str]:
    """A table of Markdown."""
    safe = [[cell.replace("|", "/") for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in safe
    ]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def _between(share: float | None, promised: float) -> tuple[str, str, str]:
    """Share of the labels between two quantiles, what is promised, and a bar of both."""
    if share is None:
        return _figure(None), _figure(promised), ""
    filled, mark = round(share * BAR), min(BAR - 1, int(promised * BAR))
    bar = "".join("^" if k == mark else "=" if k < filled else " " for k in range(BAR))
    return _figure(share), _figure(promised), f"`{bar}`"


def _with_interval(report: SeriesReport, name: str) -> str:
    values = report["metrics"]
    low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
    if low is None or high is None:
        return _figure(values[name])
    return f"{_figure(values[name])} ({low:.4f} to {high:.4f})"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _level(report: SeriesReport) -> float:
    return level_of(report["claim"]) or 0.0


def _error(report: SeriesReport) -> float:
    error = report["metrics"]["ece_debiased"]
    return 1.0 if error is None else error
