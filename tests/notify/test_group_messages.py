from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.core.episode.episodes import EpisodeState
from monitor.notify.messages import (
    as_plain_text,
    headline,
    in_thread,
    render,
    reply,
)
from tests.notify import verdict_samples as samples
from tests.notify.slack_limits import check_message

GROUPED = """\
Critical calibration drift: fraud v7 in 3 segments
Worst is segment country=C0: fraud v7 says 0.77 and is right 0.59 of the time \
in that bin (0.78 in the baseline). On the whole its scores are too high.
Series:
• country=C0: off by 0.062 (firing, critical, since 14 Mar 2026, 00:00 UTC)
• country=C1: off by 0.059 (firing, warning, since 14 Mar 2026, 00:00 UTC)
• country=C2: off by 0.055 (firing, warning, since 14 Mar 2026, 00:00 UTC)
Size: probabilities are off by 0.062 on average against the baseline's map \
(95% interval 0.048 to 0.075). ECE 0.078 (0.057 to 0.102) now, 0.023 (0.017 to 0.030) in the \
baseline (debiased, with 95% intervals).
Since: about 7 Mar 2026; certain enough 7 days later, 14 Mar 2026, 00:00 UTC. \
It began about 3 hours after deploy of version 7, 6 Mar 2026, 21:00 UTC (new feature store).
How sure: e-value 2.31 million against a threshold of 1 million: without a change, a false alarm \
comes at most once in 1 million labels on average. 8,400 labels seen since the baseline.
Why: the map changed: the same score now means another probability \
(ECE moved +0.061 by map, +0.008 by mix).

What to do: apply the recalibrator in the thread: ECE 0.094 before, 0.021 after, \
on 1,150 held-out labels.
Runbook: https://runbooks.example.com/fraud?tab=drift&v=7 · \
Dashboard: https://calmon.example.com/groups/60d488dd
[Ack] [Silence 1 h] [Silence 1 d] [Open evidence]
critical · team payments · evidence evaluation 4711 · group 531e2ef7bab2d31e0e55be8fbb2fd827"""


def test_a_group_is_one_message_that_lists_its_segments() -> None:
    assert as_plain_text(headline(samples.grouped(3), interactive=True)) == GROUPED


def test_what_the_channel_leaves_out_stands_in_the_thread() -> None:
    for notice in (samples.fired(), samples.grouped(3), samples.resolved()):
        whole = {line.split(":")[0] for line in as_plain_text(render(notice)).splitlines()}
        thread = in_thread(notice)
        both = as_plain_text(headline(notice)).splitlines()
        both += as_plain_text(thread).splitlines() if thread is not None else []
        assert whole <= {line.split(":")[0] for line in both}


@pytest.mark.parametrize(
    ("states", "title"),
    [
        (["firing"], "Calibration drift: fraud v7 is overconfident"),
        (["recovering"], "Recovering: fraud v7"),
        (["no_data"], "No labels to judge by: fraud v7"),
        (["resolved"], "Resolved: fraud v7 is no longer shown to differ from its baseline"),
        (["firing", "resolved"], "Calibration drift: fraud v7 overall and in 1 segment"),
        (["recovering", "no_data", "resolved"], "No labels to judge by: fraud v7 overall and in 2"),
        (["recovering", "resolved"], "Recovering: fraud v7 overall and in 1 segment"),
    ],
)
def test_the_title_says_what_state_things_are_in(states: list[str], title: str) -> None:
    notice = samples.fired()
    members = [
        replace(
            notice.members[0],
            state=EpisodeState(state),
            series=replace(samples.SERIES, segment=f"country={k}" if k else ""),
            resolved_at=samples.NOW if state == "resolved" else None,
        )
        for k, state in enumerate(states)
    ]
    said = replace(notice, members=tuple(members))
    assert as_plain_text(headline(said)).startswith(title)
    assert headline(said).plain.startswith(title)


@pytest.mark.parametrize(
    ("began", "said"),
    [
        (timedelta(hours=3), "It began about 3 hours after deploy of version 8"),
        (timedelta(0), "It began about less than a minute after deploy"),
        (timedelta(hours=-1), "It was noticed 6 days 23 hours after deploy"),
    ],
)
def test_a_recent_change_is_told_by_how_long_after_it_things_began(
    began: timedelta, said: str
) -> None:
    since = samples.DRIFTED.evidence.drift_since_at
    assert since is not None
    change = replace(samples.CHANGE, version="8", happened_at=since - began)
    assert said in as_plain_text(render(replace(samples.fired(), recent_change=change)))


def test_a_hundred_long_segments_keep_slacks_limits() -> None:
    notice = samples.grouped(100)
    members = [
        replace(one, series=replace(one.series, model="m" * 200, segment=f"{k}={'<&>' * 150}"))
        for k, one in enumerate(notice.members)
    ]
    verdict = replace(notice.verdict, series=members[0].series)
    long = replace(notice, members=tuple(members), verdict=verdict, what="why " * 2000)
    for said in (headline(long, interactive=True), in_thread(long), reply(long), render(long)):
        assert said is not None
        check_message({"text": said.text, "blocks": list(said.blocks)})
    assert "and 88 more" in as_plain_text(headline(notice))
