"""Contestant `rows`: the design one would try first, a row per pending prediction in Postgres.

Guarantees: exactly once, with the offsets in the transaction of their effects; both halves of the
join and the counting are set-based statements, one of each a batch, prepared on the server. As in
`quix`, duplicates, corrections and retractions are not told from first labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import make_url

from monitor.daemon.memory import tune_memory
from monitor.ingest.consumer import open_consumer, require_topics
from monitor.ingest.formats import decode_labels, decode_predictions, epoch_ms
from tests.benchmarks.ingest.contest import BATCH_EVENTS, Stopwatch, Task, answer

if TYPE_CHECKING:
    from kafka import TopicPartition

    from monitor.ingest.formats import LabelEvent, PredictionEvent

SCHEMA = """
CREATE TABLE pending (
    prediction_id text, model text, version text, segments text, pane bigint, bin integer,
    PRIMARY KEY (prediction_id, model));
CREATE TABLE early_label (
    prediction_id text, model text, label integer, PRIMARY KEY (prediction_id, model));
CREATE TABLE bin (
    model text, version text, segments text, pane bigint, bin integer,
    predicted bigint DEFAULT 0, labelled bigint DEFAULT 0, positive bigint DEFAULT 0,
    PRIMARY KEY (model, version, segments, pane, bin));
CREATE TABLE next_offset (
    topic text, partition integer, next_offset bigint, PRIMARY KEY (topic, partition));
"""

PREDICTIONS = """
WITH arrived AS (
    INSERT INTO pending
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[])
    ON CONFLICT DO NOTHING RETURNING *)
INSERT INTO bin (model, version, segments, pane, bin, predicted)
SELECT model, version, segments, pane, bin, count(*) FROM arrived GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (model, version, segments, pane, bin)
DO UPDATE SET predicted = bin.predicted + excluded.predicted
"""

# NOT IN is looked up in a hash table, whatever number of matches the planner expects.
LABELS = """
WITH label AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::int[]) AS l(prediction_id, model, label)),
matched AS (
    DELETE FROM pending p USING label l
    WHERE (p.prediction_id, p.model) = (l.prediction_id, l.model) RETURNING p.*, l.label),
counted AS (
    INSERT INTO bin (model, version, segments, pane, bin, labelled, positive)
    SELECT model, version, segments, pane, bin, count(*), sum(label) FROM matched
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (model, version, segments, pane, bin)
    DO UPDATE SET labelled = bin.labelled + excluded.labelled,
                  positive = bin.positive + excluded.positive)
INSERT INTO early_label
SELECT * FROM label WHERE (prediction_id, model) NOT IN (SELECT prediction_id, model FROM matched)
ON CONFLICT DO NOTHING
"""

EARLY = """
DELETE FROM early_label e USING unnest(%s::text[], %s::text[]) AS p(prediction_id, model)
WHERE (e.prediction_id, e.model) = (p.prediction_id, p.model) RETURNING e.*
"""

OFFSETS = """
INSERT INTO next_offset SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""

PANE_MS = 3_600_000
BINS = 60


def count(
    database: psycopg.Connection,
    predictions: list[PredictionEvent],
    labels: list[LabelEvent],
    offsets: dict[TopicPartition, int],
) -> None:
    """Count one batch, in one transaction."""
    with database.transaction(), database.cursor(binary=True) as cursor:
        late = [(label.prediction_id, label.model, int(label.label or 0)) for label in labels]
        if predictions:
            ids = [event.prediction_id for event in predictions]
            models = [event.model for event in predictions]
            versions = [event.version for event in predictions]
            segments = [bytes(event.segments).decode() for event in predictions]
            panes = [epoch_ms(event.ts) // PANE_MS for event in predictions]
            bins = [min(int(event.score * BINS), BINS - 1) for event in predictions]
            cursor.execute(PREDICTIONS, [ids, models, versions, segments, panes, bins])
            cursor.execute(EARLY, [ids, models])
            late += cursor.fetchall()
        if late:
            cursor.execute(LABELS, [list(column) for column in zip(*late, strict=True)])
        tps = list(offsets)
        cursor.execute(
            OFFSETS, [[t.topic for t in tps], [t.partition for t in tps], list(offsets.values())]
        )


def main() -> None:
    task = Task.read()
    url = make_url(task.database_url).set(drivername="postgresql")
    database = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
    database.execute(SCHEMA)
    # Planned while the tables are empty, the joins would read them whole for ever after: now and
    # then in nested loops, and hours long.
    database.execute("SET enable_seqscan = off")
    database.execute("SET plan_cache_mode = force_custom_plan")
    consumer = open_consumer(task.kafka, task.group, BATCH_EVENTS, without_offset="earliest")
    topics = (task.predictions, task.labels, task.changes)
    consumer.subscribe(list(topics))
    require_topics(consumer, topics)
    tune_memory()
    watch = Stopwatch()
    left = task.n_events
    while left:
        predictions: list[bytes | None] = []
        labels: list[bytes | None] = []
        offsets: dict[TopicPartition, int] = {}
        wanted, timeout_ms = BATCH_EVENTS, 1000
        while wanted > 0:
            polled = consumer.poll(timeout_ms=timeout_ms, max_records=wanted)
            for partition, records in polled.items():
                into = predictions if partition.topic == task.predictions else labels
                into.extend([record.value for record in records])
                offsets[partition] = records[-1].offset + 1
                wanted -= len(records)
            if not polled:
                break
            watch.received()
            timeout_ms = 100
        if offsets:
            scored = decode_predictions(predictions), decode_labels(labels)
            count(database, *scored, offsets)  # type: ignore[arg-type]  # all are binary
        left -= len(predictions) + len(labels)
        seconds = watch.seconds
    consumer.close(autocommit=False)
    sums = database.execute(
        "SELECT sum(predicted)::bigint, sum(labelled)::bigint, sum(positive)::bigint FROM bin"
    ).fetchone()
    answer(seconds=seconds, counts=list(sums or ()))


if __name__ == "__main__":
    main()
