"""What is asked of history for the cohorts of a range of prediction time.

Guarantees: what was sealed after its cohort was mature is left out, since that cohort was judged
without it. Must never: write, or look at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.delay_cells import delay_pane_s
from monitor.store.sealed import SealedSpan
from monitor.watch.cohorts import CohortDelays, cohort_start_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.counting.delay_cells import DelayCells
    from monitor.core.policies import Policy
    from monitor.store.panes import PaneStore

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ranged:
    """Whole cohorts of a policy in [after, through) of prediction time."""

    policy: Policy
    after: datetime
    through: datetime

    def spans(self, series: Iterable[int]) -> list[SealedSpan]:
        """Sealed counts of these series."""
        cohort_s = int(self.policy.cohort.total_seconds())
        horizon_s = int(self.policy.label_horizon.total_seconds())
        return [SealedSpan(i, self.after, self.through, cohort_s, horizon_s) for i in series]

    def delays(self, panes: PaneStore, series: Iterable[int]) -> CohortDelays:
        """Sealed delays of these series."""
        asked = list(series)
        return CohortDelays(
            self._delays(panes, asked, complete=False), self._delays(panes, asked, complete=True)
        )

    def _delays(self, panes: PaneStore, series: Sequence[int], *, complete: bool) -> DelayCells:
        policy = self.policy
        aged = policy.correction_horizon - policy.label_horizon if complete else timedelta()
        pane = timedelta(seconds=delay_pane_s(int(policy.pane.total_seconds())))
        from_at = max(BEGINNING, self.after - aged - pane)
        until_at = max(BEGINNING, self.through - aged)
        sealed = panes.delays.sealed(series, from_at, until_at, complete=complete)
        places = zip(sealed.cells.series.tolist(), sealed.cells.pane_start.tolist(), strict=True)
        sealed_s = np.array([sealed.sealed_s[place] for place in places], dtype=np.int64)
        start = cohort_start_s(sealed.cells.pane_start, policy, complete=complete)
        mature_s = start + int((policy.cohort + policy.label_horizon).total_seconds())
        return sealed.cells.take(sealed_s <= mature_s)
