"""Messages: what an alert says, as Slack blocks and as plain text, from the notice alone.

Guarantees: `render` is pure, says things in the order in which an on-call engineer asks for them
(what, how much, since when, how sure, why, where, on what, what to do), keeps Slack's limits
whatever the names' lengths, and escapes every text that came from outside. Must never: contain a
mention, a link or markup that a model's name brought along.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.episodes import AlertKind
from monitor.core.restarts import restart_words
from monitor.core.wording import direction_words, moment, one_line, series_name, span
from monitor.notify.paragraphs import (
    after_it,
    behind_it,
    cause,
    headline_bin,
    how_sure,
    now_and_before,
    over,
    since_when,
    size,
    way,
    what_to_do,
    worst_bins,
)

if TYPE_CHECKING:
    from monitor.core.notices import AlertNotice

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
"""Slack's limits in characters: https://docs.slack.dev/reference/block-kit/blocks. Of its 50
blocks a message, the longest here has 13."""
FALLBACK_LIMIT = 600
NAME_LIMIT = 90
"""Of a header's 150 characters, so that what is said of the series is never cut off."""

Block = dict[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `text` is the fallback that notifications show, `blocks` are Block Kit."""

    text: str
    blocks: tuple[Block, ...]


def render(notice: AlertNotice) -> Message:
    """Say what happened; text and sections are mrkdwn, escaped as Slack asks."""
    if notice.kind is AlertKind.RESOLVED:
        return _resolved(notice)
    return _fired(notice)


def as_plain_text(message: Message) -> str:
    """Render the same message for a terminal: no markup, one paragraph a block."""
    return "\n".join(_plain_block(block) for block in message.blocks)


def picture_name(notification_id: str) -> str:
    """File name of a notification's picture: the same in every attempt, so that it is found."""
    return f"reliability-{re.sub(r'[^A-Za-z0-9]+', '-', notification_id)}.png"


def _fired(notice: AlertNotice) -> Message:
    verdict = notice.verdict
    evidence = verdict.evidence
    title = f"{_cut(series_name(verdict.series), NAME_LIMIT)} {direction_words(evidence.direction)}"
    lead = f"{headline_bin(verdict)}{way(evidence)}"
    labelled = (
        ("Size", size(evidence)),
        ("Since", since_when(evidence, notice.fired_at)),
        ("How sure", how_sure(evidence)),
        ("Why", cause(evidence)),
        ("Worst bins", worst_bins(evidence)),
        ("Behind it", behind_it(verdict)),
    )
    blocks: list[Block] = [
        _header(f"Calibration drift: {title}"),
        _section(lead),
        *(_section(text, label) for label, text in labelled),
        *([_section(evidence.decision.reason, "Threshold")] if evidence.decision else []),
        {"type": "divider"},
        _section(what_to_do(evidence), "What to do"),
        *_runbook(notice),
        _footer(notice),
    ]
    return Message(
        _cut_escaped(f"Calibration drift: {title}. {lead}", FALLBACK_LIMIT), tuple(blocks)
    )


def _resolved(notice: AlertNotice) -> Message:
    verdict = notice.verdict
    restart = verdict.evidence.restart if _began_again(notice) else None
    title = f"{_cut(series_name(verdict.series), NAME_LIMIT)} {over(restart)}"
    ended_at = notice.resolved_at or verdict.evaluated_at
    lasted = f"{moment(notice.fired_at)} to {moment(ended_at)}: {span(ended_at - notice.fired_at)}"
    blocks: list[Block] = [
        _header(f"Resolved: {title}"),
        *(
            [_section(restart_words(restart), "Why")]
            if restart is not None
            else [_section(now_and_before(verdict.evidence), "Size")]
        ),
        _section(lasted, "Fired"),
        _section(verdict.reason if restart is not None else behind_it(verdict), "Behind it"),
        _section(after_it(restart), "What to do"),
        *_runbook(notice),
        _footer(notice),
    ]
    return Message(
        _cut_escaped(f"Resolved: {title} (fired {lasted})", FALLBACK_LIMIT), tuple(blocks)
    )


def _began_again(notice: AlertNotice) -> bool:
    """Whether the episode ended because the series was given a new baseline."""
    restart = notice.verdict.evidence.restart
    return restart is not None and restart.taken_at > notice.fired_at


def _header(text: str) -> Block:
    # A header is plain text: Slack shows entities there as they are, so nothing is escaped.
    return {"type": "header", "text": {"type": "plain_text", "text": _cut(text, HEADER_LIMIT)}}


def _section(text: str, label: str = "") -> Block:
    before, after = (f"*{label}:* ", "") if label else ("*", "*")
    if text.startswith("\n"):
        before = before.rstrip()
    body = _cut_escaped(text, SECTION_LIMIT - len(before) - len(after))
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"{before}{body}{after}"}}


def _runbook(notice: AlertNotice) -> list[Block]:
    url = one_line(notice.runbook_url or "")
    if not url:
        return []
    link = f"<{_escaped_url(url)}|Runbook>"
    if len(link) > SECTION_LIMIT:
        return [_section(url, "Runbook")]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": link}}]


def _footer(notice: AlertNotice) -> Block:
    said = f"Evidence: {one_line(notice.evidence_id)} · episode {notice.episode_id}"
    text = _cut_escaped(said, SECTION_LIMIT)
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cut_escaped(text: str, limit: int) -> str:
    """Escaped text of at most `limit` characters, with no entity cut in two."""
    escaped = _escaped(text)
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&\w{0,3}\Z", "", escaped[: limit - 1]) + "…"


def _escaped(text: str) -> str:
    """Slack asks for these three entities and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escaped_url(url: str) -> str:
    """URL fit for <url|label>: what would end it is percent-encoded."""
    encoded = {"<": "%3C", ">": "%3E", "|": "%7C", " ": "%20"}
    return "".join(encoded.get(c, c) for c in url).replace("&", "&amp;")


def _plain_block(block: Block) -> str:
    match block:
        case {"type": "header", "text": {"text": str(text)}}:
            return text
        case {"type": "section", "text": {"text": str(text)}}:
            return _plain(text)
        case {"type": "context", "elements": [{"text": str(text)}, *_]}:
            return _plain(text)
        case _:
            return ""


def _plain(mrkdwn: str) -> str:
    linked = re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", mrkdwn)
    # Our own markup is bold at the start of a block, and nothing else.
    unmarked = re.sub(r"\A\*(.+?:|.+)\*(?=\s|\Z)", r"\1", linked, flags=re.DOTALL)
    return html.unescape(unmarked)
