"""What `calmon report` says of files: every series, its labels' delays, and what corroborates what.

Guarantees: one file and two files of the same rows give the same estimates. Must never: need a
server or a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.cli.event_files import read_events, read_labelled
from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.policies import Policy
from monitor.core.report.reports import SeriesReport, series_report
from monitor.watch import counting
from monitor.watch.corroboration import Agreement, agreements
from monitor.watch.counting import Events
from monitor.watch.crossings import Crossings, crossings
from monitor.watch.temperatures import ModelTemperature, temperatures

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.delay.delay_advice import LabelAdvice

POLICY = Policy()


@dataclass(frozen=True, slots=True)
class FileReport:
    """Reports of every series, advice on labels, how sources agree, repairs of classes, crossings.

    counts: of each series, in the order of `series`.
    """

    series: list[SeriesReport]
    counts: list[BinCounts]
    advice: list[LabelAdvice]
    agreements: list[Agreement]
    temperatures: list[ModelTemperature]
    crossings: list[Crossings]


def file_report(predictions: Path, labels: Path | None, *, by_version: bool) -> FileReport:
    """Report of two files, or of one that holds both; raises FileError for what is unusable."""
    if labels is not None:
        return _of_events(read_events(predictions, labels), by_version=by_version, advised=True)
    found = read_labelled(predictions)
    if isinstance(found, Events):
        return _of_events(found, by_version=by_version, advised=False)
    counts = BinCounts.from_rows(found.score, found.label == 1)
    series = Series(found.source, "")
    return FileReport([series_report(series, counts, pooled=True)], [counts], [], [], [], [])


def _of_events(events: Events, *, by_version: bool, advised: bool) -> FileReport:
    """advised: the labels have times of their own, so their delays can be told."""
    counted = counting.count(events, lambda _: POLICY)
    reports = counting.counted_reports(counted, by_version=by_version)
    return FileReport(
        [report for report, _ in reports],
        [counts for _, counts in reports],
        counting.label_advices(events, counted, lambda _: POLICY) if advised else [],
        agreements(events),
        temperatures(events),
        crossings(events),
    )
