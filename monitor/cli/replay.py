"""`calmon replay`: two files to Kafka, in the order in which their events arrived.

Must never: touch the database.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from monitor.cli.options import AsJson, ConfigPath, Labels, Predictions
from monitor.config import load
from monitor.printing.progress import progress


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

    settings = load(config_path, os.environ)
    options = settings.connections.kafka_options()
    if "bootstrap_servers" not in options:
        message = "no Kafka: set CALMON_KAFKA_BOOTSTRAP, like kafka-1:9092,kafka-2:9092"
        raise ValueError(message)
    predicted = read_predictions(predictions)
    labelled = with_models(read_labels(labels, predicted.claims), predicted)
    bootstrap = ",".join(options.pop("bootstrap_servers"))
    with progress(len(predicted) + len(labelled)) as bar:
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
