"""Dead letters as a person or a program reads them.

Guarantees: whatever bytes a message holds, what is printed holds no control code, no character
that turns the direction of text, and nothing that a terminal obeys; JSON loses no byte. Must
never: print a payload in a listing.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from monitor.core.verdicts import rfc3339
from monitor.ingest.replayable import cannot_replay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console

    from monitor.ingest.dead_letter_replay import Replayed
    from monitor.store.dead_letters import Letter, WholeLetter

Json = dict[str, object]

SKIPPED_SHOWN = 10
_LINE_END = "\n"


def letter_json(letter: Letter) -> Json:
    """All but the bytes."""
    resolution = letter.resolution
    return {
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "published_at": None if letter.published_at is None else rfc3339(letter.published_at),
        "recorded_at": rfc3339(letter.recorded_at),
        "key_bytes": letter.key_bytes,
        "value_bytes": letter.value_bytes,
        "cannot_replay": _cannot_replay(letter),
        "resolution": None
        if resolution is None
        else {
            "outcome": resolution.outcome,
            "at": rfc3339(resolution.at),
            "by": resolution.by,
            "because": resolution.because,
        },
    }


def whole_json(found: WholeLetter) -> Json:
    """All of a letter: `key` and `value` as text, or, where they are not UTF-8, as base64."""
    return (
        letter_json(found.letter)
        | _bytes_json("key", found.key)
        | _bytes_json("value", found.value)
    )


def letter_text(found: WholeLetter) -> str:
    """All of a letter, a fact a line, the value last: indented if it is JSON."""
    letter = found.letter
    facts = {
        "reason": letter.reason,
        "detail": letter.detail,
        "published": _when(letter.published_at),
        "recorded": _when(letter.recorded_at),
    }
    if letter.resolution is not None:
        resolved = letter.resolution
        told = f"{_when(resolved.at)} by {resolved.by}: {resolved.because}"
        facts[resolved.outcome] = told
    elif why := _cannot_replay(letter):
        facts["no replay"] = why
    place = letter.place
    lines = [f"{escaped(place.topic)} partition {place.partition} offset {place.offset}"]
    lines += [f"  {name:<9}  {escaped(told)}" for name, told in facts.items()]
    lines.append(f"  {'key':<9}  {_key(found.key)}")
    lines.append(f"  {'value':<9}  {_payload(found.value)}")
    return "\n".join(lines)


def print_letters(
    console: Console,
    letters: Sequence[Letter],
    counts: Sequence[tuple[str, str, int]],
    *,
    resolved: bool,
) -> None:
    """A row a letter, cut to the terminal's width, and the counts below."""
    total = sum(n for _, _, n in counts)
    if not total:
        console.print("no dead letters" if resolved else "no dead letters wait")
        return
    table = Table(title="dead letters, the newest first", title_justify="left", expand=True)
    for name in ("recorded (UTC)", "topic partition offset", "reason"):
        table.add_column(name, no_wrap=True)
    if resolved:
        table.add_column("resolved", no_wrap=True)
    table.add_column("detail", no_wrap=True, overflow="ellipsis", ratio=1)
    for letter in letters:
        place = letter.place
        cells = [
            f"{letter.recorded_at:%Y-%m-%d %H:%M:%S}",
            f"{escaped(place.topic)} {place.partition} {place.offset}",
            escaped(letter.reason),
        ]
        if resolved:
            cells.append("" if letter.resolution is None else letter.resolution.outcome)
        table.add_row(*map(Text, cells), Text(escaped(letter.detail)))
    console.print(table)
    lines = [f"{letters_text(n)}: {topic}, {reason}" for topic, reason, n in counts]
    if len(letters) < total:
        lines.append(f"shown are the newest {len(letters)} of {total}; --limit shows more")
    for line in lines:
        console.print(escaped(line), markup=False, highlight=False, soft_wrap=True)


def replayed_json(done: Replayed) -> Json:
    """What a replay did, with every letter that it had to leave."""
    skipped = [{**place._asdict(), "why": why} for place, why in done.skipped]
    return {"published": done.published, "marked": done.marked, "skipped": skipped}


def replayed_text(done: Replayed) -> str:
    """The same for a person; of many that were left, the first few."""
    lines = [f"published {letters_text(done.published)} again"]
    if done.marked < done.published:
        lines.append(f"{done.published - done.marked} of them had been resolved meanwhile")
    if done.skipped:
        lines.append(f"{letters_text(len(done.skipped))} cannot be replayed:")
        lines += [f"  {escaped(str(place))}: {why}" for place, why in done.skipped[:SKIPPED_SHOWN]]
    if len(done.skipped) > SKIPPED_SHOWN:
        lines.append(f"  and {len(done.skipped) - SKIPPED_SHOWN} more; --json names all")
    return "\n".join(lines)


def letters_text(n: int) -> str:
    """`1 letter`, `2 letters`."""
    return f"{n} letter{'' if n == 1 else 's'}"


def escaped(text: str, *, keep: str = "") -> str:
    """The text with an escape for every character that does not print; `keep` stays as it is."""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def _cannot_replay(letter: Letter) -> str | None:
    if letter.resolution is not None:
        return f"it was {letter.resolution.outcome}"
    return cannot_replay(letter.reason, letter.key_bytes, letter.value_bytes)


def _bytes_json(name: str, data: bytes | None) -> Json:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}


def _key(data: bytes | None) -> str:
    if not data:
        return "none" if data is None else "empty"
    return escaped(data.decode(errors="backslashreplace"))


def _payload(data: bytes | None) -> str:
    """Size and kind of the bytes, and below them the bytes as text."""
    if not data:
        return "none" if data is None else "empty"
    size = f"{len(data)} byte{'' if len(data) == 1 else 's'}"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return (
            f"{size}, not UTF-8\n{escaped(data.decode(errors='backslashreplace'), keep=_LINE_END)}"
        )
    try:
        # Reformatted by its tokens: no number is rounded, no repeated key is lost.
        return f"{size}, JSON\n{escaped(msgspec.json.format(text, indent=2), keep=_LINE_END)}"
    except (msgspec.DecodeError, RecursionError):
        return f"{size}, not JSON\n{escaped(text, keep=_LINE_END)}"


def _when(moment: datetime | None) -> str:
    return "not known" if moment is None else rfc3339(moment)
