"""Messages of every kind: rows for each claim, or one dead letter with a reason and a mend."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.claims import OutcomeRule
from monitor.core.counting.join import JoinIndex
from monitor.core.counting.tallies import TallyKind
from monitor.core.kinds import ClaimSet, Logprobs, salt
from monitor.core.policies import Policy
from monitor.ingest.decoding import Decoding
from monitor.ingest.formats import UNUSABLE, PredictionOfAnyKind, Refusal, decode_predictions
from monitor.ingest.formats import decode_prediction as decode_one
from monitor.ingest.series_book import SeriesBook
from monitor.store.blocks import Block, block_row, unpack_block
from monitor.store.ingest import IngestStore
from tests.memory_kafka import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from monitor.ingest.decoding import Decoded

POLICIES = {
    "match": Policy(claims=ClaimSet(classes=("home", "draw", "away")), segments=("league",)),
    "qa": Policy(claims=ClaimSet(sources=("token_prob", "verbalized"), logprobs=Logprobs.SUM)),
    "bike": Policy(claims=ClaimSet(quantiles=(0.05, 0.95), intervals=(0.5,))),
    "half": Policy(claims=ClaimSet(sources=("judge",)), sample_rate=0.5),
    "fraud": Policy(),
}
STATED: dict[str, dict[str, object]] = {
    "match": {"probs": {"home": 0.5, "draw": 0.3, "away": 0.2}},
    "qa": {"confidences": {"token_prob": 0.9, "verbalized": 0.8}},
    "bike": {
        "quantiles": {"0.05": 1.5, "0.95": 9}, "interval": {"level": 0.5, "lower": 3, "upper": 6}
    },
    "fraud": {"score": 0.25},
}  # fmt: skip
LABELS: dict[str, object] = {"match": "draw", "qa": 1, "bike": 9.5, "fraud": 0}


@pytest.fixture
def decoding(engine: Engine) -> Decoding:
    book = SeriesBook(IngestStore(engine), POLICIES.get)
    return Decoding(book, 7, timedelta(minutes=5))


def record(value: object, offset: int = 0) -> MemoryRecord:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return MemoryRecord("t", 0, offset, -1, None, text)


def prediction(
    model: str, number: int = 0, stated: Mapping[str, object] | None = None
) -> MemoryRecord:
    body = {"prediction_id": str(number), "model": model, "version": "1", "ts": 1000}
    return record({**body, **(stated or STATED[model])}, number)


def label(model: str, number: int = 0, changes: Mapping[str, object] | None = None) -> MemoryRecord:
    body = {"prediction_id": str(number), "model": model, "ts": 2000, "label": LABELS[model]}
    return record({**body, **(changes or {})}, number)


def claims(decoding: Decoding, decoded: Decoded) -> dict[str, tuple[float, ...]]:
    """Score and own references of each claim, by its name."""
    table = decoding._book.table  # noqa: SLF001  # the names of what was decoded
    name = {index: series.claim for index, series, _ in table.items()}
    found = {}
    columns = decoded.predictions
    for i, series in enumerate(columns.series.tolist()):
        own = np.empty(0) if columns.refs is None else columns.refs[i]
        found[name[series]] = (float(columns.score[i]), *own[~np.isnan(own)].tolist())
    return found


def test_each_kind_becomes_its_claims(decoding: Decoding) -> None:
    found = {m: claims(decoding, decoding.decode([prediction(m)], [], [])) for m in STATED}
    assert found == {
        "match": {
            "top_label": (0.5,), "class:home": (0.5,), "class:draw": (0.3,), "class:away": (0.2,)
        },
        "qa": {"confidence:token_prob": (0.9,), "confidence:verbalized": (0.8,)},
        "bike": {
            "quantile:0.05": (0.05, 1.5), "quantile:0.95": (0.95, 9.0),
            "interval:0.5": (0.5, 3.0, 6.0), "interval:0.9": (0.9, 1.5, 9.0),
        },
        "fraud": {"positive": (0.25,)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "claim", "score"),
    [
        ({"probs": [0.5, 0.3, 0.2]}, "class:away", 0.2),
        ({"probs": {"home": 1}}, "class:draw", 0.0),
        ({"probs": {"home": 0.5, "draw": 0.3, "away": 0.2009}}, "class:away", 0.2009),
        ({"logprobs": [-0.5, -0.25]}, "confidence:token_prob", np.exp(-0.75)),
        ({"logprobs": -0.5}, "confidence:token_prob", np.exp(-0.5)),
        ({"confidences": {"verbalized": 1}}, "confidence:verbalized", 1.0),
    ],
)
def test_a_prediction_may_be_stated_in_several_ways(
    decoding: Decoding, stated: dict[str, object], claim: str, score: float
) -> None:
    model = "match" if "probs" in stated else "qa"
    found = decoding.decode([prediction(model, 0, stated)], [], [])
    assert not found.dead_letters
    assert claims(decoding, found)[claim][0] == pytest.approx(score)


BAD: list[tuple[str, dict[str, object], str, str]] = [
    ("match", {"probs": {"home": 0.5, "draw": 0.3}}, "bad_probs", "add up to 0.8"),
    ("match", {"probs": {"home": 0.5, "draw": 0.3, "away": 0.2011}}, "bad_probs", "add up to"),
    ("match", {"probs": {"home": 0.5, "win": 0.5}}, "bad_probs", "'win', which is not declared"),
    ("match", {"probs": [0.5, 0.5]}, "bad_probs", "2 numbers, and 3 classes"),
    ("match", {"probs": {"home": 1.5}}, "bad_value", "$.probs"),
    ("match", {"score": 0.5}, "other_kind", "its predictions state probs"),
    ("match", {"confidences": {"judge": 1}}, "other_kind", "its predictions state probs"),
    ("fraud", {"probs": [1.0]}, "other_kind", "its predictions state a score"),
    ("qa", {"confidences": {"votes": 0.5}}, "bad_confidences", "'votes', which is not declared"),
    ("qa", {"confidences": {}}, "bad_confidences", "is empty"),
    ("qa", {"logprobs": []}, "bad_confidences", "empty list"),
    ("qa", {"logprobs": [0.1]}, "bad_value", "$.logprobs"),
    ("qa", {"logprobs": [-1], "confidences": {"token_prob": 1}}, "bad_confidences", "one of the"),
    ("qa", {"confidences": {"verbalized": 1}, "probs": [1.0]}, "two_kinds", "probs, confidences"),
    ("bike", {"quantiles": {"0.05": 1}}, "bad_quantiles", "nothing for q_0.95"),
    ("bike", {"quantiles": {"0.05": 1, "0.95": 2, "0.5": 1}}, "bad_quantiles", "'q_0.5'"),
    ("bike", {"quantiles": {"0.05": 1, "0.050": 2}}, "bad_quantiles", "twice"),
    ("bike", {**STATED["bike"], "quantiles": {"0.05": 1e13, "0.95": 2}}, "bad_quantiles", "1e+13"),
    (
        "bike",
        {**STATED["bike"], "interval": {"level": 0.5, "lower": 3, "upper": 2}},
        "bad_quantiles",
        "has its lower end above its upper one",
    ),
    ("other", {"probs": [1.0]}, "unknown_model", "not declared"),
    ("fraud", {"ts": 5}, "missing_field", "score"),
]


def test_quantiles_that_cross_are_counted_as_stated_and_tallied(decoding: Decoding) -> None:
    stated = {**STATED["bike"], "quantiles": {"0.05": 9, "0.95": 1.5}}
    found = decoding.decode([prediction("bike"), prediction("bike", 1, stated)], [], [])
    assert not found.dead_letters
    assert claims(decoding, found)["quantile:0.05"][1] == 9
    [(tally, n)] = found.tallies.items()
    assert (tally.kind, n) == (TallyKind.CROSSED_QUANTILES, 1)


@pytest.mark.parametrize(("model", "stated", "reason", "told"), BAD)
def test_what_does_not_fit_is_one_dead_letter(
    decoding: Decoding, model: str, stated: dict[str, object], reason: str, told: str
) -> None:
    found = decoding.decode([prediction(model, 0, stated)], [], [])
    [letter] = found.dead_letters
    assert letter.reason == reason
    assert told in letter.detail
    assert not len(found.predictions)


@pytest.mark.parametrize(
    ("model", "given"),
    [("match", "lose"), ("match", 0.5), ("match", True), ("match", None), ("qa", "yes"),
     ("qa", 0.5), ("bike", "many"), ("bike", True), ("bike", 1e13), ("fraud", "home"),
     ("fraud", 2)],
)  # fmt: skip
def test_a_label_that_does_not_fit_its_model_is_a_dead_letter(
    decoding: Decoding, model: str, given: object
) -> None:
    found = decoding.decode([], [label(model, 0, {"label": given})], [])
    assert [letter.reason for letter in found.dead_letters] == ["bad_label"]
    assert not len(found.labels)


def test_a_label_finds_every_claim_of_its_prediction(decoding: Decoding) -> None:
    """In whatever order they come; and a bad neighbour changes nothing."""
    models = list(STATED)
    sent = [prediction(model, i) for i, model in enumerate(models)]
    labels = [label(model, i) for i, model in enumerate(models)]
    whole = decoding.decode(
        [*sent, record(b"{", 9)], [*labels, label("match", 0, {"label": "?"})], []
    )
    assert len(whole.dead_letters) == 2
    table = decoding._book.table  # noqa: SLF001  # counted under its rules
    found = JoinIndex(table).apply(whole.predictions, whole.labels)
    name = {index: series.claim for index, series, _ in table.items()}
    positive = {name[int(s)]: int(n) for s, n in zip(found.cells.series, found.cells.sums[:, 2],
                                                    strict=True)}  # fmt: skip
    assert positive == {
        "top_label": 0, "class:home": 0, "class:draw": 1, "class:away": 0,
        "confidence:token_prob": 1, "confidence:verbalized": 1,
        "quantile:0.05": 0, "quantile:0.95": 0, "interval:0.5": 0, "interval:0.9": 0,
        "positive": 0,
    }  # fmt: skip
    index = JoinIndex(table)
    early = index.apply(whole.predictions.take(slice(0, 0)), whole.labels)
    late = index.apply(whole.predictions, whole.labels.take(slice(0, 0)))
    assert not len(early.cells)
    assert late.cells == found.cells
    assert late.losses == found.losses
    assert found.losses.total().below == 0


def test_the_order_of_predictions_is_kept_across_their_claims(decoding: Decoding) -> None:
    """It cost the classes most of a long replay: they came in after the top labels of years."""
    sent = [prediction("match", i, {**STATED["match"], "ts": 1000 * i}) for i in range(50)]
    found = decoding.decode([*sent, record(b"{", 50)], [], []).predictions
    assert found.ts_ms.tolist() == [1000 * i for i in range(50) for _ in range(4)]


def test_losses_follow_corrections_and_retractions(decoding: Decoding) -> None:
    table = decoding._book.table  # noqa: SLF001  # counted under its rules
    index = JoinIndex(table)
    first = decoding.decode([prediction("bike")], [label("bike", 0, {"label": -2})], [])
    before = index.apply(first.predictions, first.labels).losses
    again = decoding.decode([], [label("bike", 0, {"label": 5, "ts": 3000})], [])
    corrected = index.apply(again.predictions, again.labels).losses
    gone = decoding.decode([], [label("bike", 0, {"label": None, "op": "retract", "ts": 4000})], [])
    retracted = index.apply(gone.predictions, gone.labels).losses
    assert before.total().below == 2
    merged = type(before).merge([before, corrected])
    assert merged.total().below == 0
    # Of 5: pinball .05 * 3.5 and .05 * 4; interval scores 3 and 7.5.
    assert merged.total().loss == pytest.approx(0.05 * 3.5 + 0.05 * 4 + 3 + 7.5)
    assert not len(type(before).merge([merged, retracted]))


def test_a_block_keeps_what_a_label_is_compared_with(decoding: Decoding) -> None:
    found = decoding.decode([prediction("bike"), prediction("qa", 1)], [label("bike")], [])
    block = Block(0, found.predictions, found.labels, found.labels.ts_ms, found.tallies)
    row = block_row(block)
    payload = row["payload"]
    assert isinstance(payload, bytes)
    read = unpack_block(0, payload, []).predictions
    assert read.refs is not None
    assert found.predictions.refs is not None
    assert np.array_equal(read.refs, found.predictions.refs, equal_nan=True)
    table = decoding._book.table  # noqa: SLF001  # counted under its rules
    own = JoinIndex(table).apply(read, found.labels)
    assert own.losses == JoinIndex(table).apply(found.predictions, found.labels).losses


def test_a_sample_holds_all_claims_of_a_prediction_and_its_labels(decoding: Decoding) -> None:
    sent = [prediction("half", i, {"confidences": {"judge": 0.5}}) for i in range(200)]
    labels = [label("qa", i, {"model": "half"}) for i in range(200)]
    found = decoding.decode(sent, labels, [])
    assert 60 < len(found.predictions) < 140
    assert set(found.predictions.key.tolist()) == set(found.labels.key.tolist())


def test_one_claim_that_cannot_be_kept_takes_its_prediction_with_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.ingest.series_book.MAX_SERIES", 3)
    decoding = Decoding(SeriesBook(IngestStore(engine), POLICIES.get), 7, timedelta(minutes=5))
    found = decoding.decode([prediction("match")], [], [])
    assert [letter.reason for letter in found.dead_letters] == ["too_many_series"]
    assert not len(found.predictions)


def test_keys_of_claims_differ_by_their_names_alone(decoding: Decoding) -> None:
    found = decoding.decode([prediction("qa")], [label("qa")], [])
    [base] = decoding.keys(["0"], decoding._book.models(["qa"]))  # noqa: SLF001  # its number
    names = ("confidence:token_prob", "confidence:verbalized")
    expected = [int(base) ^ salt(name) for name in names]
    assert found.predictions.key.tolist() == found.labels.key.tolist() == expected
    rules = {rules.rule for _, _, rules in decoding._book.table.items()}  # noqa: SLF001  # as above
    assert rules == {OutcomeRule.EQUALS}


@pytest.mark.parametrize("model", STATED)
def test_alone_and_in_a_batch_a_message_gives_the_same(model: str) -> None:
    value = prediction(model).value
    alone = decode_one(value, 4_000_000_000_000)
    [together] = decode_predictions([value])
    assert alone == together


def test_a_batch_with_a_prediction_of_no_kind_is_read_one_by_one() -> None:
    nothing = prediction("fraud", 0, {"score": None}).value
    with pytest.raises(UNUSABLE):
        decode_predictions([prediction("match").value, nothing])
    refused = decode_one(nothing, 4_000_000_000_000)
    assert isinstance(refused, Refusal)
    assert isinstance(decode_one(prediction("match").value, 2000), PredictionOfAnyKind)
