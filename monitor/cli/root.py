"""The command line: all commands, and how they end.

Guarantees: what a person can mend is one line on stderr with exit code 2, never a traceback; with
--json stdout holds one JSON document and nothing else. Must never: hold logic of its own, or
import Kafka, Arrow or pictures before a command asks for them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from monitor import __version__
from monitor.cli import (
    alert_test,
    alerts,
    backtest,
    baseline,
    compare,
    config,
    db,
    deadletter,
    recalibrate,
    replay,
    report,
    status,
    threshold,
)
from monitor.cli.options import ConfigPath
from monitor.config import ConfigError, load
from monitor.config.asked import Role
from monitor.daemon.logs import configure_logs
from monitor.ingest.faults import (
    KafkaUnavailable,
    MessagesLost,
    PublishError,
    UnequalPartitions,
)
from monitor.store.engine import DatabaseUnavailable
from monitor.store.migrate import SchemaError
from monitor.store.positions import Fenced

app = typer.Typer(
    name="calmon",
    help="Are your models' probabilities still honest? A streaming calibration drift monitor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# In the order of --help, with those further down.
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.add_typer(baseline.app, name="baseline")
app.add_typer(deadletter.app, name="deadletter")
app.add_typer(alerts.silence, name="silence")
app.add_typer(recalibrate.app, name="recalibrate")
app.command()(alerts.ack)
app.command()(threshold.threshold)
app.command()(report.report)
app.command()(compare.compare)
app.command("alert-test")(alert_test.alert_test)

MENDABLE = (
    ConfigError,
    SchemaError,
    DatabaseUnavailable,
    KafkaUnavailable,
    MessagesLost,
    UnequalPartitions,
    PublishError,
    ValueError,
)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except MENDABLE as error:
        _stop(str(error))
    except Fenced as error:
        _stop(f"stopped: {error}; the group gave this worker's partitions away", code=3)


@app.command()
def run(
    config_path: ConfigPath = None,
    role: Annotated[Role, typer.Option(help="What this process does.")] = Role.ALL,
) -> None:
    """Run the monitor until it is told to stop."""
    # Kafka and a scheduler; other commands need neither.
    from monitor.daemon import process  # noqa: PLC0415

    settings = load(config_path, os.environ)
    configure_logs(json_lines=not sys.stderr.isatty())
    process.run(settings, role)


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=7, max=275, help="Days of flights from April.")] = 275,
    speed: Annotated[
        float | None, typer.Option(min=1, help="Event seconds a second; default: full speed.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for pictures and logs.")] = Path("demo-out"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers up at the end.")] = False,
) -> None:
    """Watch a real model drift: New York's flights of 2013 through the whole pipeline."""
    from monitor.demo.show import DemoOptions, run_demo  # noqa: PLC0415  # needs the demo extra

    # Its models are not the person's own: their file and their Slack stay out of it.
    own = {"CALMON_CONFIG", "CALMON_SLACK_TOKEN"}
    environ = {name: value for name, value in os.environ.items() if name not in own}
    _stop_code(run_demo(DemoOptions(days, speed, out, keep=keep), load(None, environ), environ))


app.command()(replay.replay)
app.command()(backtest.backtest)
app.command()(status.status)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"calmon {__version__}")


def _stop(message: str, code: int = 2) -> NoReturn:
    # A damaged file's bytes stand in some messages, and must not steer a terminal.
    seen = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    typer.echo(f"calmon: {seen}", err=True)
    sys.exit(code)


def _stop_code(code: int) -> None:
    if code:
        raise typer.Exit(code)
