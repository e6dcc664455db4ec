"""The sample of labelled rows in the database, written by real workers, against a dictionary.

Workers, store and database are the product's own; Kafka is in memory, and connections break where a
run says so. Whatever was done, once all is read the sample is that of the dictionary: `==`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitor.core.counting import labelled_sample
from monitor.core.kinds import ClaimSet
from monitor.core.policies import Policy
from monitor.ingest.decoding import Decoding
from monitor.ingest.series_book import SeriesBook
from monitor.store.engine import DatabaseUnavailable, connect
from monitor.store.ingest import IngestStore
from monitor.store.labelled_samples import LabelledSampleStore
from monitor.store.positions import Fenced
from tests.faulty_postgres import Breakage, Fault, Faults
from tests.ingest.worker_world import PARTITIONS, TOPICS, Member, World, settle
from tests.typed import bare_environment, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

DAY_MS = 86_400_000
START_DAY = 20_000
LATE, EXPIRED = timedelta(days=1), timedelta(days=90)
POLICIES = {
    "classes": Policy(
        claims=ClaimSet(classes=("a", "b")), label_horizon=LATE, correction_horizon=EXPIRED
    ),
    "answers": Policy(
        claims=ClaimSet(sources=("judge", "words")), label_horizon=LATE, correction_horizon=EXPIRED
    ),
    "scores": Policy(label_horizon=LATE, correction_horizon=EXPIRED),
}
SIZE = 2
"""Predictions that are kept of a day, in these tests."""

Sample = dict[tuple[str, int, int, str, int], dict[str, tuple[float, int | None]]]


@dataclass(frozen=True)
class Predicted:
    id: int
    model: str
    version: str
    day: int
    stated: tuple[float | None, float | None]

    @property
    def ts_ms(self) -> int:
        return (START_DAY + self.day) * DAY_MS + self.id

    @property
    def claims(self) -> dict[str, float]:
        if self.model == "classes":
            return {"class:a": self.score, "class:b": 1 - self.score}
        names = ("confidence:judge", "confidence:words")
        there = zip(names, self.stated, strict=True)
        return {name: score for name, score in there if score is not None}

    @property
    def score(self) -> float:
        return 0.5 if self.stated[0] is None else self.stated[0]

    def wire(self) -> dict[str, object]:
        body = {"prediction_id": str(self.id), "version": self.version, "ts": self.ts_ms}
        if self.model == "scores":
            return {**body, "score": self.score}
        if self.model == "classes":
            return {**body, "probs": [self.score, 1 - self.score]}
        stated = {name.partition(":")[2]: score for name, score in self.claims.items()}
        return {**body, "confidences": stated or {"judge": 0.5}}


@dataclass(frozen=True)
class Labelled:
    id: int
    model: str
    day: float
    right: bool | None
    """Class a, or a right answer; None retracts."""

    @property
    def ts_ms(self) -> int:
        return int((START_DAY + self.day) * DAY_MS) + self.id

    def wire(self) -> dict[str, object]:
        body: dict[str, object] = {"prediction_id": str(self.id), "ts": self.ts_ms}
        if self.right is None:
            return {**body, "op": "retract"}
        label = "ab"[not self.right] if self.model == "classes" else int(self.right)
        return {**body, "label": label}

    def outcome(self, claim: str) -> int | None:
        return None if self.right is None else int(self.right != (claim == "class:b"))


class Sent:
    """Everything that was sent, by partition in its order, and what becomes of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._predicted: list[Predicted] = []
        self._labelled: list[Labelled] = []
        self.met: Counter[str] = Counter()

    def send(self, event: Predicted | Labelled) -> None:
        is_prediction = isinstance(event, Predicted)
        topic = TOPICS.predictions if is_prediction else TOPICS.labels
        body = json.dumps({"model": event.model, **event.wire()}).encode()
        key = str(event.id).encode()
        # Times of messages lie after all events: none is refused as of the future.
        later_ms = (START_DAY + 400) * DAY_MS
        self._world.kafka.publish(topic, event.id % PARTITIONS, body, key=key, timestamp=later_ms)
        if isinstance(event, Predicted):
            self._predicted.append(event)
        else:
            self._labelled.append(event)

    def sample(self, hashes: Callable[[str, int], int]) -> Sample:
        """From scratch."""
        found: Sample = {}
        for (model, id_), claims in self._first().items():
            for claim, (predicted, score) in claims.items():
                in_force = self._in_force(model, id_, predicted.ts_ms)
                if in_force is None or model == "scores":
                    continue
                place = (model, id_ % PARTITIONS, predicted.day, predicted.version)
                stated = found.setdefault((*place, hashes(model, id_)), {})
                stated[claim] = (score, in_force.outcome(claim))
        newest = {key[:2]: max(k[2] for k in found if k[:2] == key[:2]) for key in found}
        kept = [k for k in found if k[2] > newest[k[:2]] - labelled_sample.KEPT_DAYS]
        sample = {
            k: found[k]
            for k in kept
            if k[4] in sorted(other[4] for other in kept if other[:4] == k[:4])[:SIZE]
        }
        self.met["beyond the days"] += len(found) - len(kept)
        self.met["beyond the size"] += len(kept) - len(sample)
        outcomes = [y for claims in sample.values() for _, y in claims.values()]
        self.met.update(f"outcome {y}" for y in outcomes)
        self.met["not of all sources"] += sum(len(claims) == 1 for claims in sample.values())
        return sample

    def _first(self) -> dict[tuple[str, int], dict[str, tuple[Predicted, float]]]:
        """The first prediction of each claim of an id."""
        claims: dict[tuple[str, int], dict[str, tuple[Predicted, float]]] = {}
        for one in self._predicted:
            known = claims.setdefault((one.model, one.id), {})
            stated = one.claims or {"confidence:judge": 0.5}
            for claim, score in stated.items():
                known.setdefault(claim, (one, score))
        return claims

    def _in_force(self, model: str, id_: int, ts_ms: int) -> Labelled | None:
        """The newest label; those past the label horizon, which are corrections, before others."""
        on_time: Labelled | None = None
        late: Labelled | None = None
        for one in self._labelled:
            age_ms = one.ts_ms - ts_ms
            if (one.model, one.id) != (model, id_) or age_ms > EXPIRED.total_seconds() * 1000:
                continue
            if age_ms <= LATE.total_seconds() * 1000:
                on_time = one if on_time is None or one.ts_ms >= on_time.ts_ms else on_time
            else:
                late = one if late is None or one.ts_ms >= late.ts_ms else late
        return late or on_time


def stored(engine: Engine) -> Sample:
    found: Sample = {}
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT m.name, shard, predicted_on - DATE '1970-01-01', version, key, claims "
            "FROM calmon.labelled_sample JOIN calmon.model m USING (model_id)"
        )
        for model, shard, day, version, key, claims in rows:
            place = (model, shard, day - START_DAY, version, key + 2**63)
            found[place] = {claim: (score, y) for claim, (score, y) in claims.items()}
    return found


class Run:
    """One run: a world, up to two workers, and what befalls them."""

    def __init__(self, url: str) -> None:
        self.world = World(url, policy_for=POLICIES.get)
        self.sent = Sent(self.world)
        self.members: list[Member] = []
        self.met: Counter[str] = Counter()

    def act(self, action: str, which: int, fault: Fault | None) -> None:
        if action == "start" or not self.members:
            if len(self.members) < 2:
                name = f"worker-{sum(self.met.values())}"
                self.members.append(self.world.start(name, 10, 0.0 if which else 1e6, Faults()))
            self.met["start"] += 1
            return
        member = self.members[which % len(self.members)]
        member.faults.arm(fault)
        if action == "crash":
            self._bury(member)
        elif action == "step":
            # The first steps join the group and take over.
            for _ in range(4):
                if not self._do(member, member.worker.step):
                    break
        elif not self._do(member, member.worker.flush):
            # A process whose last flush failed ends.
            self._bury(member)
        self.met[action] += 1

    def drain(self) -> None:
        for member in self.members:
            member.faults.arm(None)
            self._do(member, member.worker.step)
        if not self.members:
            self.act("start", 0, None)
        settle(self.world, self.members)
        for member in self.members:
            member.worker.flush(evict=True)

    def close(self) -> None:
        for member in self.members:
            member.die()
        self.world.close()

    def _do(self, member: Member, action: Callable[[], object]) -> bool:
        try:
            action()
        except DatabaseUnavailable:
            self.met["no database"] += 1
            return False
        except Fenced:
            self.met["fenced"] += 1
            self._bury(member)
            return False
        return True

    def _bury(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
        member.die()
        self.world.kafka.group.remove(member.consumer)


def traffic(seed: int) -> list[Predicted | Labelled]:
    """Predictions of a few ids, and labels most of which are for them, in any order."""
    rng = random.Random(seed)
    confidences = [None, 0.25, 0.1, 1.0, 1 / 3]
    found: list[tuple[float, Predicted | Labelled]] = []
    for _ in range(45):
        model = rng.choice(["classes", "answers", "answers", "answers", "scores"])
        one = Predicted(
            rng.randrange(18),
            model,
            rng.choice(["1", "1", "1", "2"]),
            rng.choice([0] * 6 + [1, 27, 28, 30]),
            (rng.choice(confidences), rng.choice(confidences)),
        )
        at = rng.random()
        found.append((at, one))
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            day = one.day + rng.choice([-0.1, 0.1, 0.1, 0.5, 2, 30, 89.5, 90.5])
            right = rng.choice([True, False, False, None])
            found.append((at + rng.gauss(0.1, 0.2), Labelled(one.id, model, day, right)))
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


_faults = st.none() | st.builds(Fault, st.sampled_from(Breakage), st.integers(0, 2))
_actions = st.tuples(
    st.sampled_from(["step", "step", "step", "flush", "crash", "start"]), st.integers(0, 1), _faults
)
MET: Counter[str] = Counter()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_sample, "CLAIMS_A_DAY", 2 * SIZE)
    monkeypatch.setattr(labelled_sample, "FEWEST_A_DAY", SIZE)


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**32), st.lists(_actions, min_size=2, max_size=8)),
        min_size=1,
        max_size=3,
    )
)
def _as_the_dictionary(
    url: str, rounds: list[tuple[int, list[tuple[str, int, Fault | None]]]]
) -> None:
    run = Run(url)
    engine = connect(url)
    try:
        for seed, actions in rounds:
            for event in traffic(seed):
                run.sent.send(event)
            for action in actions:
                run.act(*action)
        run.drain()
        store = IngestStore(engine)
        book = SeriesBook(store, POLICIES.get)
        decoding = Decoding(book, store.hash_seed(), timedelta())

        def hashes(model: str, id_: int) -> int:
            return int(decoding.keys([str(id_)], book.models([model]))[0])

        expected = run.sent.sample(hashes)
        assert stored(engine) == expected
        MET.update(run.met + run.sent.met)
    finally:
        engine.dispose()
        run.close()


@pytest.mark.usefixtures("small")
def test_whatever_happens_the_sample_is_that_of_the_dictionary(postgres_url: str) -> None:
    MET.clear()
    _as_the_dictionary(postgres_url)
    assert set(+MET) >= {
        "start", "step", "flush", "crash", "no database", "beyond the days", "beyond the size",
        "outcome 0", "outcome 1", "outcome None", "not of all sources",
    }, MET  # fmt: skip


def test_a_source_that_comes_later_joins_the_others(engine: Engine, postgres_url: str) -> None:
    run = Run(postgres_url)
    try:
        for event in (
            Predicted(1, "answers", "1", 0, (0.25, None)),
            Labelled(1, "answers", 0.1, right=True),
            Predicted(1, "answers", "1", 0, (None, 1.0)),
        ):
            run.sent.send(event)
            run.drain()
    finally:
        run.close()
    [claims] = stored(engine).values()
    assert claims == {"confidence:judge": (0.25, 1), "confidence:words": (1.0, 1)}


def told(url: str, name: str, claims: ClaimSet, rows: list[dict[str, object]]) -> tuple[str, str]:
    """What `calmon status` says, as JSON and in words, once the rows came through a worker."""
    world = World(url, policy_for={name: Policy(claims=claims)}.get)
    try:
        for number, row in enumerate(rows):
            for topic, fields in (
                (TOPICS.predictions, {"version": "3", **row}),
                (TOPICS.labels, {"label": row["label"]}),
            ):
                body = {"prediction_id": str(number), "model": name, "ts": START_DAY * DAY_MS}
                sent = {key: value for key, value in fields.items() if key != "label"}
                wire = body | (fields if topic == TOPICS.labels else sent)
                world.kafka.publish(topic, number % PARTITIONS, json.dumps(wire).encode())
        member = world.start("worker", 20_000, 0.0, Faults())
        settle(world, [member])
        member.worker.flush()
    finally:
        world.close()
    environment = bare_environment() | {"CALMON_DATABASE_URL": url}
    found = [typed("status", name, *more, environment=environment) for more in (["--json"], [])]
    assert [done.returncode for done in found] == [0, 0], found[0].stderr
    return found[0].stdout, found[1].stdout


def from_file(path: Path, columns: list[str], rows: list[list[object]]) -> dict[str, Any]:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    found: dict[str, Any] = json.loads(
        typed("report", str(path), "--json", environment=bare_environment()).stdout
    )
    return found


DAY = {"since": "2024-10-04", "until": "2024-10-04"}


def test_one_temperature_is_that_of_a_file_with_the_same_rows(
    postgres_url: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    honest = rng.dirichlet((3, 2, 1), 300)
    label = (honest.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1)
    stated = honest**2 / (honest**2).sum(axis=1, keepdims=True)
    names = ("home", "draw", "away")
    claims = ClaimSet(classes=names)
    rows: list[dict[str, object]] = [
        {"probs": p, "label": names[y]} for p, y in zip(stated.tolist(), label, strict=True)
    ]
    said, words = told(postgres_url, "match", claims, rows)
    [found] = json.loads(said)["temperatures"]
    table = [[*p, names[y]] for p, y in zip(stated.tolist(), label, strict=True)]
    [expected] = from_file(
        tmp_path / "match.csv", [*(f"p_{name}" for name in names), "label"], table
    )["temperatures"]
    assert found.items() >= {"model": "match", "version": "3", "rows": 300, **DAY}.items()
    for name in ("temperature", "log_loss_before", "log_loss_after"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9)
    assert found["temperature"] > 1.5
    assert f"match 3: temperature {expected['temperature']:.3f} would make all classes'" in words
    assert "from a uniform sample of 300 labelled predictions of 2024-10-04" in words


def test_corroboration_is_that_of_a_file_with_the_same_rows(
    postgres_url: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(9)
    right = (rng.random(200) < 0.7).astype(int)
    judge = np.clip(right * 0.4 + rng.random(200) * 0.6, 0, 1).round(2).tolist()
    words = [None if rng.random() < 0.2 else 0.9 if rng.random() < 0.8 else 0.3 for _ in right]
    rows: list[dict[str, object]] = [
        {
            "confidences": {"judge": a} if b is None else {"judge": a, "verbalized": b},
            "label": int(y),
        }
        for a, b, y in zip(judge, words, right, strict=True)
    ]
    said, lines = told(postgres_url, "bot", ClaimSet(sources=("judge", "verbalized")), rows)
    [found] = json.loads(said)["corroboration"]
    table = [["" if b is None else b, a, y] for a, b, y in zip(judge, words, right, strict=True)]
    columns = ["confidence_verbalized", "confidence_judge", "label"]
    [expected] = from_file(tmp_path / "bot.csv", columns, table)["corroboration"]
    expected |= {"model": "bot", "version": "3", "source": "judge", "other": "verbalized", **DAY}
    assert found == expected
    assert 100 < found["n"] < 200
    assert found["agree_low"] < found["agree"] < found["agree_high"]
    shown = f"{found['agree']:.1%} ({found['agree_low']:.1%} to {found['agree_high']:.1%})"
    assert f"bot 3: judge and verbalized agree on {shown} of {found['n']} answers" in lines


def test_one_busy_day_is_cut_as_the_others_are(engine: Engine) -> None:
    """Else rows of quiet days would be drawn more often than those of busy ones."""
    [number] = IngestStore(engine).model_ids(["m"]).values()
    busy, quiet = [(0, key, 3) for key in (1, 2, 3)], [(1, key, 3) for key in (2, 9)]
    with engine.begin() as connection:
        for day, key, size in (*busy, *quiet):
            connection.exec_driver_sql(
                "INSERT INTO calmon.labelled_sample VALUES "
                "(%s, 0, DATE '2026-01-01' + %s, '1', %s, %s, '{\"class:a\": [0.5, 1]}')",
                (number, day, key, size),
            )
    store = LabelledSampleStore(engine)
    assert [one.predicted_on.day for one in store.drawn("m")] == [1, 1, 2, 1]
    assert len(store.drawn("m", most=2)) == 2
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT model, place, claim, score, outcome FROM audit.labelled_samples "
            "ORDER BY predicted_on, place"
        )
        assert [tuple(row) for row in rows] == [
            ("m", place, "class:a", 0.5, 1) for place in (1, 2, 3, 1, 2)
        ]
