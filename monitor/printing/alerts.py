"""What commands print of alerts: open groups, and what people answered to them.

Guarantees: what is printed comes from the same values as the JSON forms. Must never: compute.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.core.episode.episodes import fingerprint
from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from monitor.store.interactions import Answer

Json = dict[str, object]


def alerts_json(answers: Mapping[str, Answer], model: str | None = None) -> list[Json]:
    """Open groups of alert episodes, with who has taken them on or silenced them."""
    return [
        _alert_json(answer)
        for name, answer in sorted(answers.items())
        if answer.group.is_open and model in {None, name}
    ]


def _alert_json(answer: Answer) -> Json:
    group, ack, quiet = answer.group, answer.ack, answer.silence
    return {
        "group_id": group.group_id,
        "model": group.model,
        "team": group.team,
        "severity": str(group.severity),
        "opened_at": rfc3339(group.opened_at),
        "members": [
            {
                "version": member.series.version,
                "claim": member.series.claim,
                "segment": member.series.segment or None,
                "fingerprint": fingerprint(member.series),
                "state": str(member.state),
                "severity": str(member.severity),
                "fired_at": rfc3339(member.fired_at),
                "shift": member.shift,
            }
            for member in group.members
        ],
        "ack": None
        if ack is None
        else {"author": ack.author, "reason": ack.reason, "at": rfc3339(ack.at)},
        "silence": None
        if quiet is None
        else {
            "silence_id": quiet.silence_id,
            "author": quiet.silence.author,
            "reason": quiet.silence.reason,
            "ends_at": rfc3339(quiet.silence.ends_at),
        },
    }


def print_alerts(console: Console, alerts: object) -> None:
    """A line an open group: what it is, and what was answered."""
    for one in alerts if isinstance(alerts, list) else []:
        states = Counter(member["state"].replace("_", " ") for member in one["members"])
        counted = ", ".join(f"{n} {state}" for state, n in states.items())
        text = f"alert of {one['model']}, {one['severity']}: {counted} since {one['opened_at']}"
        if ack := one["ack"]:
            text += f"; acknowledged by {ack['author']}: {ack['reason']}"
        if quiet := one["silence"]:
            text += f"; silenced until {quiet['ends_at']} by {quiet['author']}: {quiet['reason']}"
        text += f" (group {one['group_id']})"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def alert_words(episode: object) -> str:
    """State of the series' episode, if it is not over."""
    if not isinstance(episode, dict) or episode["state"] == "resolved":
        return "-"
    return str(episode["state"]).replace("_", " ")
