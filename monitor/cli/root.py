"""The command line: reads the configuration once, and hands plain arguments to the rooms.

Guarantees: what a person can mend is one line on stderr with exit code 2, never a traceback; with
--json stdout holds one JSON document and nothing else. Must never: hold logic of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from monitor import __version__
from monitor.cli import (
    alert_test,
    alerts,
    baseline,
    compare,
    deadletter,
    recalibrate,
    report,
    threshold,
)
from monitor.cli.event_files import read_events
from monitor.config import ConfigError, Settings, describe, describe_text, load
from monitor.config.asked import Role, database_url
from monitor.core.policies import Policy
from monitor.daemon.logs import configure_logs
from monitor.ingest.faults import (
    KafkaUnavailable,
    MessagesLost,
    PublishError,
    UnequalPartitions,
)
from monitor.printing import status as printing
from monitor.store.engine import DatabaseUnavailable, connect_once
from monitor.store.history import HistoryStore
from monitor.store.migrate import SchemaError, check, require_current, upgrade
from monitor.store.panes import PaneStore
from monitor.store.positions import Fenced
from monitor.watch import backtest as backtests
from monitor.watch.advice import stored_advices
from monitor.watch.schedule import stored_due
from monitor.watch.stored_reports import stored_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.delay_advice import LabelAdvice
    from monitor.core.events import ChangeEvent
    from monitor.core.fleet import Fleet
    from monitor.core.reports import SeriesReport

app = typer.Typer(
    name="calmon",
    help="Are your models' probabilities still honest? A streaming calibration drift monitor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
config = typer.Typer(help="The configuration file.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(config, name="config")
app.add_typer(baseline.app, name="baseline")
app.add_typer(deadletter.app, name="deadletter")
app.add_typer(alerts.silence, name="silence")
app.add_typer(recalibrate.app, name="recalibrate")
app.command()(alerts.ack)
app.command("threshold")(threshold.threshold)
app.command("report")(report.report)
app.command("compare")(compare.compare)
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

ConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file; else CALMON_CONFIG.")
]
PolicyPath = Annotated[
    Path | None, typer.Option("--policy", "-p", help="Configuration file with the policies.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Predictions = Annotated[Path, typer.Argument(help="Predictions: Parquet, CSV or JSONL.")]
Labels = Annotated[Path, typer.Argument(help="Labels: Parquet, CSV or JSONL.")]


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

    settings = _load(config_path)
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


@db.command("upgrade")
def db_upgrade(config_path: ConfigPath = None) -> None:
    """Create the schema, or bring it up to this version."""
    upgrade(database_url(_load(config_path)))
    typer.echo("the database schema is up to date")


@db.command("check")
def db_check(config_path: ConfigPath = None) -> None:
    """Say whether the schema is the one this version needs."""
    check(database_url(_load(config_path)))
    typer.echo("the database schema is up to date")


@config.command("check")
def config_check(
    path: Annotated[Path | None, typer.Argument(help="Configuration file.")] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Check the configuration and the environment, and do nothing else."""
    settings = _load(path or config_path)
    settings.require_receivers()
    typer.echo(json.dumps(describe(settings)) if as_json else describe_text(settings))


@app.command()
def replay(
    predictions: Predictions,
    labels: Labels,
    config_path: ConfigPath = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Event seconds a second; default: full speed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish two files to Kafka, in order of arrival."""
    # Kafka and Arrow: other commands need neither.
    from monitor.ingest.files import read_labels, read_predictions, with_models  # noqa: PLC0415
    from monitor.ingest.replay import arrival_order, producer, publish  # noqa: PLC0415

    settings = _load(config_path)
    options = settings.connections.kafka_options()
    if "bootstrap_servers" not in options:
        message = "no Kafka: set CALMON_KAFKA_BOOTSTRAP, like kafka-1:9092,kafka-2:9092"
        raise ValueError(message)
    predicted = read_predictions(predictions)
    labelled = with_models(read_labels(labels, predicted.claims), predicted)
    bootstrap = ",".join(options.pop("bootstrap_servers"))
    with printing.progress(len(predicted) + len(labelled)) as bar:
        kafka = producer(bootstrap, **options)
        sent = publish(
            arrival_order(predicted, labelled),
            kafka,
            {"predictions": settings.topics.predictions, "labels": settings.topics.labels},
            speed=speed,
            on_progress=bar.update,
        )
        kafka.close()
    found = {"published": sent, "labels_without_prediction": labelled.unmatched}
    typer.echo(json.dumps(found) if as_json else f"published {sent} events")


@app.command()
def backtest(  # noqa: PLR0913  # one parameter an option
    predictions: Predictions,
    labels: Labels,
    policy: PolicyPath = None,
    changes: Annotated[
        Path | None, typer.Option(help="Change events, a JSON object a line, as on the topic.")
    ] = None,
    *,
    as_json: AsJson = False,
    by_version: Annotated[bool, typer.Option("--by-version", help="A report a version.")] = False,
) -> None:
    """Say which alerts would have fired: the monitor over two files, without servers."""
    policy_for, fleet = _policies(policy)
    announced = _changes(changes)
    events = read_events(predictions, labels)
    counted, given, alerts = backtests.backtest(events, policy_for, announced, fleet)
    reports = backtests.series_reports(counted, by_version=by_version)
    if as_json:
        shown = {"series": reports, "alerts": [alert.as_json() for alert in alerts]}
        typer.echo(json.dumps(shown))
    else:
        printing.print_backtest(Console(), reports, given, alerts)


@app.command()
def status(
    model: Annotated[
        str | None, typer.Argument(help="One model, with its labels' delays and a fresh view.")
    ] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print every model's state."""
    settings = _load(config_path)
    url = database_url(settings)
    require_current(url)
    engine = connect_once(url, name="calmon status")
    panes = PaneStore(engine)
    history = HistoryStore(engine)
    found = printing.status_json(history, panes, model)
    schedule = stored_due(
        history, panes, model, lambda m: settings.policy_for(m) or settings.defaults
    )
    found["due"] = [each.as_json() for each in schedule]
    advice: list[LabelAdvice] = []
    reports: list[SeriesReport] = []
    if model is not None:
        reports = stored_reports(panes, model)
        found["claims"] = reports
        advice = stored_advices(panes, model, settings.policy_for(model) or settings.defaults)
        found["label_delays"] = printing.advice_json(advice)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        printing.print_status(Console(), found)
        printing.print_due(Console(), schedule)
        printing.print_claims(Console(), reports)
        printing.print_advice(Console(), advice)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"calmon {__version__}")


def _load(path: Path | None) -> Settings:
    return load(path, os.environ)


def _policies(path: Path | None) -> tuple[Callable[[str], Policy], Fleet | None]:
    if path is None:
        return lambda _: Policy(), None
    settings = _load(path)
    return lambda model: settings.policy_for(model) or settings.defaults, settings.fleet


def _changes(path: Path | None) -> Sequence[ChangeEvent]:
    if path is None:
        return ()
    from monitor.ingest.change_files import read_changes  # noqa: PLC0415  # Arrow; rarely asked for

    return read_changes(path)


def _stop(message: str, code: int = 2) -> NoReturn:
    # A damaged file's bytes stand in some messages, and must not steer a terminal.
    seen = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    typer.echo(f"calmon: {seen}", err=True)
    sys.exit(code)


def _stop_code(code: int) -> None:
    if code:
        raise typer.Exit(code)
