"""Alerts that were told before there were groups go on after the upgrade."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from monitor.core.claims import Series
from monitor.core.episode.episodes import EpisodeState, episode_id, fingerprint
from monitor.store.engine import connect
from monitor.store.history import HistoryStore
from monitor.store.migrate import check, downgrade, upgrade
from monitor.store.outbox import OutboxStore
from tests.store.world import LETTERS, PLAIN, START, World

if TYPE_CHECKING:
    from sqlalchemy import Engine

OPEN, OVER = Series("open", "1"), Series("over", "1")
FIRED_AT = START - timedelta(days=3)


def tell(engine: Engine, series: Series, kind: str, at: datetime) -> None:
    """A verdict, its alert and its notification, as revision 0007 wrote them."""
    name = episode_id(series, FIRED_AT)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO calmon.policy (fingerprint, body) VALUES ('f', '{}') "
                "ON CONFLICT DO NOTHING"
            )
        )
        evaluation = connection.execute(
            text(
                "INSERT INTO calmon.evaluation (model, version, claim, segment, status, reason, "
                "evaluated_at, window_start_at, window_end_at, evidence, policy_fingerprint) "
                "VALUES (:m, '1', 'positive', '', 'DRIFTED', 'why', :at, :at, :at, '{}', 'f') "
                "RETURNING evaluation_id"
            ),
            {"m": series.model, "at": at},
        ).scalar_one()
        event = connection.execute(
            text(
                "INSERT INTO calmon.alert_event (episode_id, fingerprint, kind, model, version, "
                "claim, segment, fired_at, happened_at, direction, cause, evaluation_id) VALUES "
                "(:e, :p, :k, :m, '1', 'positive', '', :f, :at, 'overconfident', 'map', :v) "
                "RETURNING alert_event_id"
            ),
            {
                "e": name, "p": fingerprint(series), "k": kind, "m": series.model,
                "f": FIRED_AT, "at": at, "v": evaluation,
            },
        ).scalar_one()  # fmt: skip
        connection.execute(
            text(
                "INSERT INTO calmon.notification (notification_id, alert_event_id, route, target, "
                "episode_id, kind, payload) VALUES (:n, :a, 'console', 'stdout', :e, :k, '{}')"
            ),
            {"n": f"{name}:{kind}:console:stdout", "a": event, "e": name, "k": kind},
        )


def test_what_was_told_before_groups_goes_on_in_a_group_of_its_own(
    empty_postgres_url: str,
) -> None:
    upgrade(empty_postgres_url, "0007")
    engine = connect(empty_postgres_url)
    tell(engine, OPEN, "fired", FIRED_AT)
    tell(engine, OVER, "fired", FIRED_AT)
    tell(engine, OVER, "resolved", FIRED_AT + timedelta(days=1))
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
    history = HistoryStore(engine)
    episode = history.episodes("open")[OPEN]
    assert (episode.state, episode.fired_at) == (EpisodeState.FIRING, FIRED_AT)
    over = history.episodes("over")[OVER]
    assert (over.state, over.resolved_at) == (EpisodeState.RESOLVED, FIRED_AT + timedelta(days=1))
    groups = history.groups()
    assert [groups[m].is_open for m in ("open", "over")] == [True, False]
    assert groups["open"].group_id == episode.episode_id
    # Its end is told where its beginning was, after it.
    world = World(engine, PLAIN, episodes={OPEN: episode}, groups=groups, is_up=False)
    world.day(0, {OPEN: LETTERS["o"]})
    assert world.told("open") == [("fired", "waits"), ("resolved", "waits")]
    waiting = OutboxStore(engine).pending(datetime(2026, 4, 1, tzinfo=UTC))
    assert next(one.group_id for one in waiting) == episode.episode_id
    downgrade(empty_postgres_url, "0007")
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
    engine.dispose()
