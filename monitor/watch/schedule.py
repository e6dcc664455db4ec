"""When every judged series is due again, from what is stored.

Guarantees: in event time, as the watcher decides it. Must never: write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.judging.due import Due, due

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.core.policies import Policy
    from monitor.store.history import HistoryStore
    from monitor.store.panes import PaneStore


def stored_due(
    history: HistoryStore,
    panes: PaneStore,
    model: str | None,
    policy_for: Callable[[str], Policy],
) -> list[Due]:
    """Every judged series, or those of one model; those that are due first come first."""
    standings = history.standings(None if model is None else [model])
    names = sorted({standing.series.model for standing in standings})
    counted = _counted(panes)
    said = {name: [each.told for each in found] for name, found in history.announced(names).items()}
    found = [
        due(
            standing.series,
            policy_for(standing.series.model),
            standing.evaluated_at,
            counted.get(standing.series.model),
            said.get(standing.series.model, ()),
        )
        for standing in standings
    ]
    return sorted(found, key=lambda each: (each.next_at, each.series))


def _counted(panes: PaneStore) -> dict[str, datetime]:
    """Newest event time that is counted of each model."""
    found: dict[str, datetime] = {}
    readings = panes.readings()
    for name, seen in panes.models().items():
        newest = [r.counted[seen.number] for r in readings if seen.number in r.counted]
        if newest:
            found[name] = max(newest)
    return found
