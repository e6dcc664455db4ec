"""Slack's limits on messages and blocks, as its Web API states them."""

# ruff: noqa: EM101  # the strings raised here are Slack's own error names

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.notify.slack_faults import refused

if TYPE_CHECKING:
    from tests.notify.slack_faults import Json

SECTION_LIMIT, HEADER_LIMIT, BLOCK_LIMIT, TEXT_LIMIT = 3000, 150, 50, 40_000


def check_message(args: Json) -> None:
    """Refuse what Slack refuses: no text, too much of it, wrong blocks or metadata."""
    blocks = args.get("blocks", [])
    if not args.get("text") and not blocks:
        raise refused("no_text")
    if len(args.get("text", "")) > TEXT_LIMIT:
        raise refused("msg_too_long")
    faults = [f"no more than {BLOCK_LIMIT} items allowed"] if len(blocks) > BLOCK_LIMIT else []
    for at, block in enumerate(blocks):
        faults += [f"[ERROR] {fault} [json-pointer:/blocks/{at}]" for fault in _wrong(block)]
    if faults:
        raise refused("invalid_blocks", *faults)
    metadata = args.get("metadata")
    if metadata is not None and set(metadata) != {"event_type", "event_payload"}:
        raise refused("invalid_metadata_format")


def _wrong(block: Json) -> list[str]:
    match block:
        case {"type": "divider"}:
            return []
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            return _too_long(text, HEADER_LIMIT)
        case {"type": "section", "text": {"type": "mrkdwn" | "plain_text", "text": str(text)}}:
            return _too_long(text, SECTION_LIMIT)
        case {"type": "context", "elements": [*elements]} if 0 < len(elements) <= 10:
            return [fault for one in elements for fault in _too_long(one["text"], SECTION_LIMIT)]
        case {"type": "actions", "elements": [*buttons]} if 0 < len(buttons) <= 25:
            return [fault for one in buttons for fault in _wrong_button(one)]
        case _:
            return [f"unsupported block: {json.dumps(block)[:80]}"]


def _wrong_button(one: Json) -> list[str]:
    match one:
        case {
            "type": "button",
            "action_id": str(action),
            "text": {"type": "plain_text", "text": str(text)},
        }:
            faults = _too_long(text, 75) + _too_long(action, 255)
            faults += _too_long(one["value"], 2000) if "value" in one else []
            return faults + (_too_long(one["url"], 3000) if "url" in one else [])
        case _:
            return [f"not a button: {json.dumps(one)[:80]}"]


def _too_long(text: str, limit: int) -> list[str]:
    return [] if 0 < len(text) <= limit else [f"must be 1 to {limit} characters"]
