"""What must hold for any bytes, asked alike by hypothesis and by the coverage-guided fuzzer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitor.core.events import ChangeEvent
from monitor.ingest.formats import (
    NEWEST_MS,
    UNUSABLE,
    LabelEvent,
    PredictionEvent,
    PredictionOfAnyKind,
    Refusal,
    decode_change,
    decode_label,
    decode_labels,
    decode_prediction,
    decode_predictions,
    decode_segments,
    epoch_ms,
    refused_kind,
    refused_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_MS = 1_800_000_000_000
LONGEST_DETAIL = 700
"""Characters of a refusal's text, which may repeat a part of what was sent."""
REASONS = {
    "empty", "too_large", "not_json", "missing_field", "bad_value", "bad_label", "bad_time",
    "bad_text", "bad_segments", "future_time", "unknown_model",
    "too_many_models", "too_many_series", "two_kinds", "other_kind",
    "bad_probs", "bad_confidences", "bad_quantiles",
}  # fmt: skip

PREDICTION: dict[str, object] = {
    "prediction_id": "a-1",
    "model": "m",
    "version": "7",
    "ts": "2026-11-23T02:10:00.5+01:00",
    "score": 0.83,
    "segments": {"country": "DE", "new": True, "tier": 3, "share": 0.1, "none": None},
}
LABEL: dict[str, object] = {
    "prediction_id": "a-1", "model": "m", "ts": 1_790_000_000_000, "label": 1, "op": "upsert"
}  # fmt: skip
CHANGE: dict[str, object] = {
    "model": "m", "kind": "deploy", "ts": 5, "version": "8", "description": "a\u00e4\U0001f600"
}  # fmt: skip
_STATED: tuple[dict[str, object], ...] = (
    {"probs": {"a": 0.25, "b": 0.75}},
    {"probs": [0.25, 0.75]},
    {"confidences": {"judge": 0.5}, "logprobs": [-0.5, -1]},
    {"quantiles": {"0.05": 1, "0.95": 2.5}, "interval": {"level": 0.9, "lower": 1, "upper": 2}},
)
OTHER_KINDS: tuple[dict[str, object], ...] = tuple(
    {key: value for key, value in PREDICTION.items() if key != "score"} | stated
    for stated in _STATED
)
SEEDS = tuple(
    json.dumps(body).encode()
    for body in (
        PREDICTION,
        LABEL,
        CHANGE,
        PREDICTION["segments"],
        LABEL | {"op": "retract", "label": None},
        LABEL | {"label": True},
        LABEL | {"label": 0.0},
        LABEL | {"label": "home"},
        *OTHER_KINDS,
    )
)

_SLOT = "\x01slot\x01"
# Bytes before and after one field's value, of every field of every kind of message.
TEMPLATES = tuple(
    tuple(json.dumps(body | {field: _SLOT}).encode().split(json.dumps(_SLOT).encode()))
    for body in (PREDICTION, LABEL, CHANGE, *OTHER_KINDS)
    for field in body
)


def starting_points() -> Iterator[tuple[int, bytes]]:
    """Inputs of `check_input` that are valid messages: its first byte, and the rest."""
    for seed in SEEDS:
        yield 254, seed
        yield 255, seed
    kinds = (PREDICTION, LABEL, CHANGE, *OTHER_KINDS)
    bodies = [(body, field) for body in kinds for field in body]
    for number, (body, field) in enumerate(bodies):
        yield number, json.dumps(body[field]).encode()


def check_input(data: bytes) -> None:
    """Check one input of the fuzzer: a whole message, segments, or the value of one field."""
    chosen, value = data[0] if data else 254, data[1:]
    if chosen < len(TEMPLATES):
        before, after = TEMPLATES[chosen]
        check_decoders(before + value + after)
    elif chosen % 2:
        check_segments(value)
    else:
        check_decoders(value)


def check_decoders(value: bytes | None) -> None:
    """Every decoder has an answer to this message, and the same one for a batch of it."""
    for latest_ms in (NOW_MS, NEWEST_MS):
        prediction = decode_prediction(value, latest_ms)
        label = decode_label(value, latest_ms)
        change = decode_change(value, latest_ms)
        if isinstance(prediction, PredictionEvent):
            assert 0 <= prediction.score <= 1
            _check_text(prediction.prediction_id, prediction.model, prediction.version)
            assert 0 <= epoch_ms(prediction.ts) <= latest_ms
        if isinstance(prediction, PredictionOfAnyKind):
            assert refused_kind(prediction) is None
            _check_text(prediction.prediction_id, prediction.model, prediction.version)
            assert 0 <= epoch_ms(prediction.ts) <= latest_ms
        if isinstance(label, LabelEvent):
            refused = refused_label(label)
            assert refused is not None or label.op == "retract" or label.label in (0, 1)
            _check_text(label.prediction_id, label.model)
            assert 0 <= epoch_ms(label.ts) <= latest_ms
        if isinstance(change, ChangeEvent):
            _check_text(change.model, change.version or "", change.description)
            assert 0 <= change.happened_at.timestamp() * 1000 <= latest_ms
        for found in (prediction, label, change):
            if isinstance(found, Refusal):
                check_refusal(found)
    _check_batch(value)


def check_segments(value: bytes) -> None:
    """Segments are texts, or refused."""
    found = decode_segments(value)
    if isinstance(found, Refusal):
        check_refusal(found)
    else:
        _check_text(*found, *found.values())


def check_refusal(refusal: Refusal) -> None:
    """A refusal has a known reason, and a text that a terminal and a database can take."""
    assert refusal.reason in REASONS
    assert 10 < len(refusal.detail) <= LONGEST_DETAIL
    refusal.detail.encode()


def _check_batch(value: bytes | None) -> None:
    """Decoded in a batch it gives the same event, or the batch is refused as a whole."""
    for decode_all, decode_one in (
        (decode_predictions, decode_prediction),
        (decode_labels, decode_label),
    ):
        one = decode_one(value, NEWEST_MS)
        try:
            (event,) = decode_all([value])
        except UNUSABLE:
            assert isinstance(one, Refusal)
            continue
        # Times and labels are looked at for the whole batch, after decoding.
        if isinstance(one, Refusal):
            assert one.reason in {"future_time", "bad_time"}
        else:
            assert _plain(one) == _plain(event)


def _plain(event: object) -> list[object]:
    names: tuple[str, ...] = event.__struct_fields__  # type: ignore[attr-defined]  # an event's
    return [bytes(v) if n == "segments" else v for n in names for v in (getattr(event, n),)]


def _check_text(*texts: str) -> None:
    for text in texts:
        text.encode()
