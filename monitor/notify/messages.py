"""Messages: what an alert says, as Slack blocks and as plain text, from the notice alone.

Guarantees: everything is said in the order in which an on-call engineer asks for it (what, how
much, since when, how sure, why, where, on what, what to do), whole in `render` and split without
a loss in `headline` and `in_thread`. Must never: look anything up, or know who reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from monitor.core.claims import WHOLE
from monitor.core.episode.episodes import AlertKind, EpisodeState
from monitor.core.judging.restarts import restart_words
from monitor.core.wording import direction_words, moment, one_line, span
from monitor.notify.advice_paragraphs import after_it, in_short, what_to_do
from monitor.notify.bin_paragraphs import headline_bin, way, worst_bins
from monitor.notify.blocks import (
    DIVIDER,
    FALLBACK_LIMIT,
    HEADER_LIMIT,
    SECTION_LIMIT,
    Block,
    Message,
    actions,
    as_plain_text,
    button,
    cut_escaped,
    header,
    links,
    section,
    small_print,
)
from monitor.notify.groups import (
    NAME_LIMIT,
    after_change,
    answered_by,
    begin,
    heading,
    identity,
    listed,
    standing,
    state_of,
    subject,
)
from monitor.notify.paragraphs import (
    behind_it,
    cause,
    how_sure,
    now_and_before,
    over,
    since_when,
    size,
)

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.episode.notices import AlertNotice
    from monitor.core.verdicts import Restart

__all__ = [
    "FALLBACK_LIMIT",
    "HEADER_LIMIT",
    "NAME_LIMIT",
    "SECTION_LIMIT",
    "Block",
    "Message",
    "as_plain_text",
    "headline",
    "in_thread",
    "picture_name",
    "render",
    "reply",
]

ACK, SILENCE_HOUR, SILENCE_DAY, EVIDENCE = "calmon_ack", "calmon_1h", "calmon_1d", "calmon_evidence"
"""Names of the buttons' actions."""


class _Part(NamedTuple):
    """One paragraph; `short` stands for it in the channel, and the whole is then in the thread."""

    label: str
    text: str
    short: str | None = None


def render(notice: AlertNotice) -> Message:
    """Say everything in one message; text and sections are mrkdwn, escaped as Slack asks."""
    return _message(notice, [(part.label, part.text) for part in _parts(notice)], [])


def headline(notice: AlertNotice, *, interactive: bool = False) -> Message:
    """The message in the channel, as things stand; `interactive` gives it buttons that answer."""
    told = [(p.label, p.text if p.short is None else p.short) for p in _parts(notice)]
    return _message(
        notice, [one for one in told if one[1]], _buttons(notice, interactive=interactive)
    )


def in_thread(notice: AlertNotice) -> Message | None:
    """What the headline left out, or None where nothing."""
    parts = [part for part in _parts(notice) if part.short is not None]
    if not parts:
        return None
    blocks = [section(part.text, part.label) for part in parts]
    return Message(
        cut_escaped(f"Details: {_title(notice)}", FALLBACK_LIMIT),
        (*blocks, small_print(identity(notice))),
    )


def reply(notice: AlertNotice) -> Message:
    """What the thread is told of a change, a reminder or an end, in a line or two."""
    if notice.kind is AlertKind.REMINDED:
        said = f"still firing since {moment(begin(notice))}: {subject(notice)}"
        answered = answered_by(notice) or "nobody yet"
        blocks = [
            section(said, "Reminder"),
            section(size(notice.verdict.evidence), "Size"),
            section(answered, "Acked by"),
        ]
    else:
        said = one_line(notice.what)
        label = "Resolved" if _is_over(notice) else "Update"
        if _is_over(notice):
            said = said.removesuffix(": resolved")
        blocks = [section(f"{said} ({standing(notice)})", label)]
        if answered_by(notice):
            blocks.append(section(answered_by(notice), "Acked by"))
    text = f"{heading(notice)}: {subject(notice)}: {said}"
    return Message(cut_escaped(text, FALLBACK_LIMIT), tuple(blocks))


def picture_name(notification_id: str) -> str:
    """File name of a notification's picture: the same in every attempt, so that it is found."""
    return f"reliability-{re.sub(r'[^A-Za-z0-9]+', '-', notification_id)}.png"


def _message(notice: AlertNotice, told: list[tuple[str, str]], buttons: list[Block]) -> Message:
    title = _title(notice)
    blocks: list[Block] = [header(title)]
    for label, text in told:
        if label == "What to do" and state_of(notice) is not EpisodeState.RESOLVED:
            blocks.append(DIVIDER)
        blocks.append(section(text, label))
    named = [("Runbook", notice.runbook_url), ("Dashboard", notice.url)]
    blocks += links([(label, one_line(url)) for label, url in named if url and one_line(url)])
    blocks += [actions(buttons)] if buttons else []
    blocks.append(small_print(identity(notice)))
    more = f" (fired {_lasted(notice)})" if _is_over(notice) else f". {told[0][1]}"
    return Message(cut_escaped(f"{title}{more}", FALLBACK_LIMIT), tuple(blocks))


def _title(notice: AlertNotice) -> str:
    state = state_of(notice)
    said = f"{heading(notice)}: {subject(notice)}"
    if state is EpisodeState.RESOLVED:
        return f"{said} {over(_restart(notice))}"
    if state is EpisodeState.FIRING and len(notice.members) <= 1:
        return f"{said} {direction_words(notice.verdict.evidence.direction)}"
    return said


def _parts(notice: AlertNotice) -> list[_Part]:
    match state_of(notice):
        case EpisodeState.RESOLVED:
            parts = _resolved(notice)
        case EpisodeState.RECOVERING | EpisodeState.NO_DATA:
            parts = _undecided(notice)
        case _:
            parts = _firing(notice)
    answered = answered_by(notice)
    if answered:
        parts.insert(1, _Part("Acked by", answered))
    return parts


def _firing(notice: AlertNotice) -> list[_Part]:
    verdict, evidence = notice.verdict, notice.verdict.evidence
    members = listed(notice)
    segment = one_line(verdict.series.segment)
    where = "all traffic" if verdict.series.segment == WHOLE else f"segment {segment}"
    worst = f"Worst is {where}: " if members else ""
    since = since_when(evidence, notice.fired_at)
    since += after_change(notice.recent_change, evidence.drift_since_at, notice.fired_at)
    return [
        _Part("", f"{worst}{headline_bin(verdict)}{way(evidence)}"),
        *([_Part("Series", members)] if members else []),
        _Part("Size", size(evidence)),
        _Part("Since", since),
        _Part("How sure", how_sure(evidence)),
        _Part("Why", cause(evidence)),
        _Part("Worst bins", worst_bins(evidence), ""),
        _Part("Behind it", behind_it(verdict), ""),
        *([_Part("Threshold", evidence.decision.reason)] if evidence.decision else []),
        _Part("What to do", what_to_do(verdict), in_short(verdict)),
    ]


def _undecided(notice: AlertNotice) -> list[_Part]:
    """Not over, and nothing that fires: better for now, or nothing to judge by."""
    members = listed(notice)
    return [
        _Part("Now", one_line(notice.what)),
        *([_Part("Series", members)] if members else []),
        _Part("Size", now_and_before(notice.verdict.evidence)),
        _Part("Fired", f"{moment(begin(notice))}, and not resolved yet."),
        _Part("Behind it", behind_it(notice.verdict)),
    ]


def _resolved(notice: AlertNotice) -> list[_Part]:
    verdict = notice.verdict
    restart, members = _restart(notice), listed(notice)
    first = (
        _Part("Size", now_and_before(verdict.evidence))
        if restart is None
        else _Part("Why", restart_words(restart))
    )
    return [
        first,
        *([_Part("Series", members)] if members else []),
        _Part("Fired", _lasted(notice)),
        _Part("Behind it", behind_it(verdict) if restart is None else verdict.reason),
        _Part("What to do", after_it(restart)),
    ]


def _is_over(notice: AlertNotice) -> bool:
    return state_of(notice) is EpisodeState.RESOLVED


def _now(notice: AlertNotice) -> datetime:
    return notice.verdict.evaluated_at


def _lasted(notice: AlertNotice) -> str:
    ends = [one.resolved_at for one in notice.members if one.resolved_at]
    ended_at = max([*ends, notice.resolved_at or _now(notice)])
    began_at = begin(notice)
    return f"{moment(began_at)} to {moment(ended_at)}: {span(ended_at - began_at)}"


def _restart(notice: AlertNotice) -> Restart | None:
    """What the episode ended by, if the series was given a new baseline while it fired."""
    restart = notice.verdict.evidence.restart
    if restart is None or not _is_over(notice) or restart.taken_at <= notice.fired_at:
        return None
    return restart


def _buttons(notice: AlertNotice, *, interactive: bool) -> list[Block]:
    link = one_line(notice.url or "") or None
    if not interactive or _is_over(notice):
        return [button("Open evidence", EVIDENCE, url=link)] if link else []
    value = {"group": notice.group_id, "model": notice.verdict.series.model, "team": notice.team}
    asked = [button("Ack", ACK, value)] if notice.ack is None else []
    return [
        *asked,
        button("Silence 1 h", SILENCE_HOUR, value),
        button("Silence 1 d", SILENCE_DAY, value),
        *([button("Open evidence", EVIDENCE, url=link)] if link else []),
    ]
