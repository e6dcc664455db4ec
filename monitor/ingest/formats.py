"""Wire formats: bytes of one message to a checked event, or to a reason why not.

Guarantees: any bytes give an event or a Refusal, never an exception. Must never: accept a score
outside [0, 1], a time without a zone, or a message over MAX_BYTES.

A batch of binary events, which is most of the traffic, is decoded by decoders that know nothing
else; a batch that has others, by those that know every kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct

from monitor.core.events import ChangeEvent, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_Event = TypeVar("_Event")

MAX_BYTES = 1 << 20
NEWEST_MS = 4_000_000_000_000
"""Times are kept until the year 2096."""

_LONGEST_DETAIL = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Identifier = Annotated[str, Meta(min_length=1, max_length=1024)]
_Probability = Annotated[float, Meta(ge=0, le=1)]
_Logprob = Annotated[float, Meta(le=0)]
_Time = Annotated[int, Meta(ge=0, le=NEWEST_MS)] | Annotated[datetime, Meta(tz=True)]


class PredictionEvent(Struct, frozen=True, gc=False):
    """One binary prediction as published."""

    prediction_id: _Identifier
    model: _Name
    version: _Name
    ts: _Time
    score: Annotated[float, Meta(ge=0, le=1)]
    segments: Raw = Raw(b"{}")


class StatedInterval(Struct, frozen=True, gc=False):
    """A central interval of this level, as published."""

    level: Annotated[float, Meta(gt=0, lt=1)]
    lower: float
    upper: float


class PredictionOfAnyKind(Struct, frozen=True):
    """One prediction as published; one of the fields from `score` to `interval` says its kind."""

    prediction_id: _Identifier
    model: _Name
    version: _Name
    ts: _Time
    segments: Raw = Raw(b"{}")
    score: _Probability | None = None
    probs: dict[str, _Probability] | list[_Probability] | None = None
    confidences: dict[str, _Probability] | None = None
    logprobs: list[_Logprob] | _Logprob | None = None
    quantiles: dict[str, float] | None = None
    interval: StatedInterval | list[StatedInterval] | None = None


class LabelOfAnyKind(Struct, frozen=True, gc=False):
    """One label as published: also the name of a class."""

    prediction_id: _Identifier
    model: _Name
    ts: _Time
    label: bool | int | float | str | None = None
    op: Literal["upsert", "retract"] = "upsert"


class LabelEvent(Struct, frozen=True, gc=False):
    """One label as published; `label` may be missing when op is `retract`."""

    prediction_id: _Identifier
    model: _Name
    ts: _Time
    label: bool | int | float | None = None
    op: Literal["upsert", "retract"] = "upsert"


class _ChangeMessage(Struct, frozen=True):
    model: _Name
    kind: ChangeKind
    ts: _Time
    version: _Name | None = None
    description: Annotated[str, Meta(max_length=4000)] = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message cannot be used (`reason`, a stable short name), and what would mend it."""

    reason: str
    detail: str


UNUSABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)
"""What decoding a whole batch raises when any message in it cannot be used."""

_predictions = msgspec.json.Decoder(PredictionEvent)
_labels = msgspec.json.Decoder(LabelEvent)
_any_predictions = msgspec.json.Decoder(PredictionOfAnyKind)
_any_labels = msgspec.json.Decoder(LabelOfAnyKind)
_changes = msgspec.json.Decoder(_ChangeMessage)
_segments = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


def decode_predictions(
    values: Sequence[bytes | None],
) -> Sequence[PredictionEvent | PredictionOfAnyKind]:
    """Every message of a batch, times not yet checked; raises one of UNUSABLE if any is bad.

    Who gets one decodes the batch message by message, to learn which and why.
    """
    try:
        return _decoded(_predictions.decode, values)
    except msgspec.ValidationError:
        events = _decoded(_any_predictions.decode, values)
    if any(refused_kind(event) for event in events):
        msg = "a prediction states no kind, or two"
        raise msgspec.ValidationError(msg)
    return events


def decode_labels(values: Sequence[bytes | None]) -> Sequence[LabelEvent | LabelOfAnyKind]:
    """As decode_predictions, for labels; whether they fit their model is not yet checked."""
    try:
        return _decoded(_labels.decode, values)
    except msgspec.ValidationError:
        return _decoded(_any_labels.decode, values)


def decode_prediction(
    value: bytes | None, latest_ms: int
) -> PredictionEvent | PredictionOfAnyKind | Refusal:
    """A prediction no newer than `latest_ms`, or why not."""
    refused = _refused_bytes(value)
    if refused is not None or value is None:
        return refused or _EMPTY
    event: PredictionEvent | PredictionOfAnyKind
    try:
        event = _predictions.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        of_any_kind = _prediction_of_any_kind(value)
        if of_any_kind is None:
            return _refusal(error)
        if isinstance(of_any_kind, Refusal):
            return of_any_kind
        event = of_any_kind
    return refused_time(event.ts, latest_ms) or event


def decode_label(value: bytes | None, latest_ms: int) -> LabelEvent | LabelOfAnyKind | Refusal:
    """A label no newer than `latest_ms`, or why not; whether it fits its model is not checked."""
    refused = _refused_bytes(value)
    if refused is not None or value is None:
        return refused or _EMPTY
    event: LabelEvent | LabelOfAnyKind
    try:
        event = _labels.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            event = _any_labels.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _refusal(error)
    return refused_time(event.ts, latest_ms) or event


def _prediction_of_any_kind(value: bytes) -> PredictionOfAnyKind | Refusal | None:
    """A prediction of another kind than binary, or why it is none; None if it does not try."""
    try:
        event = _any_predictions.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        tries = any(f"$.{name}" in str(error) for names in _KINDS[1:] for name in names)
        return _refusal(error) if tries else None
    if all(getattr(event, name) is None for names in _KINDS for name in names):
        return None
    return refused_kind(event) or event


def decode_change(value: bytes | None, latest_ms: int) -> ChangeEvent | Refusal:
    """A change event no newer than `latest_ms`, or why not."""
    refused = _refused_bytes(value)
    if refused is not None or value is None:
        return refused or _EMPTY
    try:
        event = _changes.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refusal(error)
    refused = refused_time(event.ts, latest_ms)
    texts = (event.model, event.version or "", event.description)
    if refused is None:
        refused = next((r for r in map(refused_text, texts) if r is not None), None)
    if refused is not None:
        return refused
    happened_at = _EPOCH + timedelta(milliseconds=epoch_ms(event.ts))
    return ChangeEvent(event.model, event.version, event.kind, happened_at, event.description)


def decode_segments(raw: bytes) -> dict[str, str] | Refusal:
    """Segment values by dimension, as text."""
    try:
        found = _segments.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal(
            "bad_segments", 'segments must be an object of plain values, like {"country": "DE"}'
        )
    return {name: _as_text(value) for name, value in found.items()}


def epoch_ms(moment: int | datetime) -> int:
    """Epoch milliseconds of a checked time; parts of a millisecond are cut off."""
    return moment if isinstance(moment, int) else (moment - _EPOCH) // _MILLISECOND


def times_ms(moments: Sequence[int | datetime]) -> NDArray[np.int64]:
    """Epoch milliseconds; most streams send them as numbers, which numpy takes as they are."""
    try:
        return np.array(moments, dtype=np.int64)
    except TypeError:
        return np.array([epoch_ms(moment) for moment in moments], dtype=np.int64)


def refused_kind(event: PredictionOfAnyKind) -> Refusal | None:
    """Why a prediction says no kind, or two, if so; one with a score is binary."""
    if event.score is not None:
        return None
    given = [[name for name in names if getattr(event, name) is not None] for names in _KINDS]
    stated = [names for names in given if names]
    if len(stated) == 1:
        return None
    if not stated:
        return Refusal("missing_field", "the prediction states nothing; give it a score")
    told = ", ".join(name for names in stated for name in names)
    return Refusal("two_kinds", f"it states {told}; send predictions of one kind a model")


_KINDS = (("score",), ("probs",), ("confidences", "logprobs"), ("quantiles", "interval"))


def refused_label(event: LabelEvent | LabelOfAnyKind) -> Refusal | None:
    """Why a label of a binary prediction cannot be used, if it cannot; a text never can."""
    label = event.label
    if not isinstance(label, str) and (event.op == "retract" or label in (0, 1)):
        return None
    return Refusal(
        "bad_label",
        f"label is {_shown(repr(label))}; a binary label is 0 or 1 "
        "(use op retract to take one back)",
    )


def refused_text(value: str) -> Refusal | None:
    """Why a name cannot be stored, if it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return Refusal("bad_text", "a name holds half of a surrogate pair; send valid Unicode")
    if "\x00" in value:
        return Refusal("bad_text", "a name holds a NUL character; leave it out")
    return None


_EMPTY = Refusal("empty", "the message has no value; publish a JSON object")


def _decoded(decode: Callable[[bytes], _Event], values: Sequence[bytes | None]) -> list[_Event]:
    events = list(map(decode, values))  # type: ignore[arg-type]  # None raises TypeError, as told
    if max(map(len, values), default=0) > MAX_BYTES:  # type: ignore[arg-type]
        msg = f"a message has more than {MAX_BYTES} bytes"
        raise msgspec.DecodeError(msg)
    return events


def _refused_bytes(value: bytes | None) -> Refusal | None:
    if not value:
        return _EMPTY
    if len(value) > MAX_BYTES:
        return Refusal("too_large", f"{len(value)} bytes; a message may have {MAX_BYTES}")
    return None


def _shown(text: str) -> str:
    """The text, cut where it repeats much of what was sent."""
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "..."


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, msgspec.ValidationError):
        text = _shown(str(error))
        missing = "missing required field" in text
        return Refusal("missing_field" if missing else "bad_value", text)
    return Refusal("not_json", _shown(f"not a JSON object: {error}"))


def refused_time(ts: int | datetime, latest_ms: int) -> Refusal | None:
    """Why a time cannot be used, if it cannot."""
    ms = epoch_ms(ts)
    if ms > latest_ms:
        return Refusal(
            "future_time",
            f"ts is {(ms - latest_ms) / 1000:g} s later than the message's own time allows; "
            "check the clock of the sender, or raise ingest.max_future_skew",
        )
    if not 0 <= ms <= NEWEST_MS:
        return Refusal("bad_time", "ts lies outside 1970 to 2096; use epoch milliseconds, UTC")
    return None


def _as_text(value: str | float | bool | None) -> str:  # noqa: FBT001  # a JSON value, not a flag
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
