"""Watermarks: the newest event time that each stream of a model has reached.

Guarantees: which prediction is late depends on the order within its partition alone, never on how
the events were split into batches. Must never: look at a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


_NEVER_MS = int(np.iinfo(np.int64).min) // 2
"""Older than any event by more than any horizon, without an overflow."""
_DENSE = 8
"""Pairs an event up to which a table of all pairs is quicker than sorting."""


def group_by_stream(
    partition: NDArray[np.int32], model: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Distinct (partition, model) pairs, shape (groups, 2), and each event's group."""
    width = int(model.max(initial=0)) + 1
    code = partition.astype(np.int64) * width + model
    size = int(code.max(initial=-1)) + 1
    if size > _DENSE * (len(code) + 1):
        distinct, group = np.unique(code, return_inverse=True)
    else:
        present = np.zeros(size, dtype=np.bool_)
        present[code] = True
        distinct = np.flatnonzero(present)
        group = (np.cumsum(present) - 1)[code]
    return np.column_stack([distinct // width, distinct % width]), group


def advance(
    before: Mapping[tuple[int, int], int],
    partition: NDArray[np.int32],
    model: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
) -> dict[tuple[int, int], int]:
    """Watermarks by (partition, model) after these events; `before` is not changed."""
    pairs, group = group_by_stream(partition, model)
    newest = np.full(len(pairs), np.iinfo(np.int64).min)
    np.maximum.at(newest, group, ts_ms)
    after = dict(before)
    for (number, index), ms in zip(pairs.tolist(), newest.tolist(), strict=True):
        after[number, index] = max(ms, after.get((number, index), ms))
    return after


def too_late(
    before: Mapping[tuple[int, int], int],
    partition: NDArray[np.int32],
    model: NDArray[np.int32],
    ts_ms: NDArray[np.int64],
    allowed_ms: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Events that came more than `allowed_ms` behind the newest one before them in their stream.

    All arrays have one element an event, in arrival order within each partition.
    """
    late = np.zeros(len(ts_ms), dtype=np.bool_)
    if not len(ts_ms):
        return late
    pairs, group = group_by_stream(partition, model)
    start = np.array([before.get((p, m), _NEVER_MS) for p, m in pairs.tolist()])
    newest = start.copy()
    np.maximum.at(newest, group, ts_ms)
    suspect = np.unique(group[ts_ms < newest[group] - allowed_ms])
    for index in suspect.tolist():
        members = np.flatnonzero(group == index)
        running = np.maximum.accumulate(np.concatenate(([start[index]], ts_ms[members])))[:-1]
        late[members] = ts_ms[members] < running - allowed_ms[members]
    return late
