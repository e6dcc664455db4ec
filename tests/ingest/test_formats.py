"""Every kind of bad message has one short reason, and any bytes have an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.events import ChangeEvent
from monitor.ingest.formats import (
    MAX_BYTES,
    LabelEvent,
    LabelOfAnyKind,
    PredictionEvent,
    PredictionOfAnyKind,
    Refusal,
    decode_change,
    decode_label,
    decode_prediction,
    decode_segments,
    epoch_ms,
    refused_label,
)

NOW_MS = 1_800_000_000_000
PREDICTION = {
    "prediction_id": "a-1",
    "model": "fraud",
    "version": "7",
    "ts": "2026-11-23T02:10:00Z",
    "score": 0.83,
    "segments": {"country": "DE"},
}
LABEL = {"prediction_id": "a-1", "model": "fraud", "label": 1, "ts": 1_790_000_000_000}


def message(base: dict[str, object], **changes: object) -> bytes:
    merged = {k: v for k, v in {**base, **changes}.items() if v is not ...}
    return json.dumps(merged).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"score=0.3", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 100_000, "bad_value"),
        (b"{" + b" " * MAX_BYTES + b"}", "too_large"),
        (message(PREDICTION, score=...), "missing_field"),
        (message(PREDICTION, prediction_id=""), "bad_value"),
        (message(PREDICTION, score=1.01), "bad_value"),
        (message(PREDICTION, score=-0.01), "bad_value"),
        (message(PREDICTION, score="0.5"), "bad_value"),
        (message(PREDICTION, score=None), "bad_value"),
        (message(PREDICTION).replace(b"0.83", b"NaN"), "not_json"),
        (message(PREDICTION).replace(b"0.83", b"1e999"), "bad_value"),
        (message(PREDICTION, ts="2026-11-23T02:10:00"), "bad_value"),
        (message(PREDICTION, ts="yesterday"), "bad_value"),
        (message(PREDICTION, ts=-1), "bad_value"),
        (message(PREDICTION, ts="1969-12-31T23:59:59Z"), "bad_time"),
        (message(PREDICTION, ts=NOW_MS + 1), "future_time"),
    ],
)
def test_a_bad_prediction_has_a_reason_and_a_mend(value: bytes | None, reason: str) -> None:
    refused = decode_prediction(value, NOW_MS)
    assert isinstance(refused, Refusal)
    assert refused.reason == reason
    assert len(refused.detail) > 10


@pytest.mark.parametrize("label", [0, 1, 0.0, 1.0, True, False])
def test_a_binary_label_may_be_written_in_several_ways(label: float) -> None:
    event = decode_label(message(LABEL, label=label), NOW_MS)
    assert isinstance(event, LabelEvent)
    assert event.label == label


@pytest.mark.parametrize("label", [2, 0.5, -1, None, ..., "1", "home"])
def test_other_labels_are_refused_of_a_binary_prediction(label: object) -> None:
    event = decode_label(message(LABEL, label=label), NOW_MS)
    assert isinstance(event, LabelEvent | LabelOfAnyKind)
    refused = refused_label(event)
    assert refused is not None
    assert refused.reason == "bad_label"


def test_a_retraction_needs_no_label() -> None:
    event = decode_label(message(LABEL, label=..., op="retract"), NOW_MS)
    assert isinstance(event, LabelEvent)
    assert event.op == "retract"


@pytest.mark.parametrize(
    "ts", [1_795_399_800_123, "2026-11-23T03:30:00.123+01:00", "2026-11-23T02:30:00.1239Z"]
)
def test_times_in_any_accepted_form_are_the_same_millisecond(ts: object) -> None:
    event = decode_prediction(message(PREDICTION, ts=ts), NOW_MS)
    assert isinstance(event, PredictionEvent)
    expected = 1_795_399_800_123 if isinstance(ts, int) else 1_795_401_000_123
    assert epoch_ms(event.ts) == expected


def test_a_change_event_is_read_and_an_unknown_kind_refused() -> None:
    change = {"model": "fraud", "kind": "deploy", "ts": 5, "version": "8"}
    event = decode_change(message(change), NOW_MS)
    assert isinstance(event, ChangeEvent)
    assert event.version == "8"
    assert isinstance(decode_change(message(change, kind="party"), NOW_MS), Refusal)
    refused = decode_change(message(change, description="a\x00b"), NOW_MS)
    assert isinstance(refused, Refusal)
    assert refused.reason == "bad_text"


def test_segments_are_texts() -> None:
    raw = b'{"country": "DE", "new": true, "tier": 3, "none": null}'
    assert decode_segments(raw) == {"country": "DE", "new": "true", "tier": "3", "none": ""}
    assert isinstance(decode_segments(b"[1]"), Refusal)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(value: bytes) -> None:
    assert decode_prediction(value, NOW_MS) is not None
    assert decode_label(value, NOW_MS) is not None
    assert decode_change(value, NOW_MS) is not None


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["prediction_id", "model", "version", "ts", "score", "label", "op", "kind"]
        ),
        nested | st.sampled_from(["a", 0.5, 1, "upsert", "deploy", 5]),
    )
)
def test_any_json_object_has_an_answer(value: dict[str, object]) -> None:
    text = json.dumps(value).encode()
    for decode in (decode_prediction, decode_label, decode_change):
        found = decode(text, NOW_MS)
        events = PredictionEvent | PredictionOfAnyKind | LabelEvent | LabelOfAnyKind | ChangeEvent
        assert isinstance(found, Refusal | events)
