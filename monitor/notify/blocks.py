"""Blocks: Slack's Block Kit, made within its limits, and read back as plain text.

Guarantees: Slack's limits are kept whatever the texts' lengths, and every text that came from
outside is escaped. Must never: contain a mention, a link or markup that a model's name brought.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
"""Slack's limits in characters: https://docs.slack.dev/reference/block-kit/blocks. Of its 50
blocks a message, the longest here has 15."""
FALLBACK_LIMIT = 600
VALUE_LIMIT = 2000
"""Of the value that a button brings back."""

Block = dict[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `text` is the fallback that notifications show, `blocks` are Block Kit."""

    text: str
    blocks: tuple[Block, ...]

    @property
    def plain(self) -> str:
        """The fallback without Slack's escapes, for receivers that take plain text."""
        return html.unescape(self.text)


DIVIDER: Block = {"type": "divider"}


def header(text: str) -> Block:
    """A title. It is plain text: Slack shows entities there as they are, so nothing is escaped."""
    return {"type": "header", "text": {"type": "plain_text", "text": cut(text, HEADER_LIMIT)}}


def section(text: str, label: str = "") -> Block:
    """A paragraph: after its label in bold, or all of it in bold."""
    before, after = (f"*{label}:* ", "") if label else ("*", "*")
    if text.startswith("\n"):
        before = before.rstrip()
    body = cut_escaped(text, SECTION_LIMIT - len(before) - len(after))
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"{before}{body}{after}"}}


def links(named: Sequence[tuple[str, str]]) -> list[Block]:
    """One paragraph of (label, address) links; none without any."""
    if not named:
        return []
    text = " · ".join(f"<{_escaped_url(url)}|{label}>" for label, url in named)
    if len(text) > SECTION_LIMIT:
        return [section(url, label) for label, url in named]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]


def small_print(text: str) -> Block:
    """A line in small letters."""
    said = cut_escaped(text, SECTION_LIMIT)
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": said}]}


def actions(buttons: Sequence[Block]) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(
    label: str, action: str, value: Mapping[str, object] | None = None, *, url: str | None = None
) -> Block:
    """A button that brings back a value, or that opens an address, or both."""
    made: Block = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
    }
    if value is not None:
        made["value"] = json.dumps(value, separators=(",", ":"))[:VALUE_LIMIT]
    if url is not None:
        made["url"] = url
    return made


def cut(text: str, limit: int) -> str:
    """Text of at most `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def cut_escaped(text: str, limit: int) -> str:
    """Escaped text of at most `limit` characters, with no entity cut in two."""
    escaped = _escaped(text)
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&\w{0,3}\Z", "", escaped[: limit - 1]) + "…"


def as_plain_text(message: Message) -> str:
    """Render the same message for a terminal: no markup, one paragraph a block."""
    return "\n".join(_plain_block(block) for block in message.blocks)


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
        case {"type": "actions", "elements": [*buttons]}:
            return " ".join(f"[{one['text']['text']}]" for one in buttons if isinstance(one, dict))
        case _:
            return ""


def _plain(mrkdwn: str) -> str:
    linked = re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", mrkdwn)
    # Our own markup is bold at the start of a block, and nothing else.
    unmarked = re.sub(r"\A\*(.+?:|.+)\*(?=\s|\Z)", r"\1", linked, flags=re.DOTALL)
    return html.unescape(unmarked)
