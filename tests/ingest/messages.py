"""Messages for the stateful test of the worker, each with what the naive model makes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.naive_join import DAY_MS, Answered, Rules, Scored

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = {"m0": Rules(segments=("country",)), "m1": Rules(pane_ms=120_000, negative=True)}
COUNTRIES = {None: "", "DE": "DE", "a=b,c%": "a%3Db%2Cc%25"}
"""Values of the declared dimension, and how they stand in a segment's name."""
FUTURE_MS = 300_000
"""How far an event's time may lie past its message's."""


@dataclass(frozen=True)
class Predict:
    """A prediction; times are milliseconds after what the world's time is when it is sent."""

    id: int
    model: str
    version: str
    ts_ms: int
    score: float
    country: str | None = None

    def wire(self) -> tuple[bytes, Scored]:
        body: dict[str, object] = {"prediction_id": str(self.id), "model": self.model}
        body |= {"version": self.version, "ts": DAY_MS + self.ts_ms, "score": self.score}
        if self.country is not None:
            # A dimension that is not declared must not split the series.
            body["segments"] = {"ignored": self.id, "country": self.country}
        country = COUNTRIES[self.country]
        segment = f"country={country}" if RULES[self.model].segments else ""
        series = (self.model, self.version, segment)
        return encoded(body), Scored(str(self.id), series, DAY_MS + self.ts_ms, self.score)


@dataclass(frozen=True)
class Answer:
    """A label; None retracts."""

    id: int
    model: str
    ts_ms: int
    label: int | None

    def wire(self) -> tuple[bytes, Answered]:
        body: dict[str, object] = {"prediction_id": str(self.id), "model": self.model}
        body["ts"] = DAY_MS + self.ts_ms
        body |= {"op": "retract"} if self.label is None else {"label": self.label}
        return encoded(body), Answered(str(self.id), self.model, DAY_MS + self.ts_ms, self.label)


@dataclass(frozen=True)
class AnswerTo:
    """A label for the prediction sent `back` ago, at this age."""

    back: int
    age_ms: int
    label: int | None

    def of(self, sent: Sequence[Predict]) -> Answer | None:
        if not sent:
            return None
        found = sent[-1 - self.back % len(sent)]
        return Answer(found.id, found.model, found.ts_ms + self.age_ms, self.label)


@dataclass(frozen=True)
class Change:
    """A change event."""

    kind: str
    ts_ms: int

    def wire(self) -> bytes:
        return encoded({"model": "m0", "kind": self.kind, "ts": DAY_MS + self.ts_ms})


@dataclass(frozen=True)
class Bad:
    """A message that cannot be used, by its number in BAD."""

    number: int
    id: int


def encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body).encode()


_PREDICTION = {"prediction_id": "1", "model": "m0", "version": "1", "ts": DAY_MS, "score": 0.5}
_LABEL = {"prediction_id": "1", "model": "m0", "ts": DAY_MS, "label": 1}
_CHANGE = {"model": "m0", "kind": "deploy", "ts": DAY_MS}

BAD: tuple[tuple[str, bytes | None, str], ...] = (
    ("predictions", b"not json", "not_json"),
    ("predictions", b"", "empty"),
    ("predictions", None, "empty"),
    ("predictions", b"[]", "bad_value"),
    ("predictions", encoded(_PREDICTION | {"score": 1.5}), "bad_value"),
    ("predictions", encoded({**_PREDICTION, "score": None}), "bad_value"),
    ("predictions", b'{"model": "m0", "score": 0.5}', "missing_field"),
    ("predictions", encoded(_PREDICTION | {"ts": DAY_MS + 10 * FUTURE_MS}), "future_time"),
    ("predictions", encoded(_PREDICTION | {"ts": "1969-12-31T23:59:59Z"}), "bad_time"),
    ("predictions", encoded(_PREDICTION | {"model": "undeclared"}), "unknown_model"),
    ("predictions", encoded(_PREDICTION | {"segments": [1]}), "bad_segments"),
    ("predictions", encoded(_PREDICTION | {"version": "a\0b"}), "bad_text"),
    ("predictions", b" " * ((1 << 20) + 1), "too_large"),
    ("labels", b"{", "not_json"),
    ("labels", b"\xff", "not_json"),
    ("labels", encoded(_LABEL | {"label": 2}), "bad_label"),
    ("labels", encoded(_LABEL | {"label": None}), "bad_label"),
    ("labels", encoded(_LABEL | {"model": "undeclared"}), "unknown_model"),
    ("labels", encoded(_LABEL | {"model": "m\0"}), "bad_text"),
    ("labels", encoded(_LABEL | {"op": "forget"}), "bad_value"),
    ("changes", b"[]", "bad_value"),
    ("changes", encoded(_CHANGE | {"kind": "party"}), "bad_value"),
    ("changes", encoded(_CHANGE | {"description": "a\0b"}), "bad_text"),
)

_ids = st.integers(0, 5)
_models = st.sampled_from(["m0", "m0", "m1"])
_labels = st.sampled_from([0, 1, 1, None])
_ages_ms = st.sampled_from(
    [1, 50_000, 99_999, 100_000, 100_001, 500_000, 1_000_000, 1_000_001, 1_500_000, -5_000, 0]
)
# Before or after the world's time, and mostly within one correction horizon of it.
_times_ms = st.sampled_from([0, 59_999, 60_000, 130_000, 400_000, -1_000_000, -900_000] * 2) | (
    st.sampled_from([1_400_000, -1_000_001, -1_500_000])
)
_scores = st.sampled_from([0.3, 0.3, 0.7, 0.0, 1.0, 1e-9]) | st.floats(0, 1)

messages = st.one_of(
    st.builds(
        Predict,
        _ids,
        _models,
        st.sampled_from(["1", "1", "2"]),
        _times_ms,
        _scores,
        st.sampled_from(list(COUNTRIES)),
    ),
    st.builds(AnswerTo, st.integers(0, 4), _ages_ms, _labels),
    st.builds(Answer, _ids, _models, _times_ms, _labels),
    st.builds(Predict, _ids, _models, st.just("1"), _times_ms, _scores),
    st.builds(AnswerTo, st.integers(0, 1), _ages_ms, _labels),
    st.builds(Bad, st.integers(0, len(BAD) - 1), _ids)
    | st.builds(Change, st.sampled_from(["deploy", "data", "version"]), _times_ms),
)
