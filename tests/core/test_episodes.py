from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import TYPE_CHECKING

import pytest

from monitor.core.claims import Series
from monitor.core.episodes import (
    AlertKind,
    Decision,
    Episode,
    EpisodeState,
    decide,
    episode_id,
    fingerprint,
)
from monitor.core.verdicts import Cause, Direction, Evidence, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAUD = Series("fraud", "7")
START = datetime(2026, 3, 1, tzinfo=UTC)


def verdict(status: Status, *, series: Series = FRAUD) -> Verdict:
    drifted = status is Status.DRIFTED
    return Verdict(
        series=series,
        status=status,
        reason=f"made {status} for this test",
        evaluated_at=START,
        window_start_at=START - timedelta(days=9),
        window_end_at=START - timedelta(days=2),
        evidence=Evidence(
            e_value=2e6 if drifted else 3.0,
            alarm_at=1e6,
            labels_seen=5000,
            drift_since_at=None,
            sigma=0.1,
            coverage=0.9,
            direction=Direction.OVERCONFIDENT if drifted else None,
            cause=Cause.MAP if drifted else None,
            shift=None,
            shift_low=None,
            shift_high=None,
            gap_shift=None,
            map_part=None,
            mix_part=None,
            baseline=None,
            window=None,
            bins=(),
            baseline_bins=(),
            worst_bins=(),
            repair=None,
        ),
    )


def episode(state: EpisodeState | None, series: Series = FRAUD) -> Episode | None:
    if state is None:
        return None
    return Episode(
        episode_id=episode_id(series, START),
        fingerprint=fingerprint(series),
        series=series,
        state=state,
        fired_at=START,
        resolved_at=START + timedelta(days=1) if state is EpisodeState.RESOLVED else None,
        direction=Direction.OVERCONFIDENT,
        cause=Cause.MAP,
    )


NONE, FIRING, RESOLVED = None, EpisodeState.FIRING, EpisodeState.RESOLVED

# (state before, status): (state after, alert, reason)
TABLE: dict[
    tuple[EpisodeState | None, Status], tuple[EpisodeState | None, AlertKind | None, str]
] = {
    (NONE, Status.OK): (NONE, None, "no drift and nothing open"),
    (NONE, Status.DRIFTED): (FIRING, AlertKind.FIRED, "drifted: a new episode fires"),
    (NONE, Status.INSUFFICIENT): (NONE, None, "too few labels to judge, and nothing open"),
    (NONE, Status.NO_DATA): (NONE, None, "no data, and nothing open"),
    (FIRING, Status.OK): (RESOLVED, AlertKind.RESOLVED, "back to its baseline: resolved"),
    (FIRING, Status.DRIFTED): (FIRING, None, "still drifted: this episode has been told"),
    (FIRING, Status.INSUFFICIENT): (
        FIRING,
        None,
        "too few labels to call it over: keeps firing",
    ),
    (FIRING, Status.NO_DATA): (FIRING, None, "no data to call it over: keeps firing"),
    (RESOLVED, Status.OK): (RESOLVED, None, "no drift and nothing open"),
    (RESOLVED, Status.DRIFTED): (
        FIRING,
        AlertKind.FIRED,
        "drifted again after a resolved episode: a new episode fires",
    ),
    (RESOLVED, Status.INSUFFICIENT): (
        RESOLVED,
        None,
        "too few labels to judge, and nothing open",
    ),
    (RESOLVED, Status.NO_DATA): (RESOLVED, None, "no data, and nothing open"),
}


@pytest.mark.parametrize(
    ("state", "status"), list(product([NONE, FIRING, RESOLVED], Status)), ids=str
)
def test_every_state_and_status_has_one_answer_and_its_reason(
    state: EpisodeState | None, status: Status
) -> None:
    before = episode(state)
    decision = decide(verdict(status), before, START + timedelta(days=3))
    after = decision.episode.state if decision.episode else None
    assert (after, decision.alert, decision.reason) == TABLE[state, status]
    if decision.alert is None:
        assert decision.episode == before, "without an alert the episode stays as it was"


def test_an_alarm_opens_an_episode_with_what_the_verdict_found() -> None:
    now = START + timedelta(hours=5)
    assert decide(verdict(Status.DRIFTED), None, now) == Decision(
        episode=Episode(
            episode_id=episode_id(FRAUD, now),
            fingerprint=fingerprint(FRAUD),
            series=FRAUD,
            state=EpisodeState.FIRING,
            fired_at=now,
            resolved_at=None,
            direction=Direction.OVERCONFIDENT,
            cause=Cause.MAP,
        ),
        alert=AlertKind.FIRED,
        reason="drifted: a new episode fires",
    )


def test_resolving_keeps_everything_but_state_and_end() -> None:
    before = episode(EpisodeState.FIRING)
    assert before is not None
    now = START + timedelta(days=4)
    after = decide(verdict(Status.OK), before, now).episode
    assert after == replace(before, state=EpisodeState.RESOLVED, resolved_at=now)


def told(statuses: Sequence[Status]) -> list[tuple[int, AlertKind, str]]:
    """Day, kind and episode id of every alert of a series with one verdict a day."""
    last: Episode | None = None
    alerts = []
    for day, status in enumerate(statuses):
        decision = decide(verdict(status), last, START + timedelta(days=day))
        last = decision.episode
        if decision.alert:
            assert last is not None
            alerts.append((day, decision.alert, last.episode_id))
    return alerts


def test_a_life_tells_each_episode_once_and_its_end_once_and_a_replay_the_same() -> None:
    ok, drifted, gap = Status.OK, Status.DRIFTED, Status.INSUFFICIENT
    life = [ok, drifted, drifted, gap, drifted, ok, ok, drifted, Status.NO_DATA, ok]
    alerts = told(life)
    assert [(day, kind) for day, kind, _ in alerts] == [
        (1, AlertKind.FIRED),
        (5, AlertKind.RESOLVED),
        (7, AlertKind.FIRED),
        (9, AlertKind.RESOLVED),
    ]
    first, first_end, second, second_end = (name for _, _, name in alerts)
    assert first == first_end != second == second_end
    assert told(life) == alerts


def test_a_fingerprint_is_of_identity_alone_and_tells_identities_apart() -> None:
    same = Series("fraud", "7", "positive", "")
    others = [
        Series("fraud", "8"),
        Series("fraud2", "7"),
        Series("fraud", "7", "top_label"),
        Series("fraud", "7", segment="country=DE"),
        Series("frau", "d7"),
        Series("", "fraud7"),
    ]
    assert fingerprint(same) == fingerprint(FRAUD)
    assert len({fingerprint(series) for series in [FRAUD, *others]}) == 1 + len(others)
    # Pinned: stored fingerprints must be found again by every later version.
    assert fingerprint(FRAUD) == "ea1d9818df716dff41a032ba7a74c234c4da125382d32b5ac4c3a290ab9272b7"


def test_an_episode_id_depends_on_the_moment_not_on_its_zone() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=5)))
    assert episode_id(FRAUD, elsewhere) == episode_id(FRAUD, START)
    assert episode_id(FRAUD, START + timedelta(microseconds=1)) != episode_id(FRAUD, START)


@pytest.mark.parametrize(
    ("series", "now", "complaint"),
    [
        (Series("fraud", "8"), START, "is not of series"),
        (FRAUD, START - timedelta(seconds=1), "fired at .*, after"),
    ],
    ids=["another series' episode", "before it fired"],
)
def test_an_impossible_episode_is_refused(series: Series, now: datetime, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decide(verdict(Status.OK, series=series), episode(EpisodeState.FIRING), now)
