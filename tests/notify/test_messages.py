from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.claims import Series
from monitor.core.verdicts import (
    Restart,
    Status,
)
from monitor.notify.messages import (
    Message,
    as_plain_text,
    picture_name,
    render,
)
from tests.notify import verdict_samples as samples
from tests.notify.slack_limits import check_message

if TYPE_CHECKING:
    from monitor.core.episode.notices import AlertNotice

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
