"""Counting through Kafka and Postgres, interrupted anywhere, against a dictionary."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text

from monitor.core.counting.delay_cells import DelayCells
from monitor.core.panes import Cells
from monitor.core.policies import Policy
from monitor.store.ingest import Batch, DeadLetter, Flush, IngestStore
from monitor.store.positions import Advance, Fenced
from tests.naive_join import (
    CORRECTION_S,
    DAY_MS,
    HORIZON_S,
    PANE_S,
    Dictionary,
    Event,
    Label,
    Prediction,
    as_dict,
)
from tests.pipeline import Pipeline

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.servers import TestKafka

NAMES = {0: ("m0", "1"), 1: ("m0", "2"), 2: ("m1", "1")}
POLICY = Policy(
    pane=timedelta(seconds=PANE_S),
    cohort=timedelta(minutes=10),
    label_horizon=timedelta(seconds=HORIZON_S),
    correction_horizon=timedelta(seconds=CORRECTION_S),
)


def events(seed: int, n: int) -> list[Event]:
    """Predictions and labels in a wild order: early, repeated, corrected, retracted, too late."""
    rng = random.Random(seed)
    found: list[Event] = []
    for key in range(1, n + 1):
        series, ts_s = rng.choice([0, 0, 1, 2]), rng.randrange(600)
        prediction = Prediction(key, series, ts_s, rng.choice([0.3, 0.7, 1.0, rng.random()]))
        mine: list[Event] = [prediction] * rng.choice([1, 1, 1, 2])
        if rng.random() < 0.05:
            mine = []
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            age_s = rng.choice([1, 50, 100, 101, 500, 1000, 1001])
            model = 1 if series == 2 else 0
            mine.append(Label(key, model, ts_s + age_s, rng.choice([0.0, 1.0, 1.0, float("nan")])))
        if rng.random() < 0.3:
            rng.shuffle(mine)
        found += mine
    return found


def message(event: Event) -> tuple[str, str, bytes]:
    body: dict[str, object] = {"prediction_id": str(event.key), "ts": DAY_MS + event.ts_s * 1000}
    if isinstance(event, Prediction):
        model, version = NAMES[event.series]
        body |= {"model": model, "version": version, "score": event.score}
        return "predictions", str(event.key), json.dumps(body).encode()
    retracted = np.isnan(event.label)
    body |= {"model": f"m{event.model}", "op": "retract"} if retracted else {
        "model": f"m{event.model}", "label": int(event.label)}  # fmt: skip
    return "labels", str(event.key), json.dumps(body).encode()


BAD = [
    ("predictions", "1", b"not json"),
    ("labels", "2", b'{"prediction_id": "2"}'),
    ("changes", "3", b"[]"),
    ("predictions", "4", b""),
]


def counted(pipeline: Pipeline) -> dict[tuple[int, int, bool, int], tuple[int, ...]]:
    """Everything in the bins, under the series numbers of NAMES."""
    while pipeline.panes.fold():
        pass
    found: dict[tuple[int, int, bool, int], tuple[int, ...]] = {}
    for number, (model, version) in NAMES.items():
        series = [i for i, s in pipeline.panes.series(model).items() if s.version == version]
        for (_, pane, late, bin_), sums in as_dict(pipeline.panes.bins(series)).items():
            found[number, pane, late, bin_] = sums
    return found


def tallied(pipeline: Pipeline) -> Counter[tuple[str, int]]:
    with pipeline.engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, model_id, n FROM calmon.tally")).all()
    kinds: Counter[tuple[str, int]] = Counter()
    for kind, model, n in rows:
        kinds[kind, model] += n
    return kinds


@pytest.mark.parametrize(
    ("server", "seed"), [("mock_kafka", 1), ("real_kafka", 1), ("real_kafka", 2)]
)
def test_counts_equal_the_dictionary_whenever_the_worker_dies(
    request: pytest.FixtureRequest, engine: Engine, server: str, seed: int
) -> None:
    kafka: TestKafka = request.getfixturevalue(server)
    rng = random.Random(seed)
    wild = events(seed, 1500)
    naive = Dictionary()
    naive.feed(wild)
    pipeline = Pipeline.on(kafka, engine, lambda _: POLICY)
    messages = [message(event) for event in wild]
    pipeline.publish([*messages[:700], *BAD, *messages[700:]])
    total = len(messages) + len(BAD)
    for _ in range(4):
        flush_every = timedelta(seconds=rng.choice([0, 0, 60]))
        with pipeline.worker(flush_every, batch_events=rng.choice([50, 300])) as worker:
            for _ in range(rng.randrange(2, 9)):
                worker.step()
    with pipeline.worker(timedelta(seconds=60), batch_events=200) as worker:
        pipeline.drain(worker, total)
        worker.step()
        assert pipeline.panes.messages() == total
    assert counted(pipeline) == naive.counts()
    with pipeline.engine.connect() as connection:
        letters = connection.execute(text("SELECT reason FROM calmon.dead_letter")).scalars().all()
    assert sorted(letters) == ["bad_value", "empty", "missing_field", "not_json"]


def test_tallies_survive_a_crash_that_a_flush_would_have_written(
    kafka: TestKafka, engine: Engine
) -> None:
    prediction = Prediction(1, 0, 5, 0.5)
    pipeline = Pipeline.on(kafka, engine, lambda _: POLICY)
    pipeline.publish([message(prediction)] * 3)
    with pipeline.worker(timedelta(seconds=60)) as worker:
        while pipeline.panes.messages() < 3:
            worker.step()
    assert counted(pipeline) == {}
    with pipeline.worker(timedelta(seconds=0)) as worker:
        pipeline.drain(worker, 3)
    assert len(counted(pipeline)) == 1
    assert tallied(pipeline) == {("duplicate_prediction", 1): 2}


def test_a_model_that_is_not_declared_goes_to_the_dead_letters_if_so_configured(
    kafka: TestKafka, engine: Engine
) -> None:
    pipeline = Pipeline.on(kafka, engine, {"m0": POLICY}.get)
    known, unknown = Prediction(1, 0, 5, 0.5), Prediction(2, 2, 5, 0.5)
    pipeline.publish([message(known), message(unknown), message(Label(2, 1, 6, 1.0))])
    with pipeline.worker(timedelta(seconds=0)) as worker:
        pipeline.drain(worker, 3)
    assert len(counted(pipeline)) == 1
    with pipeline.engine.connect() as connection:
        letters = connection.execute(text("SELECT reason, detail FROM calmon.dead_letter")).all()
    assert [reason for reason, _ in letters] == ["unknown_model"] * 2
    assert "add it to `models`" in letters[0].detail


def test_old_rows_are_forgotten_and_a_restart_forgets_the_same(
    kafka: TestKafka, engine: Engine
) -> None:
    """After the correction horizon a row and its blocks go, but not its counts."""
    pipeline = Pipeline.on(kafka, engine, lambda _: POLICY, partitions=1)
    old: list[Event] = [Prediction(1, 0, 0, 0.5), Label(1, 0, 9, 1.0), Label(7, 0, 9, 1.0)]
    new: list[Event] = [Prediction(2, 0, 5000, 0.5), Label(2, 0, 5001, 0.0)]
    pipeline.publish([message(event) for event in old])
    with pipeline.worker(timedelta(seconds=0)) as worker:
        pipeline.drain(worker, 3)
        pipeline.publish([message(event) for event in new])
        pipeline.drain(worker, 5)
        worker.flush(evict=True)
        assert worker.rows == 1
    before = counted(pipeline)
    assert tallied(pipeline) == {("unmatched_label", 1): 1}
    # The old prediction again is too late now; its label waits and is never matched.
    pipeline.publish([message(event) for event in old[:2]])
    with pipeline.worker(timedelta(seconds=0)) as worker:
        pipeline.drain(worker, 7)
        assert worker.rows == 2
    assert counted(pipeline) == before
    assert tallied(pipeline) == {("unmatched_label", 1): 1, ("late_prediction", 1): 1}
    with pipeline.engine.connect() as connection:
        blocks = connection.execute(text("SELECT count(*) FROM calmon.join_block")).scalar_one()
    assert blocks < 5


def nothing() -> Flush:
    return Flush((0,), Cells.empty(), DelayCells.empty(), Counter())


def test_a_worker_that_lost_its_partition_can_write_nothing(engine: Engine) -> None:
    store = IngestStore(engine)
    [mine] = store.acquire("one", [("labels", 0)])
    [theirs] = store.acquire("two", [("labels", 0)])
    letter = DeadLetter("labels", 0, 0, "not_json", "why", None, b"x", None)
    zombie = Batch([Advance(mine, 10, {}, None, flushed=True)], dead_letters=[letter])
    with pytest.raises(Fenced, match="belong to another worker now"):
        store.commit(zombie)
    store.commit(Batch([Advance(theirs, 10, {1: 5}, None)], dead_letters=[letter]))
    with pytest.raises(Fenced):
        store.commit(Batch([Advance(theirs, 10, {}, None)], flush=nothing()))
    [again] = store.acquire("three", [("labels", 0)])
    assert (again.next_offset, again.watermarks) == (10, {1: 5})
