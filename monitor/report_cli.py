"""`calmon report`: what files of predictions and labels say, without a configuration or a server.

Must never: change anything, or hold logic of its own.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads it at run time
from typing import Annotated

import typer
from rich.console import Console

from monitor import printing
from monitor.file_reports import file_report


def report(
    predictions: Annotated[Path, typer.Argument(help="Predictions, or one file with labels.")],
    labels: Annotated[Path | None, typer.Argument(help="Labels.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    by_version: Annotated[bool, typer.Option("--by-version", help="A report a version.")] = False,
) -> None:
    """Print the reliability table and the metrics of files, and what their labels' delays say."""
    found = file_report(predictions, labels, by_version=by_version)
    if as_json:
        shown = printing.file_report_json(found.series, found.advice, found.agreements)
        typer.echo(json.dumps(shown))
    else:
        printing.print_reports(Console(), found.series)
        printing.print_agreements(Console(), found.agreements)
        printing.print_advice(Console(), found.advice)
