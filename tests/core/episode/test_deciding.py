"""One table decides: every state, status and timing, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.episode.deciding import closed, decide, due_at
from monitor.core.episode.episodes import (
    AlertKind,
    Decision,
    Episode,
    EpisodeState,
    Severity,
    episode_id,
    fingerprint,
)
from monitor.core.maintenance import Maintenance
from monitor.core.policies import AlertPolicy
from monitor.core.verdicts import Cause, Direction, Status, Verdict
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FRAUD = Series("fraud", "7")
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OK, DRIFTED, FEW, GONE = Status.OK, Status.DRIFTED, Status.INSUFFICIENT, Status.NO_DATA
NONE, PENDING, FIRING = None, EpisodeState.PENDING, EpisodeState.FIRING
RECOVERING, RESOLVED, SILENT = (
    EpisodeState.RECOVERING,
    EpisodeState.RESOLVED,
    EpisodeState.NO_DATA,
)
FIRED, CHANGED, ENDED = AlertKind.FIRED, AlertKind.CHANGED, AlertKind.RESOLVED
AT_ONCE = AlertPolicy(flapping=timedelta(0))
PATIENT = AlertPolicy(
    pending_for=2 * DAY, keep_firing_for=3 * DAY, no_data_after=4 * DAY, flapping=7 * DAY
)


def verdict(
    status: Status, *, series: Series = FRAUD, shift: float = 0.05, blind: bool = False
) -> Verdict:
    """A verdict of one status; blind: too few labels, since none came at all."""
    found = samples.with_evidence(
        replace(samples.OK, series=series, status=status, evaluated_at=START),
        shift=shift,
        direction=Direction.OVERCONFIDENT if status is DRIFTED else None,
        cause=Cause.MAP if status is DRIFTED else None,
    )
    return samples.with_evidence(found, window=None) if blind else found


def episode(
    state: EpisodeState | None,
    series: Series = FRAUD,
    **changes: Any,  # noqa: ANN401  # fields by name
) -> Episode | None:
    """An episode that began at START, and came into its state a day later, if it is not new."""
    if state is None:
        return None
    made = Episode(
        episode_id=episode_id(series, START),
        fingerprint=fingerprint(series),
        series=series,
        state=state,
        began_at=START,
        since_at=START if state in {PENDING, FIRING} else START + DAY,
        fired_at=None if state is PENDING else START,
        resolved_at=START + DAY if state is RESOLVED else None,
        direction=Direction.OVERCONFIDENT,
        cause=Cause.MAP,
        shift=0.05,
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Row:
    """A line of the table: what there was, what is found how many days after START, what follows.

    `after` is the state that follows; `reason` is the whole of it.
    """

    before: EpisodeState | None
    status: Status
    days: float
    after: EpisodeState | None
    alert: AlertKind | None
    reason: str
    policy: AlertPolicy = PATIENT
    had: Mapping[str, Any] = field(default_factory=dict)
    blind: bool = False
    shift: float = 0.05


WINDOW = (Maintenance(START + 2 * DAY, START + 5 * DAY),)
KEPT = replace(PATIENT, maintenance=WINDOW)
KEPT_WORDS = "in a maintenance window: waits until 2026-03-06T00:00:00Z"
NO_DRIFT = {"is_drift": False, "direction": None, "cause": None}
TABLE = [
    # nothing open
    Row(NONE, OK, 3, NONE, None, "no drift and nothing open"),
    Row(NONE, FEW, 3, NONE, None, "too few labels to judge, and nothing open"),
    Row(NONE, GONE, 3, NONE, None, "no data, and nothing open", AT_ONCE),
    Row(NONE, FEW, 3, NONE, None, "too few labels to judge, and nothing open", AT_ONCE, blind=True),
    Row(NONE, GONE, 3, PENDING, None, "no data: told if that lasts for another 4 days"),
    Row(NONE, FEW, 3, PENDING, None, "no data: told if that lasts for another 4 days", blind=True),
    Row(NONE, GONE, 3, SILENT, FIRED, "nothing to judge by for too long",
        AlertPolicy(no_data_after=timedelta(0))),
    Row(NONE, DRIFTED, 3, FIRING, FIRED, "drifted: a new episode fires", AT_ONCE),
    Row(NONE, DRIFTED, 3, PENDING, None, "drifted: fires if it lasts for 2 days"),
    Row(NONE, DRIFTED, 3, PENDING, None, f"drifted, but {KEPT_WORDS}", KEPT),
    Row(NONE, GONE, 3, PENDING, None, f"no data, but {KEPT_WORDS}", KEPT),
    # resolved at START + 1 d
    Row(RESOLVED, OK, 3, RESOLVED, None, "no drift and nothing open"),
    Row(RESOLVED, FEW, 3, RESOLVED, None, "too few labels to judge, and nothing open"),
    Row(RESOLVED, GONE, 3, RESOLVED, None, "no data, and nothing open", AT_ONCE),
    Row(RESOLVED, GONE, 3, PENDING, None, "no data: told if that lasts for another 4 days"),
    Row(RESOLVED, DRIFTED, 7.9, FIRING, CHANGED,
        "drifted again within 7 days of its end: the same episode fires"),
    Row(RESOLVED, DRIFTED, 8, PENDING, None, "drifted: fires if it lasts for 2 days"),
    Row(RESOLVED, DRIFTED, 1.1, FIRING, FIRED,
        "drifted again after a resolved episode: a new episode fires", AT_ONCE),
    Row(RESOLVED, DRIFTED, 3, PENDING, None, f"drifted, but {KEPT_WORDS}", KEPT),
    Row(RESOLVED, DRIFTED, 3, PENDING, None, "drifted: fires if it lasts for 2 days",
        had=NO_DRIFT),
    # pending since START
    Row(PENDING, OK, 1, RESOLVED, None, "back before it fired: nothing was told"),
    Row(PENDING, FEW, 1, PENDING, None, "too few labels to judge: still pending"),
    Row(PENDING, GONE, 1, PENDING, None, "no data to judge: still pending", AT_ONCE),
    Row(PENDING, GONE, 1, PENDING, None, "no data: told if that lasts for another 4 days"),
    Row(PENDING, DRIFTED, 1, PENDING, None, "still drifted: fires if it lasts for another 1 day"),
    Row(PENDING, DRIFTED, 2, FIRING, FIRED, "drifted for long enough: a new episode fires"),
    Row(PENDING, DRIFTED, 2, PENDING, None, f"drifted, but {KEPT_WORDS}", KEPT),
    Row(PENDING, DRIFTED, 5, FIRING, FIRED, "drifted for long enough: a new episode fires", KEPT),
    Row(PENDING, DRIFTED, 1, FIRING, CHANGED, "still drifted: the same episode fires again",
        had={"fired_at": START}),
    # pending for want of data since START
    Row(PENDING, GONE, 3.5, PENDING, None, "no data: told if that lasts for another 12 hours",
        had=NO_DRIFT | {"silent_since_at": START}),
    Row(PENDING, GONE, 4, PENDING, None, f"no data, but {KEPT_WORDS}", KEPT,
        had=NO_DRIFT | {"silent_since_at": START}),
    Row(PENDING, GONE, 5, SILENT, FIRED, "nothing to judge by for too long", KEPT,
        had=NO_DRIFT | {"silent_since_at": START}),
    Row(PENDING, FEW, 4, PENDING, None, "too few labels to judge: still pending",
        had=NO_DRIFT | {"silent_since_at": START}),
    Row(PENDING, OK, 3, RESOLVED, None, "back before it fired: nothing was told",
        had=NO_DRIFT | {"silent_since_at": START}),
    Row(PENDING, DRIFTED, 3, PENDING, None, "still drifted: fires if it lasts for another 2 days",
        had=NO_DRIFT | {"silent_since_at": START}),
    # firing since START
    Row(FIRING, DRIFTED, 1, FIRING, None, "still drifted: this episode has been told"),
    Row(FIRING, DRIFTED, 1, FIRING, CHANGED, "still drifted, and now critical", shift=0.1),
    Row(FIRING, DRIFTED, 1, FIRING, None, "still drifted: this episode has been told", shift=0.01,
        had={"severity": Severity.CRITICAL}),
    Row(FIRING, OK, 1, RESOLVED, ENDED, "back to its baseline: resolved", AT_ONCE),
    Row(FIRING, OK, 1, RECOVERING, CHANGED,
        "back to its baseline: resolved if that lasts for 3 days"),
    Row(FIRING, OK, 1, RECOVERING, CHANGED,
        "back to its baseline: resolved if that lasts for 7 days", had={"flaps": 1}),
    Row(FIRING, FEW, 1, FIRING, None, "too few labels to call it over: keeps firing"),
    Row(FIRING, GONE, 1, FIRING, None, "no data to call it over: keeps firing", AT_ONCE),
    Row(FIRING, GONE, 1, FIRING, None, "no data: told if that lasts for another 4 days"),
    Row(FIRING, FEW, 5, SILENT, CHANGED, "nothing to judge by for too long", blind=True,
        had={"silent_since_at": START + DAY}),
    # recovering since START + 1 d
    Row(RECOVERING, OK, 3.5, RECOVERING, None,
        "recovering: resolved if that lasts for another 12 hours"),
    Row(RECOVERING, OK, 4, RESOLVED, ENDED, "back to its baseline: resolved"),
    Row(RECOVERING, OK, 4, RECOVERING, None,
        "recovering: resolved if that lasts for another 4 days", had={"flaps": 1}),
    Row(RECOVERING, OK, 8, RESOLVED, ENDED, "back to its baseline: resolved", had={"flaps": 1}),
    Row(RECOVERING, DRIFTED, 2, FIRING, CHANGED, "drifted again while it recovered"),
    Row(RECOVERING, FEW, 9, RECOVERING, None,
        "too few labels to call it over: its recovery begins anew"),
    Row(RECOVERING, GONE, 9, RECOVERING, None,
        "no data to call it over: its recovery begins anew", AT_ONCE),
    Row(RECOVERING, GONE, 9, RECOVERING, None, "no data: told if that lasts for another 4 days"),
    Row(RECOVERING, GONE, 9, SILENT, CHANGED, "nothing to judge by for too long",
        had={"silent_since_at": START + 5 * DAY}),
    # without data since START + 1 d
    Row(SILENT, GONE, 9, SILENT, None, "still no data: this has been told"),
    Row(SILENT, GONE, 9, SILENT, None, "no data to say that data is back", AT_ONCE),
    Row(SILENT, FEW, 9, SILENT, None, "too few labels to say that data is back"),
    Row(SILENT, OK, 9, RECOVERING, CHANGED,
        "back to its baseline: resolved if that lasts for 3 days"),
    Row(SILENT, OK, 9, RESOLVED, ENDED, "data is back: resolved", had=NO_DRIFT),
    Row(SILENT, DRIFTED, 9, FIRING, CHANGED, "data is back, and it is drifted"),
    Row(SILENT, DRIFTED, 3, SILENT, None, f"drifted, but {KEPT_WORDS}", KEPT, had=NO_DRIFT),
    Row(SILENT, DRIFTED, 9, FIRING, CHANGED, "data is back, and it is drifted", had=NO_DRIFT),
]  # fmt: skip


def test_the_table_has_every_state_and_status() -> None:
    assert {(row.before, row.status) for row in TABLE} == {
        (state, status) for state in [None, *EpisodeState] for status in Status
    }


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda r: f"{r.before or 'ok'}-{r.status}-{r.days}d-{r.after or 'ok'}"
)
def test_every_line_of_the_table(row: Row) -> None:
    before = episode(row.before, **row.had)
    found = verdict(row.status, shift=row.shift, blind=row.blind)
    decision = decide(found, before, START + row.days * DAY, row.policy)
    after = decision.episode.state if decision.episode else None
    assert (after, decision.alert, decision.reason) == (row.after, row.alert, row.reason)


def test_an_alarm_opens_an_episode_with_what_the_verdict_found() -> None:
    now = START + timedelta(hours=5)
    assert decide(verdict(DRIFTED, shift=0.2), None, now, AT_ONCE) == Decision(
        episode=Episode(
            episode_id=episode_id(FRAUD, now),
            fingerprint=fingerprint(FRAUD),
            series=FRAUD,
            state=FIRING,
            began_at=now,
            since_at=now,
            fired_at=now,
            direction=Direction.OVERCONFIDENT,
            cause=Cause.MAP,
            severity=Severity.CRITICAL,
            shift=0.2,
        ),
        alert=FIRED,
        reason="drifted: a new episode fires",
    )


def test_what_fires_again_is_the_same_episode_with_the_time_of_this_alarm() -> None:
    for state in (RESOLVED, RECOVERING):
        before, now = episode(state), START + 3 * DAY
        after = decide(verdict(DRIFTED), before, now, replace(PATIENT, pending_for=0 * DAY)).episode
        assert before is not None
        assert after is not None
        assert (after.episode_id, after.began_at) == (before.episode_id, START)
        assert (after.fired_at, after.flaps, after.resolved_at) == (now, 1, None)


def test_an_improvement_is_never_critical() -> None:
    better = samples.with_evidence(verdict(DRIFTED, shift=0.4), direction=Direction.IMPROVED)
    found = decide(better, None, START, AT_ONCE).episode
    assert found is not None
    assert found.severity is Severity.WARNING


def test_a_new_baseline_ends_what_is_open_and_tells_only_of_what_was_told() -> None:
    answers = {
        state: closed(verdict(FEW), episode(state), START + 2 * DAY, "reset by ann")
        for state in [None, *EpisodeState]
    }
    after = {state: a.episode.state for state, a in answers.items() if a.episode is not None}
    assert after == dict.fromkeys(EpisodeState, RESOLVED)
    assert {s for s, a in answers.items() if a.alert is ENDED} == {FIRING, RECOVERING, SILENT}
    assert answers[FIRING].reason == "a new baseline, so resolved: reset by ann"


STEPS = st.lists(
    st.tuples(st.sampled_from(Status), st.booleans(), st.integers(1, 200)), max_size=40
)
POLICIES = st.builds(
    AlertPolicy,
    pending_for=st.sampled_from([timedelta(0), DAY, 4 * DAY]),
    keep_firing_for=st.sampled_from([timedelta(0), DAY, 4 * DAY]),
    no_data_after=st.sampled_from([None, timedelta(0), 2 * DAY]),
    flapping=st.sampled_from([timedelta(0), 7 * DAY]),
    maintenance=st.sampled_from([(), WINDOW, (Maintenance.parse("sat 22:00 to mon 06:00"),)]),
)


BACK_IN_MAINTENANCE = [
    (DRIFTED, False, 30),
    (OK, False, 1),
    (DRIFTED, False, 135),
    (GONE, False, 32),
]


@given(STEPS, POLICIES)
@example(
    BACK_IN_MAINTENANCE,
    AlertPolicy(
        pending_for=0 * DAY,
        keep_firing_for=0 * DAY,
        no_data_after=0 * DAY,
        flapping=7 * DAY,
        maintenance=(Maintenance.parse("sat 22:00 to mon 06:00"),),
    ),
)
def test_laws_of_every_life(steps: Sequence[tuple[Status, bool, int]], policy: AlertPolicy) -> None:
    """Told in order, resolved by OK alone, begun outside of maintenance, and asked for in time."""
    last: Episode | None = None
    now, told = START, dict[str, bool]()
    for status, blind, hours in steps:
        now += hours * HOUR
        decision = decide(verdict(status, blind=blind), last, now, policy)
        after = decision.episode
        if after is None:
            assert last is None
            continue
        if decision.alert is FIRED:
            assert after.episode_id not in told, "an episode fires for the first time once"
            assert all(window.end_of(now) is None for window in policy.maintenance)
            told[after.episode_id] = True
        elif decision.alert is CHANGED:
            assert after.episode_id in told, "what was never told does not change"
            told[after.episode_id] = True
        elif decision.alert is ENDED:
            assert told[after.episode_id], "an end follows a beginning, once"
            told[after.episode_id] = False
        if after.state is RESOLVED and (last is None or last.state is not RESOLVED):
            assert status is OK
        due = due_at(after, status, policy)
        if due is not None:
            later = decide(verdict(status, blind=blind), after, max(due, now), policy)
            assert due <= now or later.episode != after, "what is asked for in time changes it"
            early = now + (due - now) * 0.99
            if due > now:
                same = decide(verdict(status, blind=blind), after, early, policy)
                assert same.alert is None
        last = after


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
        (FRAUD, START - timedelta(seconds=1), "began at .*, after"),
    ],
    ids=["another series' episode", "before it began"],
)
def test_an_impossible_episode_is_refused(series: Series, now: datetime, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decide(verdict(OK, series=series), episode(FIRING), now, AT_ONCE)
