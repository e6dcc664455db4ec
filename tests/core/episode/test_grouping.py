from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.episode.deciding import decide
from monitor.core.episode.episodes import AlertKind, EpisodeState, Severity
from monitor.core.episode.grouping import Group, Moment, Told, gathered
from monitor.core.maintenance import Maintenance
from monitor.core.policies import AlertPolicy
from monitor.core.verdicts import Direction, Status
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.episode.episodes import Episode

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MODEL = "m"
SEGMENTS = [Series(MODEL, "1", segment=s) for s in ("", "country=DE", "country=FR")]
PLAIN = AlertPolicy(flapping=timedelta(0))
POLICIES = st.builds(
    AlertPolicy,
    pending_for=st.sampled_from([timedelta(0), 2 * DAY]),
    keep_firing_for=st.sampled_from([timedelta(0), 2 * DAY]),
    no_data_after=st.sampled_from([None, DAY]),
    remind_every=st.sampled_from([None, DAY, 5 * DAY]),
    flapping=st.sampled_from([timedelta(0), 3 * DAY]),
    maintenance=st.sampled_from([(), (Maintenance(START + 4 * DAY, START + 6 * DAY),)]),
)
DAYS = st.lists(st.tuples(*[st.sampled_from(Status)] * len(SEGMENTS)), max_size=25)


def moments(
    days: Sequence[Sequence[Status]], policy: AlertPolicy, shift: float = 0.05
) -> list[Moment]:
    """Decisions of the segments' verdicts, one each a day."""
    last: dict[Series, Episode | None] = {}
    found = []
    for n, statuses in enumerate(days):
        at = START + n * DAY
        for series, status in zip(SEGMENTS, statuses, strict=True):
            verdict = samples.with_evidence(
                replace(samples.OK, series=series, status=status),
                shift=shift,
                direction=Direction.OVERCONFIDENT,
            )
            decision = decide(verdict, last.get(series), at, policy)
            last[series] = decision.episode
            found.append(Moment(decision, at))
    return found


def told(days: Sequence[Sequence[Status]], policy: AlertPolicy) -> tuple[Group | None, list[Told]]:
    return gathered(None, moments(days, policy), START + len(days) * DAY, policy, MODEL)


@given(DAYS, POLICIES, st.integers(0, 25))
def test_laws_of_every_life(days: list[tuple[Status, ...]], policy: AlertPolicy, cut: int) -> None:
    whole, news = told(days, policy)
    # Cutting time anywhere changes nothing, as ticks and restarts do.
    every, at = moments(days, policy), START + cut * DAY
    head, first = gathered(None, [m for m in every if m.at <= at], at, policy, MODEL)
    tail, rest = gathered(
        head, [m for m in every if m.at > at], max(at, START + len(days) * DAY), policy, MODEL
    )
    if cut <= len(days):
        assert (tail, first + rest) == (whole, news)
    assert [one.happened_at for one in news] == sorted(one.happened_at for one in news)
    groups: dict[str, list[Told]] = {}
    for one in news:
        groups.setdefault(one.group.group_id, []).append(one)
        if one.kind is AlertKind.REMINDED:
            assert all(w.end_of(one.happened_at) is None for w in policy.maintenance)
        assert len({m.series for m in one.group.members}) == len(one.group.members)
    for mine in groups.values():
        assert [one.kind for one in mine].count(AlertKind.FIRED) == 1
        assert mine[0].kind is AlertKind.FIRED
        assert [one.group.n_told for one in mine] == list(range(1, len(mine) + 1))
        for one in mine:
            over = all(m.state is EpisodeState.RESOLVED for m in one.group.members)
            assert (one.kind is AlertKind.RESOLVED) is over


def test_those_of_one_moment_are_one_message_and_the_worst_comes_first() -> None:
    drifted, ok = Status.DRIFTED, Status.OK
    _, news = told([(ok, drifted, drifted), (drifted, drifted, ok), (ok, ok, ok)], PLAIN)
    assert [(one.kind, one.reason) for one in news] == [
        (AlertKind.FIRED, "country=DE and country=FR: drifted: a new episode fires"),
        (
            AlertKind.CHANGED,
            "all traffic: drifted: a new episode fires; country=FR: back to its baseline: resolved",
        ),
        (AlertKind.RESOLVED, "all traffic and country=DE: back to its baseline: resolved"),
    ]
    states = [[str(m.state) for m in one.group.members] for one in news]
    assert states[1] == ["firing", "firing", "resolved"]
    assert news[1].group.leading.series.segment == "country=DE", "of two alike the older one"


def test_reminders_come_in_time_and_wait_for_the_end_of_maintenance() -> None:
    window = Maintenance(START + 1.5 * DAY, START + 4 * DAY)
    policy = replace(PLAIN, remind_every=DAY, maintenance=(window,))
    days = [(Status.DRIFTED, Status.OK, Status.OK)] * 6
    _, news = told(days, policy)
    assert [((one.happened_at - START) / DAY, one.kind) for one in news] == [
        (0, AlertKind.FIRED),
        (1, AlertKind.REMINDED),
        (4, AlertKind.REMINDED),
        (5, AlertKind.REMINDED),
        (6, AlertKind.REMINDED),
    ]


def test_a_group_is_as_severe_as_what_is_left_of_it() -> None:
    policy = replace(PLAIN, critical_at=0.04)
    group, _ = told([(Status.DRIFTED, Status.OK, Status.OK)], policy)
    assert group is not None
    assert group.severity is Severity.CRITICAL
    milder = replace(group.leading, series=SEGMENTS[1], severity=Severity.WARNING)
    over = replace(group.leading, state=EpisodeState.RESOLVED)
    assert replace(group, members=(milder, over)).severity is Severity.WARNING
