"""`calmon report`: what files of predictions and labels say, without a configuration or a server.

Must never: change anything but the page it is told to write, or hold logic of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from monitor.cli.event_files import read_labelled, refuse_overwriting, scored_by_day
from monitor.cli.file_reports import file_report
from monitor.cli.options import AsJson
from monitor.core.bins import BinCounts
from monitor.core.recalibration.recalibration_words import proposal_json
from monitor.core.report.kinds_report import KindsReport
from monitor.core.report.kinds_report import title as kinds_title
from monitor.core.report.quick_report import quick_report, title
from monitor.core.verdicts import as_plain
from monitor.pictures import bins_svg
from monitor.printing import reports as printing
from monitor.printing.report_page import html_page, kinds_markdown, kinds_page, markdown
from monitor.watch.corroboration import agreement_words
from monitor.watch.counting import Events
from monitor.watch.crossings import crossing_words
from monitor.watch.temperatures import temperature_words

if TYPE_CHECKING:
    from monitor.cli.file_reports import FileReport
    from monitor.core.report.quick_report import QuickReport
    from monitor.core.report.reports import SeriesReport


def report(  # noqa: PLR0913  # one parameter an option
    predictions: Annotated[Path, typer.Argument(help="Predictions, or one file with labels.")],
    labels: Annotated[Path | None, typer.Argument(help="Labels.")] = None,
    *,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with pictures to this file.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print that page as markdown, without its pictures.")
    ] = False,
    as_json: AsJson = False,
    by_version: Annotated[bool, typer.Option("--by-version", help="A report a version.")] = False,
) -> None:
    """Print the reliability table and the metrics of files, and what their labels' delays say."""
    page = None
    if html is not None or as_markdown or (as_json and labels is None):
        page = _of_scores(predictions, labels)
    if page is not None and html is not None:
        refuse_overwriting(html, predictions)
        _write(html, html_page(page, bins_svg(page.bins) if page.report["n"] else None))
        typer.echo(f"{title(page)}: {html}", err=True)
    if page is not None and as_markdown and not as_json:
        typer.echo(markdown(page))
    if page is not None and not as_json:
        return
    found = file_report(predictions, labels, by_version=by_version)
    if as_json:
        typer.echo(json.dumps(_as_json(found) | _further(page)))
    if page is None and (html is not None or as_markdown):
        _pages(found, predictions, labels, html, as_markdown=as_markdown and not as_json)
    elif not as_json:
        _print(found)


def _pages(
    found: FileReport,
    predictions: Path,
    labels: Path | None,
    html: Path | None,
    *,
    as_markdown: bool,
) -> None:
    """The page of several claims, written or printed."""

    def name_of(model: str) -> str:
        # A page is passed on: where the file lies on this machine is nobody else's business.
        return predictions.name if model == str(predictions) else model

    reports: list[SeriesReport] = [
        {**report, "model": name_of(report["model"])} for report in found.series
    ]
    claims = tuple(zip(reports, found.counts, strict=True))
    lines = [
        (name_of(one.model), temperature_words(replace(one, model=name_of(one.model))))
        for one in found.temperatures
    ]
    lines += [(name_of(one.model), agreement_words(one)) for one in found.agreements]
    lines += [
        (name_of(one.model), crossing_words(replace(one, model=name_of(one.model))))
        for one in found.crossings
    ]
    page = KindsReport(predictions.name, claims, tuple(lines))
    if html is not None:
        refuse_overwriting(html, predictions, labels)
        _write(html, kinds_page(page, bins_svg))
        typer.echo(f"{kinds_title(page)}: {html}", err=True)
    if as_markdown:
        typer.echo(kinds_markdown(page))


def _print(found: FileReport) -> None:
    printing.print_reports(Console(), found.series)
    printing.print_lines(Console(), map(temperature_words, found.temperatures))
    printing.print_lines(Console(), map(crossing_words, found.crossings))
    printing.print_lines(
        Console(), (f"{one.model}: {agreement_words(one)}" for one in found.agreements)
    )
    printing.print_advice(Console(), found.advice)


def _as_json(found: FileReport) -> dict[str, object]:
    return {
        "series": found.series,
        "labels": printing.advice_json(found.advice),
        "corroboration": [agreement.as_json() for agreement in found.agreements],
        "crossed": [asdict(one) for one in found.crossings],
        "temperatures": [{"model": one.model} | asdict(one.found) for one in found.temperatures],
    }


def _of_scores(file: Path, labels: Path | None) -> QuickReport | None:
    """Report of one file of scores and labels; None for other files."""
    if labels is not None:
        return None
    scored = read_labelled(file)
    if isinstance(scored, Events):
        return None
    there = [each.cohorts for each in scored_by_day(scored).values()]
    cohorts = there[0] if len(there) == 1 else [sum(chain.from_iterable(there), BinCounts.empty())]
    # A page is passed on: where the file lies on this machine is nobody else's business.
    return quick_report(file.name, cohorts, len(there))


def _further(page: QuickReport | None) -> dict[str, object]:
    if page is None:
        return {}
    repair = None if page.proposal is None else proposal_json(page.proposal)
    return {"repair": repair, "more_labels": [as_plain(one) for one in page.more]}


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ValueError(message) from error
