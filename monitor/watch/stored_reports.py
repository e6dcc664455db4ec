"""Reports of what is counted in the database now, of models with several claims.

Guarantees: as `calmon report` gives them of files with the same events. Must never: write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.claims import POSITIVE
from monitor.core.counting.delay_cells import DelayCells
from monitor.watch.counting import Counted, series_reports

if TYPE_CHECKING:
    from monitor.core.report.reports import SeriesReport
    from monitor.store.panes import PaneStore


def stored_reports(panes: PaneStore, model: str) -> list[SeriesReport]:
    """Each claim of each version of a model; nothing of binary predictions.

    Of all traffic: segments are in the verdicts.
    """
    named = {
        index: series for index, series in panes.series(model).items() if series.claim != POSITIVE
    }
    if not named:
        return []
    indices = list(named)
    counted = Counted(panes.bins(indices), DelayCells.empty(), named, panes.losses.known(indices))
    return [r for r in series_reports(counted, by_version=True) if r["segment"] is None]
