"""A backtest's verdicts told day by day: through history, outbox and dispatch into a Slack stub.

What the tick does with verdicts is done here with those of a backtest, at a tick a day: groups,
one transaction a day, what silences hold back, delivery. `CALMON_REPLAYS=folder` keeps what was
posted, as text and pictures, for a person to look at.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.core.episode.episodes import AlertKind
from monitor.core.episode.notices import AttemptOutcome, notice_from_json
from monitor.core.judging.fleet import boundaries
from monitor.notify.dispatch import Delivery, deliver
from monitor.notify.messages import Message, as_plain_text
from monitor.notify.slack import SlackSender
from monitor.pictures import reliability_png
from monitor.store.alerting import Alert
from monitor.store.history import Brought, HistoryStore
from monitor.store.judgements import Judgement
from monitor.store.outbox import OutboxStore
from monitor.watch.telling import tell
from tests.notify.slack_state import CHANNEL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.core.episode.grouping import Group
    from monitor.core.episode.notices import AlertNotice
    from monitor.core.policies import Policy
    from monitor.watch.backtest import BacktestAlert
    from monitor.watch.following import Judged
    from tests.notify.slack_stub import SlackStub

ROUTES = (("slack", CHANNEL),)


def replayed(
    given: Sequence[Judged], policy_for: Callable[[str], Policy], engine: Engine, stub: SlackStub
) -> list[Delivery]:
    """Tell of verdicts, in time order, at a tick a day; every delivery, in order."""
    # A post is looked for from shortly before its notification was written.
    stub.state.first_ts = int(time.time())
    history, outbox = HistoryStore(engine), OutboxStore(engine)
    senders = {"slack": SlackSender(TOKEN, stub.api_url, apart_s=0, interactive=True)}
    groups: dict[str, Group] = {}
    done: list[Delivery] = []
    for until, mine in _days(given):
        history.record(_brought(groups, mine, until, policy_for))
        outbox.sift(until)
        done += deliver(outbox, senders, until, reliability_png)
    last = {each.notification.notification_id: each.attempt.outcome for each in done}
    assert set(last.values()) == {AttemptOutcome.DELIVERED}
    return done


def _days(given: Sequence[Judged]) -> Iterator[tuple[datetime, list[Judged]]]:
    """Every midnight with the verdicts given up to it since the one before."""
    first, last = given[0].verdict.evaluated_at, given[-1].verdict.evaluated_at
    at, waiting = 0, list(given)
    for until in boundaries(first - timedelta(seconds=1), last + timedelta(days=1)):
        begin = at
        while at < len(waiting) and waiting[at].verdict.evaluated_at <= until:
            at += 1
        yield until, waiting[begin:at]


def _brought(
    groups: dict[str, Group],
    given: Sequence[Judged],
    until: datetime,
    policy_for: Callable[[str], Policy],
) -> Brought:
    by_model = {name: list(mine) for name, mine in groupby(_by_model(given), key=_model)}
    alerts = []
    for model in sorted({*by_model, *groups}):
        policy = policy_for(model)
        mine = by_model.get(model, [])
        group, told = tell(groups.get(model), mine, until, policy.alerts, model)
        if group is not None:
            groups[model] = group
        alerts += [Alert(one, ROUTES, policy.runbook_url) for one in told]
    alerts.sort(key=lambda one: one.told.happened_at)
    judgements = [
        Judgement(one.verdict, policy_for(_model(one)), one.decision if one.changed else None)
        for one in given
    ]
    return Brought(judgements=judgements, alerts=alerts)


def _model(judged: Judged) -> str:
    return judged.verdict.series.model


def _by_model(given: Sequence[Judged]) -> list[Judged]:
    return sorted(given, key=_model)


@dataclass(frozen=True)
class Thread:
    """A message in the channel as it was posted and edited, what its thread says, its pictures."""

    group_id: str
    model: str
    states: list[str]
    said: list[str]
    pictures: list[bytes]

    def as_text(self) -> str:
        """All of it, for a person."""
        lines = ["=" * 100, self.states[0]]
        lines += [f"{'-' * 40} in its thread\n{one}" for one in self.said]
        lines += [f"{'-' * 40} in its thread\n(a picture, {len(p)} bytes)" for p in self.pictures]
        if len(self.states) > 1:
            lines += [
                f"{'-' * 40} as it stands after {len(self.states) - 1} edits",
                self.states[-1],
            ]
        return "\n".join(lines)


def threads(stub: SlackStub, done: Sequence[Delivery]) -> list[Thread]:
    """Every message in the channel with what belongs to it, in order of posting."""
    models = {each.notification.group_id: _notice(each).verdict.series.model for each in done}
    found = []
    for parent in stub.parents():
        group_id = parent["metadata"]["event_payload"]["group_id"]
        said = [one for one in stub.replies() if one["thread_ts"] == parent["ts"]]
        shares = [one for one in stub.shared() if one.get("thread_ts") == parent["ts"]]
        files = [stub.state.files[file["id"]] for one in shares for file in one["files"]]
        found.append(
            Thread(
                group_id,
                models[group_id],
                list(_states(stub, parent)),
                [_text(one) for one in said],
                [file["content"] for file in files],
            )
        )
    return found


def check(
    told: Sequence[Thread],
    stub: SlackStub,
    done: Sequence[Delivery],
    alerts: Sequence[BacktestAlert],
) -> None:
    """One message a group and nothing twice, each whole, and as its group was in the end."""
    newest = {each.notification.group_id: _notice(each) for each in done}
    assert [each.group_id for each in told] == list(newest)
    assert stub.doubled() == []
    members = {one.episode_id for notice in newest.values() for one in notice.members}
    assert members == {alert.episode.episode_id for alert in alerts}
    for each in told:
        mine = [d.notification for d in done if d.notification.group_id == each.group_id]
        kinds = {one.sequence: one.kind for one in mine}
        assert mine[0].kind is AlertKind.FIRED
        assert len(each.states) >= len(kinds)
        assert len(each.said) == len(kinds), "details, and a line for everything that came later"
        assert [picture[:4] for picture in each.pictures] == [b"\x89PNG"]
        over = newest[each.group_id].kind is AlertKind.RESOLVED
        assert each.states[-1].startswith("Resolved: ") == over


def _notice(delivery: Delivery) -> AlertNotice:
    return notice_from_json(delivery.notification.payload)


def _states(stub: SlackStub, parent: dict[str, Any]) -> Iterator[str]:
    """The message as it was posted, then after each edit."""
    posted = parent["metadata"]["event_payload"]
    for call in stub.calls("chat.postMessage"):
        if call["metadata"]["event_payload"] == posted:
            yield _text(call)
    for call in stub.calls("chat.update"):
        if call["ts"] == parent["ts"]:
            yield _text(call)


def _text(message: dict[str, Any]) -> str:
    return as_plain_text(Message(message["text"], tuple(message["blocks"])))


def shown(name: str, told: Sequence[Thread]) -> str:
    """All threads as text; kept with their pictures where a person asks for them."""
    text = "\n".join(each.as_text() for each in told)
    if folder := os.environ.get("CALMON_REPLAYS"):
        kept = Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        (kept / f"{name}.txt").write_text(f"{text}\n")
        for n, each in enumerate(told):
            for m, picture in enumerate(each.pictures):
                (kept / f"{name}-{n}-{m}.png").write_bytes(picture)
    return text
