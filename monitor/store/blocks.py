"""Durable blocks: the events that changed a row of the join index, and their tallies, as bytes.

Guarantees: a block read back equals the block written. Must never: hold an event that changed
nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.tallies import Tally, TallyKind
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.store.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Block:
    """Events of one shard that changed a row, in arrival order.

    anchor_ms: for each label the time by which its row is forgotten: prediction time, or that of
    the first label that waits. Labels that had waited stand again in the block of their prediction,
    so that it needs no older one.
    """

    shard: int
    predictions: PredictionColumns
    labels: LabelColumns
    anchor_ms: NDArray[np.int64]
    tallies: Counter[Tally]


@dataclass(frozen=True, slots=True)
class LoadedBlock:
    """A durable block, in the counts already if `flushed`; or the forgetting of old rows.

    evicted: cutoffs, ms by model number, where rows of `shard` were forgotten at this point.
    """

    shard: int
    block: Block
    flushed: bool
    evicted: dict[int, int] | None


def block_row(block: Block) -> dict[str, object]:
    """The block as a row of join_block."""
    predictions, labels = block.predictions, block.labels
    columns = {f"p_{name}": getattr(predictions, name) for name in _PREDICTION_COLUMNS}
    if predictions.refs is not None:
        columns["p_refs"] = predictions.refs
    columns |= {f"y_{name}": getattr(labels, name) for name in _LABEL_COLUMNS}
    columns["y_anchor_ms"] = block.anchor_ms
    newest = np.concatenate([predictions.ts_ms, block.anchor_ms])
    return {
        "shard": block.shard,
        "newest_ms": int(newest.max(initial=0)),
        "n_events": len(predictions) + len(labels),
        "payload": pack(columns),
        "tallies": tally_rows(block.tallies),
        "evicted": None,
    }


def eviction_row(shard: int, cutoffs: Mapping[int, int]) -> dict[str, object]:
    """A row of join_block that holds no event: here the rows older than the cutoffs were forgotten.

    It stands among the blocks, so that loading forgets where the worker forgot.
    """
    nothing = Block(
        shard,
        PredictionColumns.empty(),
        LabelColumns.empty(),
        np.empty(0, dtype=np.int64),
        Counter(),
    )
    return block_row(nothing) | {"evicted": {str(model): ms for model, ms in cutoffs.items()}}


_PREDICTION_COLUMNS = ("key", "series", "ts_ms", "score")
_LABEL_COLUMNS = ("key", "model", "ts_ms", "label")


def unpack_block(shard: int, payload: bytes, tallies: list[list[object]]) -> Block:
    """The block of a row of join_block."""
    columns = unpack(payload)
    key, series, ts_ms, score = (columns[f"p_{name}"] for name in _PREDICTION_COLUMNS)
    refs = columns.get("p_refs")
    y_key, model, y_ts_ms, label = (columns[f"y_{name}"] for name in _LABEL_COLUMNS)
    return Block(
        shard,
        PredictionColumns(
            key.astype(np.uint64, copy=False),
            np.full(len(key), shard, dtype=np.int32),
            series.astype(np.int32, copy=False),
            ts_ms.astype(np.int64, copy=False),
            score.astype(np.float64, copy=False),
            None if refs is None else refs.astype(np.float64, copy=False),
        ),
        LabelColumns(
            y_key.astype(np.uint64, copy=False),
            np.full(len(y_key), shard, dtype=np.int32),
            model.astype(np.int32, copy=False),
            y_ts_ms.astype(np.int64, copy=False),
            label.astype(np.float64, copy=False),
        ),
        columns["y_anchor_ms"].astype(np.int64, copy=False),
        tally_counter(tallies),
    )


def tally_rows(tallies: Counter[Tally]) -> list[list[object]]:
    """Tallies in their stored form."""
    return [[str(tally.kind), tally.model, tally.series, n] for tally, n in tallies.items()]


def tally_counter(rows: Sequence[Sequence[object]]) -> Counter[Tally]:
    """Tallies from their stored form."""
    counted: Counter[Tally] = Counter()
    for kind, model, series, n in rows:
        counted[Tally(TallyKind(str(kind)), int(str(model)), int(str(series)))] += int(str(n))
    return counted
