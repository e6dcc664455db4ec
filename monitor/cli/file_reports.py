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
from monitor.core.reports import SeriesReport, series_report
from monitor.watch import counting
from monitor.watch.corroboration import Agreement, agreements
from monitor.watch.counting import Events
from monitor.watch.temperatures import ModelTemperature, temperatures

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.delay_advice import LabelAdvice

POLICY = Policy()


@dataclass(frozen=True, slots=True)
class FileReport:
    """Reports of every series, advice on labels, how sources agree, and repairs of classes."""

    series: list[SeriesReport]
    advice: list[LabelAdvice]
    agreements: list[Agreement]
    temperatures: list[ModelTemperature]


def file_report(predictions: Path, labels: Path | None, *, by_version: bool) -> FileReport:
    """Report of two files, or of one that holds both; raises FileError for what is unusable."""
    if labels is not None:
        events = read_events(predictions, labels)
        counted = counting.count(events, lambda _: POLICY)
        return FileReport(
            counting.series_reports(counted, by_version=by_version),
            counting.label_advices(events, counted, lambda _: POLICY),
            agreements(events),
            temperatures(events),
        )
    found = read_labelled(predictions)
    if isinstance(found, Events):
        counted = counting.count(found, lambda _: POLICY)
        reports = counting.series_reports(counted, by_version=by_version)
        return FileReport(reports, [], agreements(found), temperatures(found))
    counts = BinCounts.from_rows(found.score, found.label == 1)
    series = Series(found.source, "")
    return FileReport([series_report(series, counts, pooled=True)], [], [], [])
