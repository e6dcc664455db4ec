"""`calmon config`: whether the configuration can be run with, and what follows from it.

Must never: connect to anything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.options import AsJson, ConfigPath
from monitor.config import describe, describe_text, load

app = typer.Typer(help="The configuration file.", no_args_is_help=True)


@app.command()
def check(
    path: Annotated[Path | None, typer.Argument(help="Configuration file.")] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Check the configuration and the environment, and do nothing else."""
    settings = load(path or config_path, os.environ)
    settings.require_receivers()
    typer.echo(json.dumps(describe(settings)) if as_json else describe_text(settings))
