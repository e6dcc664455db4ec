"""Labels meet their predictions: which count, which are late, and which change nothing.

Guarantees: of a row's labels the newest label time wins, and at equal times the later arrival;
every label has an effect or a tally. Must never: see a row twice at once; `one_per_row` sees to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.contributions import equal
from monitor.core.counting.join_rows import NO_TIME
from monitor.core.counting.tallies import TallyKind, count_by_series
from monitor.core.runs import run_starts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.core.counting.join_rows import JoinRows
    from monitor.core.counting.series_table import SeriesTable
    from monitor.core.counting.tallies import Tally
    from monitor.core.events import LabelColumns


def settle(
    held: JoinRows,
    table: SeriesTable,
    rows: NDArray[np.int64],
    labels: LabelColumns,
    tallies: Counter[Tally],
) -> NDArray[np.bool_]:
    """Put labels into distinct rows that have their prediction; returns which changed a row."""
    series = held.series[rows]
    age_ms = labels.ts_ms - held.ts_ms[rows]
    expired = age_ms > table.correction_horizon_ms[series]
    late = age_ms > table.label_horizon_ms[series]
    late_ms, late_label = held.late.get(rows)
    label_ms, label = held.labels.get(rows)
    slot_ms = np.where(late, late_ms, label_ms)
    stale = ~expired & (labels.ts_ms < slot_ms)
    is_late_held = late_ms != NO_TIME
    current = np.where(is_late_held, late_label, label)
    has_current = is_late_held | (label_ms != NO_TIME)
    usable = ~expired & ~stale
    same = usable & has_current & equal(current, labels.label)
    changed = usable & ~same
    retracted = changed & np.isnan(labels.label)
    corrected = changed & has_current & ~retracted
    for kind, mask in (
        (TallyKind.EXPIRED_LABEL, expired),
        (TallyKind.STALE_LABEL, stale),
        (TallyKind.DUPLICATE_LABEL, same),
        (TallyKind.RETRACTED_LABEL, retracted),
        (TallyKind.CORRECTED_LABEL, corrected),
        (TallyKind.LATE_LABEL, changed & late & ~has_current & ~retracted),
    ):
        count_by_series(tallies, kind, series[mask], table.model)
    on_time, past = usable & ~late, usable & late
    slot = np.where(late, late_label, label)
    unchanged = (labels.ts_ms == slot_ms) & equal(slot, labels.label)
    written: NDArray[np.bool_] = usable & ~unchanged
    held.labels.put(rows[on_time], labels.ts_ms[on_time], labels.label[on_time])
    held.late.put(rows[past], labels.ts_ms[past], labels.label[past])
    return written


def repeats(rows: NDArray[np.int64]) -> bool:
    """Whether a row stands twice among these."""
    ordered = np.sort(rows)
    return bool((ordered[1:] == ordered[:-1]).any())


def one_per_row(rows: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Positions in turns, so that no row stands twice in a turn and arrival order is kept."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = run_starts(ordered)
    lengths = np.diff(np.append(starts, len(rows)))
    rank = np.arange(len(rows)) - np.repeat(starts, lengths) if len(rows) else order
    for turn in range(int(rank.max(initial=-1)) + 1):
        yield order[rank == turn]
