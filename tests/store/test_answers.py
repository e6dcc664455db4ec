"""Alerts over time as rows in Postgres: what is told, what is held back, and why."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from monitor.core.claims import Series
from monitor.core.episode.episodes import AlertKind, fingerprint
from monitor.core.episode.notices import Attempt, AttemptOutcome, notice_from_json
from monitor.core.episode.silences import Acknowledgement
from monitor.store.history import Brought, HistoryStore
from monitor.store.interactions import tell_one_again
from monitor.store.outbox import OutboxStore
from tests.store.world import (
    ALERTS,
    ALL,
    DE,
    DRIFTED,
    FR,
    LETTERS,
    OK,
    PLAIN,
    START,
    World,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Engine

    from monitor.store.sifting import Sifted

LIVES = {
    "flapping": "ooDooDooooooo",
    "labels stop": "oo-----DDooo-",
    "silenced": "ooDDDDDDDDooo",
    "acked": "ooDDDDDDDDooo",
    "resolved": "ooDDooooooooo",
}
TABLE = """
day | flapping     | labels stop  | silenced     | acked        | resolved
  0 | ok           | ok           | ok           | ok           | ok
  1 | ok           | ok           | ok           | ok           | ok
  2 | firing F     | pending      | firing (F)   | firing F     | firing F
  3 | recovering c | pending      | firing       | firing c     | firing
  4 | resolved R   | no data F    | firing       | firing       | recovering c
  5 | firing c     | no data      | firing (r)   | firing (r)   | resolved R
  6 | recovering c | no data      | firing F     | firing       | resolved
  7 | recovering   | firing c     | firing       | firing       | resolved
  8 | recovering   | firing       | firing r     | firing (r)   | resolved
  9 | recovering   | recovering c | firing       | firing       | resolved
 10 | resolved R   | resolved R   | recovering c | recovering c | resolved
 11 | resolved     | resolved     | resolved R   | resolved R   | resolved
 12 | resolved     | pending      | resolved     | resolved     | resolved
"""


def test_states_over_time(engine: Engine) -> None:
    """Each cell: the state, and what was told that day; in parentheses what was held back."""
    world = World(engine)
    world.history.silence(silence("model=silenced", days=5.5), START)
    lines = [["day", *LIVES]]
    for n in range(13):
        before = {model: len(world.told(model)) for model in LIVES}
        if n == 3:
            group_id = world.groups["acked"].group_id
            at = START + timedelta(days=n - 0.5)
            world.history.acknowledge(Acknowledgement(group_id, "bob", "retraining", at))
        world.day(n, {Series(model, "1"): LETTERS[life[n]] for model, life in LIVES.items()})
        line = [f"{n:>3}"]
        for model in LIVES:
            episode = world.episodes.get(Series(model, "1"))
            state = "ok" if episode is None else str(episode.state).replace("_", " ")
            line.append(" ".join([state, *_marks(world.told(model)[before[model] :])]))
        lines.append(line)
    shown = [" | ".join([line[0], *(c.ljust(12) for c in line[1:])]).rstrip() for line in lines]
    assert shown == TABLE.strip("\n").splitlines(), "\n".join(shown)


def _marks(told: list[tuple[str, str]]) -> list[str]:
    letter = {"fired": "F", "changed": "c", "reminded": "r", "resolved": "R"}
    return [
        letter[kind] if outcome == "delivered" else f"({letter[kind]})" for kind, outcome in told
    ]


def test_segments_that_fire_together_are_one_message_and_later_ones_join_it(
    engine: Engine,
) -> None:
    world = World(engine, PLAIN)
    many = {Series("m", "1", segment=f"country={n}"): DRIFTED for n in range(20)}
    world.day(0, many | {ALL: OK})
    assert world.told("m") == [("fired", "delivered")]
    (row,) = world.rows("SELECT payload FROM audit.notifications")
    notice = notice_from_json(row[0])
    assert len(notice.members) == 20
    assert notice.what == "20 series: drifted: a new episode fires"
    world.day(1, {ALL: DRIFTED}, shift=0.3)
    world.day(2, dict.fromkeys(many, OK))
    world.day(3, {ALL: OK})
    assert [kind for kind, _ in world.told("m")] == ["fired", "changed", "changed", "resolved"]
    (joined,) = world.rows("SELECT payload FROM audit.notifications WHERE kind = 'changed' LIMIT 1")
    notice = notice_from_json(joined[0])
    assert (notice.members[0].series, notice.severity) == (ALL, "critical")
    assert notice.what == "all traffic: drifted: a new episode fires"
    world.day(4, {ALL: DRIFTED})
    groups = world.rows("SELECT group_id, count(*) FROM audit.alerts GROUP BY 1")
    assert sorted(n for _, n in groups) == [1, 4]


def test_an_ack_holds_until_it_gets_worse_or_another_joins(engine: Engine) -> None:
    world = World(engine, replace(PLAIN, remind_every=timedelta(days=1)))

    def ack(n: float) -> None:
        at = START + timedelta(days=n)
        world.history.acknowledge(Acknowledgement(fingerprint(DE), "bob", "on it", at))

    world.day(0, {DE: DRIFTED})
    ack(0.5)
    world.day(1, {DE: DRIFTED})
    world.day(1.5, {DE: DRIFTED}, shift=0.2)
    world.day(2.5, {DE: DRIFTED}, shift=0.2)
    ack(3)
    world.day(3.5, {DE: DRIFTED})
    world.day(3.75, {DE: DRIFTED, FR: DRIFTED})
    world.day(4.75, {DE: DRIFTED, FR: DRIFTED})
    sent, held = ("reminded", "delivered"), ("reminded", "suppressed")
    assert [one for one in world.told("m") if one[0] == "reminded"] == [held, sent, held, sent]
    assert ("reminded", "suppressed", "acknowledged by bob at 2026-03-01T12:00:00Z: on it") in (
        world.details("m")
    )
    with pytest.raises(ValueError, match="no alert 'nothing' is open"):
        world.history.acknowledge(Acknowledgement("nothing", "bob", "on it", START))


def test_a_silence_of_one_member_silences_no_group_and_of_all_it_does(engine: Engine) -> None:
    world = World(engine, PLAIN)
    world.history.silence(silence("segment=country=DE", days=9), START)
    world.day(0, {DE: DRIFTED})
    assert world.told("m") == [("fired", "suppressed")]
    assert world.details("m")[0][2] == "silence 1 by ann until 2026-03-10T00:00:00Z: we know"
    world.day(1, {FR: DRIFTED})
    # Nobody was told of the beginning: what joins is told as one.
    assert world.told("m")[1:] == [("changed", "suppressed"), ("fired", "delivered")]
    world.history.silence(silence("model=~m|n", "severity=warning", days=9), START)
    world.deliver(1)
    assert world.told("m")[3:] == [("changed", "delivered")]
    world.day(2, {DE: OK})
    assert world.told("m")[4:] == [("changed", "suppressed")]
    world.day(3, {FR: OK})
    # The end of what was told is told.
    assert world.told("m")[5:] == [("resolved", "delivered")]


def test_a_silence_that_a_person_ends_tells_what_still_fires_and_has_a_row(engine: Engine) -> None:
    world = World(engine, PLAIN)
    silence_id, quiet = world.history.silence(silence("model=m", days=9), START)
    assert quiet == []
    world.day(0, {DE: DRIFTED})
    now = START + timedelta(days=1)
    assert [one.silence_id for one in world.history.silences(now)] == [silence_id]
    world.history.expire_silence(silence_id, "bob", "fixed", now)
    world.deliver(1)
    world.deliver(2)
    assert world.told("m") == [("fired", "suppressed"), ("fired", "delivered")]
    assert world.history.silences(now) == []
    assert world.rows("SELECT author, reason FROM audit.silence_expiries") == [("bob", "fixed")]
    with pytest.raises(ValueError, match=f"silence {silence_id} is over since"):
        world.history.expire_silence(silence_id, "bob", "fixed", now + timedelta(days=1))
    with pytest.raises(ValueError, match="there is no silence 77"):
        world.history.expire_silence(77, "bob", "fixed", now)


def out_without_its_picture(world: World, n: float) -> None:
    """Post what is due at day n; its picture fails, and is tried again at the end of the day."""
    at = START + timedelta(days=n)
    for one in world.outbox.pending(at):
        receipt = one.receipt or {"ts": one.sequence}
        later = Attempt(AttemptOutcome.RETRY, "no picture", receipt, at + timedelta(days=0.9))
        world.outbox.record_attempt(one.notification_id, at, later)


def test_the_end_of_a_silence_is_told_also_while_a_picture_is_missing(engine: Engine) -> None:
    world = World(engine, PLAIN, is_up=False)
    world.day(0, {DE: DRIFTED})
    out_without_its_picture(world, 0)
    world.history.silence(silence("model=m", days=1), START + timedelta(hours=1))
    world.outbox.sift(START + timedelta(hours=2))
    out_without_its_picture(world, 0.1)
    world.outbox.sift(START + timedelta(days=1))
    assert [kind for kind, _ in world.told("m")] == ["fired", "changed", "reminded"]


def test_edits_go_to_the_newest_message_also_when_an_older_ones_picture_comes_late(
    engine: Engine,
) -> None:
    world = World(engine, PLAIN, is_up=False, outbox_sifts=False)
    world.day(0, {DE: DRIFTED})
    out_without_its_picture(world, 0)
    with engine.begin() as connection:
        # A second beginning on the same route, as after a message that was lost.
        event = connection.execute(text("SELECT * FROM calmon.alert_event")).one()
        place = ("console", "stdout")
        tell_one_again(connection, event, place, "silence_end", "again", START, AlertKind.FIRED)
    (first, second) = sorted(
        (row[0], row[1])
        for row in world.rows("SELECT sequence, notification_id FROM calmon.notification")
    )
    at = START + timedelta(hours=1)
    done = Attempt(AttemptOutcome.DELIVERED, "delivered", {"ts": second[0]}, None)
    world.outbox.record_attempt(second[1], at, done)
    late = Attempt(AttemptOutcome.DELIVERED, "delivered", {"ts": first[0]}, None)
    world.outbox.record_attempt(first[1], at, late)
    world.day(1, {DE: OK})
    (one,) = world.outbox.pending(START + timedelta(days=1))
    assert one.parent_receipt == {"ts": second[0]}


def test_what_joins_after_a_silence_is_told_as_a_beginning_before_all_else(engine: Engine) -> None:
    world = World(engine, PLAIN)
    world.history.silence(silence("segment=country=DE", days=9), START)
    world.day(0, {DE: DRIFTED})
    world.is_up = False
    # Nothing is sifted between the two: both come after a beginning that was held back.
    world.outbox_sifts = False
    world.day(1, {FR: DRIFTED})
    world.day(2, {ALL: DRIFTED})
    world.outbox_sifts = True
    world.deliver(2)
    assert world.told("m") == [
        ("fired", "suppressed"),
        ("changed", "suppressed"),
        ("changed", "suppressed"),
        ("fired", "waits"),
    ]


def test_a_beginning_that_may_be_out_is_not_held_back(engine: Engine) -> None:
    world = World(engine, PLAIN, is_up=False)
    world.day(0, {DE: DRIFTED})
    (first,) = world.outbox.pending(START)
    later = START + timedelta(minutes=1)
    timed_out = Attempt(AttemptOutcome.RETRY, "did not answer in time", None, later)
    world.outbox.record_attempt(first.notification_id, START, timed_out)
    world.history.silence(silence("model=m", days=9), START)
    world.is_up = True
    world.deliver(1)
    world.day(2, {DE: OK})
    assert [one for one in world.told("m") if one[1] == "delivered"] == [
        ("fired", "delivered"),
        ("changed", "delivered"),
        ("resolved", "delivered"),
    ]


def test_news_that_waits_is_superseded_by_newer_news_and_never_overtaken(engine: Engine) -> None:
    world = World(engine, replace(PLAIN, keep_firing_for=timedelta(days=9)), is_up=False)
    world.day(0, {DE: DRIFTED})
    world.day(1, {DE: OK})
    world.day(2, {DE: DRIFTED})
    assert world.told("m") == [
        ("fired", "waits"),
        ("changed", "superseded"),
        ("changed", "waits"),
    ]
    (first,) = world.outbox.pending(START + timedelta(days=2))
    assert first.kind is AlertKind.FIRED
    world.is_up = True
    world.deliver(2)
    (_, after) = world.rows(
        "SELECT kind, receipt FROM audit.notifications WHERE outcome = 'delivered' "
        "ORDER BY sequence"
    )
    assert after[0] == "changed"


def test_a_receiver_that_comes_later_hears_a_beginning_and_all_hear_the_end(engine: Engine) -> None:
    world = World(engine, PLAIN)
    world.day(0, {DE: DRIFTED})
    world.routes = (("pager", "risk"),)
    world.day(1, {DE: DRIFTED}, shift=0.3)
    world.routes = ()
    world.day(2, {DE: OK})
    found = world.rows("SELECT route, kind FROM audit.notifications ORDER BY sequence")
    assert [kind for route, kind in found if route == "console"] == ["fired", "changed", "resolved"]
    assert [kind for route, kind in found if route == "pager"] == ["fired", "resolved"]


def test_what_is_read_back_goes_on_where_it_was(engine: Engine) -> None:
    world = World(engine, replace(ALERTS, pending_for=timedelta(hours=1)))
    for n, letter in enumerate("oDDo-oD"):
        world.day(n, {DE: LETTERS[letter]})
        assert world.history.episodes("m") == world.episodes
        assert world.history.groups() == world.groups


def test_a_change_of_the_week_before_is_told_with_the_alert(engine: Engine) -> None:
    world = World(engine, PLAIN)
    with engine.begin() as connection:
        for n, (version, day) in enumerate([(None, -9), ("1", -2), ("2", -1), (None, 1)]):
            connection.execute(
                text(
                    'INSERT INTO calmon.change_event (topic, partition, "offset", model, version, '
                    "kind, description, happened_at) "
                    "VALUES ('c', 0, :n, 'm', :v, 'deploy', :d, :at)"
                ),
                {"n": n, "v": version, "d": f"day {day}", "at": START + timedelta(days=day)},
            )
    world.day(0, {DE: DRIFTED})
    (row,) = world.rows("SELECT payload FROM audit.notifications")
    change = notice_from_json(row[0]).recent_change
    assert change is not None
    assert (change.kind, change.version, change.description) == ("deploy", "1", "day -2")


class Killed(Exception):  # noqa: N818  # what happened, not a fault
    """The process died here."""


@dataclass
class Mortal(World):
    """A world whose process dies at random: before a transaction, or just after it."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))

    @contextmanager
    def step(self) -> Iterator[None]:
        if self.rng.random() < 0.25:
            raise Killed
        yield
        if self.rng.random() < 0.25:
            raise Killed

    @property
    def history(self) -> HistoryStore:
        return Fragile(self.engine, self.step)

    @property
    def outbox(self) -> OutboxStore:
        return FragileOutbox(self.engine, self.step)


class Fragile(HistoryStore):
    def __init__(self, engine: Engine, step: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(engine)
        self._step = step

    def record(self, brought: Brought) -> None:
        with self._step():
            super().record(brought)


class FragileOutbox(OutboxStore):
    def __init__(self, engine: Engine, step: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(engine)
        self._step = step

    def sift(self, now: datetime) -> list[Sifted]:
        with self._step():
            return super().sift(now)

    def record_attempt(self, notification_id: str, at: datetime, attempt: Attempt) -> None:
        with self._step():
            super().record_attempt(notification_id, at, attempt)


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_dies_anywhere_loses_nothing_and_doubles_nothing(
    engine: Engine, seed: int
) -> None:
    """As a watcher does, a restart goes on from what is stored, and judges a day once."""
    life, kills = "oDDo?DooD--oooo", 0
    world, unbroken = Mortal(engine, rng=random.Random(seed)), World(engine)
    world.history.silence(silence("model=~m|n", days=2, since=4.5), START)
    mine, other = DE, Series("n", "1", segment="country=DE")
    for n, letter in enumerate(life):
        unbroken.day(n, {other: LETTERS[letter]})
        while True:
            at = START + timedelta(days=n)
            judged = world.rows(
                f"SELECT 1 FROM audit.evaluations WHERE model = 'm' AND evaluated_at = '{at}'"
            )
            try:
                if judged:
                    world.deliver(n)
                else:
                    world.day(n, {mine: LETTERS[letter]})
            except Killed:
                kills += 1
                world.episodes = HistoryStore(engine).episodes("m")
                world.groups = HistoryStore(engine).groups()
            else:
                break
    assert kills >= 8
    assert world.told("m") == unbroken.told("n")
    assert {outcome for _, outcome in world.told("m")} == {"delivered", "suppressed"}
