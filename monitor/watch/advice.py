"""Advice on a model's labels from what is counted in the database now.

Guarantees: read with the deltas that are not folded yet. Must never: write, or look at a clock:
now is the model's newest counted event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.delay.delay_advice import LabelAdvice, label_advice
from monitor.watch.cohorts import label_claims

if TYPE_CHECKING:
    from monitor.core.policies import Policy
    from monitor.store.panes import PaneStore


def stored_advices(panes: PaneStore, model: str, policy: Policy) -> list[LabelAdvice]:
    """Advice on each version of a model; none for a model that was never seen."""
    seen = panes.models().get(model)
    newest = [r.counted[seen.number] for r in panes.readings() if seen and seen.number in r.counted]
    if not newest:
        return []
    named = panes.series(model)
    cells, delays = panes.bins(list(named)), panes.delays.known(list(named))
    return [
        label_advice(
            model,
            version,
            cells.take(np.isin(cells.series, indices)),
            delays.take(np.isin(delays.series, indices)),
            policy,
            int(max(newest).timestamp()),
        )
        for (_, version), indices in sorted(label_claims(named).items())
    ]
