"""What files of several claims say: every claim's verdict, side by side and one by one.

Guarantees: pure; every figure is one of the claims' own reports; sentences are plain text, names
from outside on one line. Must never: pool two claims, or speak of claims as if they were one test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import POSITIVE
from monitor.core.kinds import TOP_LABEL
from monitor.core.measures.metrics import reliability_bins
from monitor.core.measures.wilson import wilson
from monitor.core.report.claim_tables import (
    coverage_words,
    is_levelled,
    name_of,
    side_by_side,
    whose_claims,
)
from monitor.core.report.more_labels import FACTORS, Z_INTERVAL, Z_POWER, more_labels
from monitor.core.report.quick_report import (
    QuickReport,
    Section,
    limits,
    numbers,
    picture_words,
    worst_bins,
)
from monitor.core.report.reports import verdict_in_words, verdict_words
from monitor.core.verdicts import BinEstimate
from monitor.core.wording import amount, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.bins import BinCounts
    from monitor.core.report.claim_tables import ClaimTable
    from monitor.core.report.reports import SeriesReport

MOST_SHOWN = 12
"""Claims of one model that have a picture and numbers of their own; a table has all of them."""
HALF_TICK = 0.01
"""Half of a level's width in the picture of coverage."""

Claim = tuple["SeriesReport", "BinCounts"]


@dataclass(frozen=True, slots=True)
class KindsReport:
    """Everything that is said of files of several claims.

    name: of the file. claims: of each series its report and counts, models together. lines: further
    sentences, by model.
    """

    name: str
    claims: tuple[Claim, ...]
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Points to draw, a caption for who sees it and words for who does not."""

    bins: tuple[BinEstimate, ...]
    caption: str
    words: str


@dataclass(frozen=True, slots=True)
class Part:
    """A section, with a picture where there is one."""

    section: Section
    picture: Picture | None = None


def title(found: KindsReport) -> str:
    """How many claims are shown to be off, in a few words; of one claim, its verdict."""
    told = [report for report, _ in found.claims if report["n"]]
    if not told:
        return "No labels"
    if len(found.claims) == 1:
        return _in_words(told[0])
    off = sum(map(_is_off, told))
    if not off:
        return "No claim is shown to be off"
    return f"{off} of {len(found.claims)} claims {'is' if off == 1 else 'are'} shown to be off"


def parts(found: KindsReport) -> tuple[Part, ...]:
    """Model by model: verdicts, tables, claims one by one, more labels; then what is not known."""
    made: list[Part] = []
    several = len({whose_claims(report) for report, _ in found.claims}) > 1
    for whose, group in groupby(found.claims, key=lambda claim: whose_claims(claim[0])):
        prefix = f"{name_of(whose)}: " if several else ""
        claims = list(group)
        lines = [line for model, line in found.lines if model == whose[0]]
        for part in _of_model(found.name, claims, lines):
            section = replace(part.section, title=f"{prefix}{part.section.title}")
            made.append(replace(part, section=section))
    return (*made, Part(limits()))


def _of_model(file: str, claims: Sequence[Claim], lines: Sequence[str]) -> list[Part]:
    reports = [report for report, _ in claims]
    shown = _shown([claim for claim in claims if not is_levelled(claim[0])])
    return [
        Part(_verdicts(file, claims, len(shown))),
        *(_table(table, reports) for table in side_by_side(reports)),
        *([Part(Section("Between the claims", tuple(map(one_line, lines))))] if lines else []),
        *map(_one, shown),
        Part(_more([*shown, *(claim for claim in claims if is_levelled(claim[0]))])),
    ]


def _shown(claims: Sequence[Claim]) -> list[Claim]:
    """Claims of scores with labels; of many the top label and those shown to be furthest off."""
    held = [claim for claim in claims if claim[0]["n"]]
    if len(held) <= MOST_SHOWN:
        return sorted(held, key=lambda claim: claim[0]["claim"] != TOP_LABEL)
    ranked = sorted(held, key=lambda claim: (claim[0]["claim"] != TOP_LABEL, -_least(claim[0])))
    return ranked[:MOST_SHOWN]


def _least(report: SeriesReport) -> float:
    return report["metrics"]["ece_debiased_low"] or 0.0


def _verdicts(file: str, claims: Sequence[Claim], shown: int) -> Section:
    each = (
        "Every interval is of 95 % by itself: of twenty honest claims one is expected to look "
        "off. They take the labels to be independent of one another and chosen without regard to "
        "prediction or outcome, and the model to be one and the same throughout."
    )
    said = [_summary([report for report, _ in claims]), each]
    scores = [report for report, _ in claims if not is_levelled(report)]
    off = next((report for report in scores if _is_off(report)), None)
    if off is not None:
        said.append(
            f"`calmon recalibrate {one_line(file)} --claim {one_line(off['claim'])}` looks for a "
            "map that mends a claim."
        )
    if len([report for report in scores if report["n"]]) > shown:
        said.append(
            f"The tables have every claim; {shown} have a picture and numbers below: those that "
            "are shown to be furthest off."
        )
    rows = tuple(
        (one_line(report["claim"]), amount(report["n"]), _in_words(report), _size(report))
        for report, _ in claims
    )
    return Section("Verdicts", tuple(said), ("claim", "labels", "verdict", "in numbers"), rows)


def _summary(reports: Sequence[SeriesReport]) -> str:
    """Which claims are shown to be off."""
    off = [one_line(report["claim"]) for report in reports if _is_off(report)]
    if not off:
        return "No claim is shown to be off, as far as the labels can tell."
    more = f" and {len(off) - MOST_SHOWN} more" if len(off) > MOST_SHOWN else ""
    return f"Shown to be off: {', '.join(off[:MOST_SHOWN])}{more}."


def _in_words(report: SeriesReport) -> str:
    if is_levelled(report):
        return coverage_words(report).capitalize()
    return verdict_words(report)[0]


def _size(report: SeriesReport) -> str:
    values = report["metrics"]
    if not is_levelled(report):
        return verdict_words(report)[1].lstrip(",: ")
    level, share = values["level"], values["coverage"]
    low, high = values["coverage_low"], values["coverage_high"]
    if level is None or share is None or low is None or high is None:
        return "nothing can be said."
    return f"{share:.1%} ({low:.1%} to {high:.1%}) of the labels, promised {level:.4g}."


def _is_off(report: SeriesReport) -> bool:
    if not report["n"]:
        return False
    if is_levelled(report):
        return coverage_words(report) != "as promised"
    return _least(report) > 0


def _table(table: ClaimTable, reports: Sequence[SeriesReport]) -> Part:
    section = Section(
        table.title[0].upper() + table.title[1:], table.notes, table.header, table.rows
    )
    levels = [r for r in reports if r["claim"].startswith(table.kind) and is_levelled(r) and r["n"]]
    return Part(section, _coverage_picture(table.title, levels) if levels else None)


def _coverage_picture(title: str, reports: Sequence[SeriesReport]) -> Picture:
    bins = tuple(sorted(map(_level_bin, reports), key=lambda b: b.mean_score))
    points = "; ".join(
        f"promised {b.mean_score:.3g}, observed {b.observed:.3f} ({b.ci_low:.3f} to "
        f"{b.ci_high:.3f})"
        for b in bins
    )
    where = "at or below each quantile" if title == "quantiles" else "within each interval"
    return Picture(
        bins,
        f"Above: the share of the labels {where}, against its level, with 95 % intervals; on the "
        "dashed line the two agree. Below: labels by level.",
        f"Coverage by level: the share of the labels {where}, against the level. {points}.",
    )


def _level_bin(report: SeriesReport) -> BinEstimate:
    values = report["metrics"]
    level, share, low, high = (
        values[name] or 0.0 for name in ("level", "coverage", "coverage_low", "coverage_high")
    )
    ends = max(0.0, level - HALF_TICK), min(1.0, level + HALF_TICK)
    return BinEstimate(*ends, report["n"], level, share, low, high)


def _one(claim: Claim) -> Part:
    """One claim of scores: its verdict, its figures and its reliability diagram."""
    report, counts = claim
    quick = QuickReport(report, reliability_bins(counts), None, (), 1)
    figures = numbers(quick)
    share = report["metrics"]["base_rate"] or 0.0
    first = ("labels", amount(report["n"]), f"the claim came true for {share:.1%}")
    said = (verdict_in_words(report), report["use_reason"], *worst_bins(quick).paragraphs)
    name = one_line(report["claim"])
    section = Section(
        f"The claim {name}" if report["claim"] != POSITIVE else "The scores",
        (*said, *report["warnings"]),
        figures.header,
        (first, *figures.rows[1:]),
    )
    caption = (
        f"{name}. Above: how often it came true, against what the scores claimed, with 95 % "
        "intervals; on the dashed line the two agree, below it the scores claim too much. Below: "
        "labels by score. Bins with few labels are pale."
    )
    return Part(section, Picture(quick.bins, caption, picture_words(quick)))


def _more(claims: Sequence[Claim]) -> Section:
    """Half widths of the intervals with several times as many labels, of every claim."""
    rows = [row for claim in claims if (row := _widths(*claim)) is not None]
    if not rows:
        return Section(_MORE, ("Too little is known yet to say; label a hundred more.",))
    assumed = (
        "How far the debiased ECE of a claim of scores would be known, and the coverage of a "
        "level; in brackets the shift of all scores, or of the coverage, that would be found out "
        "four times in five. These are expectations, if further labels come like these: "
        "independent, with the same spread of scores and the same model."
    )
    times = tuple("as many as now" if k == 1 else f"{k} times as many" for k in FACTORS)
    return Section(_MORE, (assumed,), ("claim", *times), tuple(rows))


_MORE = "What more labels would buy"


def _widths(report: SeriesReport, counts: BinCounts) -> tuple[str, ...] | None:
    name = one_line(report["claim"])
    if not is_levelled(report):
        found = more_labels(counts)
        if not found:
            return None
        return (name, *(f"± {one.ece_half_width:.3f} ({one.smallest_shift:.3f})" for one in found))
    level, n = report["metrics"]["level"], report["n"]
    if not n or level is None:
        return None
    labels = n * np.array(FACTORS)
    low, high = wilson(labels * (report["metrics"]["coverage"] or 0.0), labels)
    shift = (Z_INTERVAL + Z_POWER) * np.sqrt(level * (1 - level) / labels)
    halves = ((high - low) / 2).tolist()
    return (name, *(f"± {h:.3f} ({s:.3f})" for h, s in zip(halves, shift.tolist(), strict=True)))
