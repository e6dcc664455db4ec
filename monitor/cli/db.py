"""`calmon db`: the database's schema, made and checked.

Must never: change anything but by the migrations.
"""

from __future__ import annotations

import os

import typer

from monitor.cli.options import ConfigPath
from monitor.config import load
from monitor.config.asked import database_url
from monitor.store import migrate

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command()
def upgrade(config_path: ConfigPath = None) -> None:
    """Create the schema, or bring it up to this version."""
    migrate.upgrade(database_url(load(config_path, os.environ)))
    typer.echo("the database schema is up to date")


@app.command()
def check(config_path: ConfigPath = None) -> None:
    """Say whether the schema is the one this version needs."""
    migrate.check(database_url(load(config_path, os.environ)))
    typer.echo("the database schema is up to date")
