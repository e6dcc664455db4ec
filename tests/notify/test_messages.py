from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.episodes import EpisodeState
from monitor.core.estimates import Ranking
from monitor.core.score_shift import ScoreShift
from monitor.core.selection import Selection
from monitor.core.verdicts import (
    BinEstimate,
    BudgetShare,
    Cause,
    Direction,
    Opinion,
    Restart,
    Status,
    WrongBin,
)
from monitor.notify.messages import (
    Message,
    as_plain_text,
    headline,
    in_thread,
    picture_name,
    render,
    reply,
)
from tests.notify import verdict_samples as samples
from tests.notify.slack_limits import check_message

if TYPE_CHECKING:
    from monitor.core.notices import AlertNotice

RESTART = Restart(
    "accepted",
    samples.NOW + timedelta(days=6),
    samples.NOW,
    samples.NOW + timedelta(days=6),
    "new price list",
    "ann",
)
FIRED = """\
Calibration drift: fraud v7 is overconfident
fraud v7 says 0.77 and is right 0.59 of the time in that bin (0.78 in the baseline). \
On the whole its scores are too high.
Size: probabilities are off by 0.062 on average against the baseline's map \
(95% interval 0.048 to 0.075). ECE 0.078 (0.057 to 0.102) now, 0.023 (0.017 to 0.030) in the \
baseline (debiased, with 95% intervals).
Since: about 7 Mar 2026; certain enough 7 days later, 14 Mar 2026, 00:00 UTC.
How sure: e-value 2.31 million against a threshold of 1 million: without a change, a false alarm \
comes at most once in 1 million labels on average. 8,400 labels seen since the baseline.
Why: the map changed: the same score now means another probability \
(ECE moved +0.061 by map, +0.008 by mix).
Worst bins:
• 0.07 to 0.13: says 0.10, observed 0.19 (0.15 to 0.24), 0.12 in the baseline; 256 labels
• 0.00 to 0.07: says 0.037, observed 0.116 (0.083 to 0.160), 0.031 in the baseline; 268 labels
• 0.73 to 0.80: says 0.77, observed 0.59 (0.50 to 0.68), 0.78 in the baseline; 115 labels
Behind it: 2,300 labels, 93% of the predictions made 5 Mar 2026, 00:00 UTC to \
12 Mar 2026, 00:00 UTC.

What to do: apply this recalibrator: Platt, repaired logit = 0.560 × logit(score) - 0.240. \
On 1,150 held-out labels ECE goes from 0.094 to 0.021; ranking untouched \
(AUROC 0.781 before, 0.781 after). As a file to apply: calmon recalibrate fraud@7
Runbook: https://runbooks.example.com/fraud?tab=drift&v=7
warning · evidence evaluation 4711 · group 60d488dd25347715fdc385f21723a0b6"""  # noqa: RUF001  # the times sign

RESOLVED = """\
Resolved: fraud v7 is no longer shown to differ from its baseline
Size: ECE 0.024 (0.018 to 0.032) now, 0.023 (0.017 to 0.030) in the baseline \
(debiased, with 95% intervals).
Fired: 14 Mar 2026, 00:00 UTC to 20 Mar 2026, 00:00 UTC: 6 days
Behind it: 2,100 labels, 93% of the predictions made 11 Mar 2026, 00:00 UTC to \
18 Mar 2026, 00:00 UTC.
What to do: if a recalibrator was put in for this, check that it is still wanted; \
if nothing was done, find out what came and went.
Runbook: https://runbooks.example.com/fraud?tab=drift&v=7
warning · evidence evaluation 4890 · group 60d488dd25347715fdc385f21723a0b6"""


@pytest.mark.parametrize(
    ("notice", "said"),
    [(samples.fired(), FIRED), (samples.resolved(), RESOLVED)],
    ids=["fired", "resolved"],
)
def test_a_message_says_everything_in_the_order_of_the_questions(
    notice: AlertNotice, said: str
) -> None:
    assert as_plain_text(render(notice)) == said


def advice(notice: AlertNotice) -> str:
    return next(
        line for line in as_plain_text(render(notice)).splitlines() if line.startswith("What to do")
    )


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "apply this recalibrator: Platt"),
        (
            {"repair": replace(samples.REPAIR, method="temperature", slope=0.5, intercept=0.0)},
            "apply this recalibrator: temperature 2.000",
        ),
        ({"repair": replace(samples.REPAIR, ece_after=0.2)}, "look at the data"),
        ({"repair": replace(samples.REPAIR, ece_after=0.08)}, "look at the data"),
        ({"repair": None}, "wait for labels"),
        ({"cause": Cause.MIX}, "look at the traffic"),
        ({"direction": Direction.IMPROVED}, "nothing is broken"),
    ],
)
def test_the_advice_follows_from_the_evidence(changes: dict[str, object], start: str) -> None:
    verdict = samples.with_evidence(samples.DRIFTED, **changes)
    assert advice(samples.fired(verdict)).startswith(f"What to do: {start}")


def test_a_repair_of_scores_that_rank_nothing_is_not_praised() -> None:
    ranks_nothing = replace(samples.REPAIR, auroc_before=0.508, auroc_after=0.508)
    said = advice(samples.fired(samples.with_evidence(samples.DRIFTED, repair=ranks_nothing)))
    assert "It makes the scores honest, not useful: on these labels they hardly tell" in said


def test_a_repair_that_turns_the_ranking_round_is_not_called_harmless() -> None:
    turned = replace(samples.REPAIR, slope=-0.5, auroc_before=0.3, auroc_after=0.7)
    said = advice(samples.fired(samples.with_evidence(samples.DRIFTED, repair=turned)))
    assert "turns the ranking round (AUROC 0.300 before, 0.700 after)" in said
    assert "untouched" not in said


def first_sentences(gap: float, slope: float, direction: Direction | None) -> str:
    window = samples.DRIFTED.evidence.window
    assert window is not None
    verdict = samples.with_evidence(
        samples.DRIFTED,
        direction=direction,
        window=replace(window, gap=gap, slope=slope, ece_debiased=0.08),
    )
    return as_plain_text(render(samples.fired(verdict))).splitlines()[1]


@pytest.mark.parametrize(
    ("gap", "slope", "direction", "bin_shown", "way"),
    [
        (0.05, 0.6, Direction.OVERCONFIDENT, "says 0.77 and is right 0.59", "too high"),
        (0.05, math.nan, Direction.OVERCONFIDENT, "says 0.77 and is right 0.59", "too high"),
        (-0.05, 0.6, Direction.UNDERCONFIDENT, "says 0.10 and it happens 0.19", "too low"),
        (0.01, 0.6, Direction.OVERCONFIDENT, "says 0.10 and it happens 0.19", "too extreme"),
        (0.01, 1.6, Direction.UNDERCONFIDENT, "says 0.50 and it happens 0.43", "too timid"),
        (0.05, 0.6, Direction.IMPROVED, "says 0.10 and it happens 0.19", None),
        (0.05, 0.6, None, "says 0.10 and it happens 0.19", None),
    ],
)
def test_the_first_sentences_say_the_direction_and_show_a_bin_that_agrees(
    gap: float, slope: float, direction: Direction | None, bin_shown: str, way: str | None
) -> None:
    said = first_sentences(gap, slope, direction)
    assert said.startswith(f"fraud v7 {bin_shown} of the time in that bin (")
    assert (f"On the whole its scores are {way}" in said) if way else "On the whole" not in said


def test_a_bin_of_a_handful_of_labels_does_not_open_an_alert() -> None:
    odd = BinEstimate(0.6, 0.667, 3, 0.63, 0.0, 0.0, 0.56)
    evidence = samples.DRIFTED.evidence
    verdict = samples.with_evidence(
        samples.DRIFTED, bins=(*evidence.bins, odd), worst_bins=(odd, *evidence.worst_bins)
    )
    said = as_plain_text(render(samples.fired(verdict)))
    assert "says 0.77" in said.splitlines()[1]


def test_a_map_that_moved_without_moving_ece_is_not_said_to_have_moved_it() -> None:
    verdict = samples.with_evidence(samples.DRIFTED, map_part=0.001, mix_part=-0.002)
    said = as_plain_text(render(samples.fired(verdict)))
    assert "the map changed: the same score now means another probability, about as far" in said
    assert "ECE moved" not in said


def test_what_is_not_known_is_called_unknown() -> None:
    verdict = samples.with_evidence(
        samples.DRIFTED,
        e_value=None,
        drift_since_at=None,
        coverage=math.nan,
        direction=None,
        cause=None,
        shift=None,
        map_part=None,
        mix_part=None,
        baseline=None,
        window=None,
        bins=(),
        baseline_bins=(),
        worst_bins=(),
        repair=None,
    )
    said = as_plain_text(render(samples.fired(verdict, runbook_url=None)))
    assert "nan" not in said
    assert "None" not in said
    for text in (
        "fraud v7 no longer matches its baseline",
        "ECE unknown now, unknown in the baseline",
        "Since: unknown; noticed 14 Mar 2026",
        "e-value unknown against",
        "Worst bins: none stands out.",
        "unknown labels, unknown of the predictions",
    ):
        assert text in said
    assert "Runbook" not in said


NASTY = "<!channel> & <https://evil.example|click> *bold* \n- `x`"


def test_names_from_outside_bring_no_mention_link_or_line_break() -> None:
    verdict = replace(samples.DRIFTED, series=Series(NASTY, NASTY, NASTY, NASTY))
    notice = replace(samples.fired(verdict), evidence_id=NASTY)
    message = render(notice)
    check_message({"text": message.text, "blocks": list(message.blocks)})
    for text in mrkdwn(message):
        for sequence in re.findall(r"<[^>]*>", text):
            assert sequence == f"<{html.escape(samples.RUNBOOK)}|Runbook>"
        assert re.sub(r"&(amp|lt|gt);", "", text).count("&") == 0
    title = as_plain_text(message).splitlines()[0]
    assert title.startswith("Calibration drift: <!channel> & <https://evil.example|click> *bold*")


def mrkdwn(message: Message) -> list[str]:
    """Every text that Slack parses for markup."""
    texts = [message.text]
    for block in message.blocks:
        parts = block.get("elements") or [block.get("text")]
        assert isinstance(parts, list)
        texts += [part["text"] for part in parts if part and part["type"] == "mrkdwn"]
    return texts


@given(
    name=st.text(min_size=1, max_size=60).map(lambda text: text * 100),
    evidence_id=st.text(max_size=4000),
    runbook_url=st.none() | st.text(max_size=2000),
)
def test_no_name_breaks_slacks_limits(name: str, evidence_id: str, runbook_url: str | None) -> None:
    series = Series(name, name, name, name)
    for sample in (
        samples.fired(replace(samples.DRIFTED, series=series), runbook_url),
        samples.resolved(replace(samples.OK, series=series)),
    ):
        message = render(replace(sample, evidence_id=evidence_id))
        check_message({"text": message.text, "blocks": list(message.blocks)})
        assert len(message.text) < 1000


def test_a_runbook_url_cannot_end_its_link() -> None:
    notice = samples.fired(runbook_url="https://example.com/a|b>c <d&e")
    assert "<https://example.com/a%7Cb%3Ec%20%3Cd&amp;e|Runbook>" in mrkdwn(render(notice))


def test_a_long_name_is_cut_before_what_is_said_of_it() -> None:
    verdict = replace(samples.DRIFTED, series=Series("m" * 500, "1"))
    title = as_plain_text(render(samples.fired(verdict))).splitlines()[0]
    assert title == f"Calibration drift: {'m' * 89}… is overconfident"


@pytest.mark.parametrize("url", [">" * 2000, "https://example.com/" + "a" * 4000])
def test_a_runbook_url_too_long_for_a_link_is_shown_as_text(url: str) -> None:
    message = render(samples.fired(runbook_url=url))
    check_message({"text": message.text, "blocks": list(message.blocks)})
    assert f"Runbook: {url[:500]}" in as_plain_text(message)


def test_a_picture_has_the_same_plain_name_in_every_attempt() -> None:
    assert picture_name("c1360d5c:fired/slack ü") == "reliability-c1360d5c-fired-slack-.png"


def test_an_end_by_a_new_baseline_says_so_and_by_whom() -> None:
    verdict = replace(
        samples.with_evidence(samples.OK, restart=RESTART, window=None, baseline=None),
        status=Status.INSUFFICIENT,
        reason="Collecting a new baseline: 250 of 1000 labels.",
    )
    text = as_plain_text(render(samples.resolved(verdict)))
    assert text.startswith("Resolved: fraud v7 begins again with a new baseline\n")
    assert (
        "Why: change accepted as the new normal at 2026-03-20T00:00:00Z by ann: new price" in text
    )
    assert "Collecting a new baseline: 250 of 1000 labels." in text
    assert "honest" not in text
    message = render(samples.resolved(verdict))
    check_message({"text": message.text, "blocks": list(message.blocks)})


def test_a_baseline_of_long_ago_is_not_why_an_episode_ended() -> None:
    before = replace(RESTART, taken_at=samples.NOW - timedelta(days=30))
    verdict = samples.with_evidence(samples.OK, restart=before)
    assert render(samples.resolved(verdict)) == render(samples.resolved())


ADWIN = Opinion("adwin", 1, 8400, samples.NOW - timedelta(days=3))


@pytest.mark.parametrize(
    ("raised_by", "opinions", "said"),
    [
        ("e_process", (), "8,400 labels seen since the baseline.\n"),
        (
            "e_process",
            (ADWIN, Opinion("kswin", 0, 8400, None)),
            "Second opinions: adwin found a change in the cohort of 11 Mar 2026; kswin found none.",
        ),
        (
            "adwin",
            (ADWIN,),
            "How sure: found by adwin, which promises no rate of false alarms; the policy leaves",
        ),
    ],
)
def test_who_found_it_and_what_the_others_say(
    raised_by: str, opinions: tuple[Opinion, ...], said: str
) -> None:
    verdict = samples.with_evidence(samples.DRIFTED, raised_by=raised_by, opinions=opinions)
    assert said in as_plain_text(render(samples.fired(verdict)))


@pytest.mark.parametrize(
    ("rule", "e_value", "said"),
    [
        ("thresholds", 2.31e6, "7,600 labels a month. 8,400 labels seen"),
        ("e_d_bh", 2.31e6, "7,600 labels a month. 8,400 labels seen"),
        ("e_d_bh", 6e5, "It was named below its threshold, together with others (e-d-BH): of"),
    ],
)
def test_the_budget_is_said_in_words(rule: str, e_value: float, said: str) -> None:
    budget = BudgetShare(
        "at most 1 false page a month over the whole fleet", rule, 500, 7600, 0.0018, samples.NOW
    )
    verdict = samples.with_evidence(samples.DRIFTED, budget=budget, e_value=e_value)
    text = as_plain_text(render(samples.fired(verdict)))
    assert (
        "against a threshold of 1 million: the budget is at most 1 false page a month over the "
        "whole fleet; 500 series share it, and this one's threshold follows from its part and "
        "about 7,600 labels a month."
    ) in text
    assert said in text


def test_warnings_stand_with_what_the_verdict_rests_on() -> None:
    shift = ScoreShift(
        0.3, 0.01, 0.02, 0.2, 0.1, 0.001, shifted=True, reason="Scores have shifted."
    )
    selection = Selection(1e-6, 0.2, 0.3, 0.1, 1.0, "Labels are selective.", None)
    verdict = samples.with_evidence(samples.DRIFTED, score_shift=shift, selection=selection)
    text = as_plain_text(render(samples.fired(verdict)))
    assert " UTC. Scores have shifted. Labels are selective.\n" in text
    quiet = replace(shift, shifted=False), replace(selection, warning=None)
    verdict = samples.with_evidence(samples.DRIFTED, score_shift=quiet[0], selection=quiet[1])
    assert render(samples.fired(verdict)) == render(samples.fired())


def test_a_worst_bin_has_its_class_and_a_useless_model_its_sentence() -> None:
    worst = samples.DRIFTED.evidence.worst_bins[0]
    wrong = WrongBin(worst.lower, worst.upper, Direction.UNDERCONFIDENT, 23.4, 0.001)
    rank = Ranking(0.4, 0.6, 0.05, 0.0, 0.0, 0.0, 0.0, "useless", "A constant would do as well.")
    verdict = samples.with_evidence(samples.DRIFTED, wrong_bins=(wrong,), ranking=rank)
    text = as_plain_text(render(samples.fired(verdict)))
    assert "0.12 in the baseline; 256 labels, scores too low by 23 labels\n" in text
    assert " UTC. A constant would do as well.\n" in text
    assert "What to do: look at the model: its scores tell next to nothing apart" in text
    assert "honest, not useful. The one fitted: Platt" in text
    unproven = samples.with_evidence(samples.DRIFTED, ranking=replace(rank, use="unproven"))
    assert "the labels do not show that they tell outcomes apart" in advice(samples.fired(unproven))
    useful = replace(rank, use="useful")
    assert render(samples.fired(samples.with_evidence(samples.DRIFTED, ranking=useful))) == render(
        samples.fired()
    )


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
