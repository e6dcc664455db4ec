"""What advice on decisions is given on: a running monitor's newest windows, or all of two files.

Guarantees: a window is the one that the newest verdict was given on, of sealed labels alone; files
are taken whole, late labels included. Must never: write, or look at a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.report.threshold_advice import Observed
from monitor.core.verdicts import Status
from monitor.watch.cohorts import cohorts_of, members
from monitor.watch.counting import DAY_S, count
from monitor.watch.ranged import Ranged

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.claims import Series
    from monitor.core.policies import Policy
    from monitor.store.history import HistoryStore
    from monitor.store.judgements import Standing
    from monitor.store.panes import PaneStore
    from monitor.watch.counting import Events


def newest_windows(  # noqa: PLR0913  # what is read, and of whom
    panes: PaneStore,
    history: HistoryStore,
    policy: Policy,
    model: str,
    version: str | None = None,
    *,
    since_drift: bool = False,
) -> dict[Series, Observed]:
    """The window of the newest verdict on every series of a model; empty if it has none.

    Of all versions those whose window ends within the newest one's; or one version, however old.
    since_drift: of a drifted series what comes after the change alone, as far as it is known.
    """
    windows = {
        standing.series: (_span(standing.window, standing, since_drift=since_drift), standing)
        for standing in history.standings([model])
        if standing.window is not None and version in {None, standing.series.version}
    }
    if not windows:
        return {}
    newest_at = max(end for (_, end), _ in windows.values())
    windows = {s: w for s, w in windows.items() if w[0][1] > newest_at - policy.window}
    spans = [window for window, _ in windows.values()]
    named = panes.series(model)
    ranged = Ranged(policy, min(start for start, _ in spans), max(end for _, end in spans))
    cells = panes.sealed(ranged.spans(named))
    cohorts = cohorts_of(cells, named, policy, ranged.delays(panes, named))
    found = {}
    for series, (window, standing) in windows.items():
        if series in cohorts:
            start_s, end_s = (moment.timestamp() for moment in window)
            mine = [c.counts for c in cohorts[series] if start_s <= c.start_s < end_s]
            days = (end_s - start_s) / DAY_S
            found[series] = Observed(
                mine,
                days,
                standing.evaluated_at,
                policy.sample_ppm / 1e6,
                window,
                standing.evaluation_id,
            )
    return found


def _span(
    window: tuple[datetime, datetime], standing: Standing, *, since_drift: bool
) -> tuple[datetime, datetime]:
    """A verdict's window, from its drift on where that is asked for."""
    since = standing.evidence.get("drift_since_at")
    if not since_drift or standing.status != Status.DRIFTED or not isinstance(since, str):
        return window
    return max(window[0], min(datetime.fromisoformat(since), window[1])), window[1]


def observed_in_files(
    events: Events, policy_for: Callable[[str], Policy]
) -> dict[Series, Observed]:
    """Everything that files hold of every model version and segment, by day of prediction time."""
    counted = count(events, policy_for)
    newest_ms = max(events.ts_ms.max(initial=0), events.label_ms.max(initial=0))
    as_of = _utc(int(newest_ms) / 1000)
    found = {}
    for series, indices in members(counted.named).items():
        cells = counted.cells.take(np.isin(counted.cells.series, indices))
        policy = policy_for(series.model)
        day = cells.pane_start // DAY_S
        cohorts = [cells.take(day == each).counts() for each in np.unique(day)]
        if not newest_ms:  # a file without times
            found[series] = Observed(cohorts)
            continue
        length = timedelta(seconds=int(np.ptp(cells.pane_start))) + policy.pane
        # A sample is taken at ingest; files are counted whole.
        window = (_utc(int(cells.pane_start.min())), as_of)
        found[series] = Observed(cohorts, length.total_seconds() / DAY_S, as_of, window=window)
    return found


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
