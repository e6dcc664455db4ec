"""Answers: what a person's press on a button of a Slack message means, as values.

Guarantees: a payload that is not of our buttons, or not whole, means nothing; nothing in it is
believed beyond who pressed which button of which group. Must never: do anything about it.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.episode.silences import Acknowledgement, Interaction, Matcher, Silence
from monitor.core.wording import one_line
from monitor.notify.messages import ACK, EVIDENCE, SILENCE_DAY, SILENCE_HOUR

if TYPE_CHECKING:
    from datetime import datetime

SILENCES = {SILENCE_HOUR: timedelta(hours=1), SILENCE_DAY: timedelta(days=1)}
REASON = "pressed in Slack"


@dataclass(frozen=True, slots=True)
class Pressed:
    """One press. asked: what is to be recorded, None for a question, whose answer is `told`.

    response_url: where Slack takes the answer that only this person sees.
    """

    asked: Interaction | None
    told: str
    response_url: str | None


def pressed(payload: object, at: datetime) -> Pressed | None:
    """Read a payload of type block_actions; None where it is not of one of our buttons."""
    found = _map(payload)
    actions = found.get("actions")
    if found.get("type") != "block_actions" or not isinstance(actions, list) or not actions:
        return None
    action, user = _map(actions[0]), _map(found.get("user"))
    name = action.get("action_id")
    value = _value(action.get("value"))
    url = found.get("response_url")
    respond = url if isinstance(url, str) else None
    if name == EVIDENCE:
        # The button has opened its link by itself; in older messages it had a number to tell.
        told = _evidence(value)
        return None if told is None else Pressed(None, told, respond)
    author = _author(user)
    group, model, team = value.get("group"), value.get("model"), value.get("team")
    if author is None or not isinstance(group, str) or not isinstance(model, str):
        return None
    if name == ACK:
        said = "Acked: everybody sees it in the message at the next tick."
        return Pressed(Acknowledgement(group, author, REASON, at), said, respond)
    length = SILENCES.get(name) if isinstance(name, str) else None
    if length is None:
        return None
    matchers = (Matcher("model", model), Matcher("team", team if isinstance(team, str) else ""))
    silence = Silence(matchers, author, REASON, at, at + length)
    hours = int(length / timedelta(hours=1))
    return Pressed(silence, f"Silenced: {one_line(model)}, for {hours} h.", respond)


def _evidence(value: dict[str, object]) -> str | None:
    found = value.get("evidence")
    if not isinstance(found, str) or not found.isdigit():
        return None
    return f"The evidence is row {found} of the view audit.evaluations (evaluation_id)."


def _author(user: dict[str, object]) -> str | None:
    """Name and id: the name can be changed, the id cannot."""
    known = user.get("id")
    if not isinstance(known, str) or not known:
        return None
    name = user.get("username") or user.get("name")
    return f"{one_line(name)} (Slack {known})" if isinstance(name, str) and name else known


def _value(text: object) -> dict[str, object]:
    if not isinstance(text, str):
        return {}
    try:
        return _map(json.loads(text))
    except ValueError:
        return {}


def _map(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
