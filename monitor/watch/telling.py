"""Telling: a model's verdicts become messages about its group of episodes.

Guarantees: the daemon and a backtest tell by this one function. Must never: write, or look at a
clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.episode.grouping import Moment, gathered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.episode.grouping import Group, Told
    from monitor.core.policies import AlertPolicy
    from monitor.watch.following import Judged


def tell(
    group: Group | None, given: Iterable[Judged], until: datetime, policy: AlertPolicy, model: str
) -> tuple[Group | None, list[Told]]:
    """The model's newest group and its messages after these verdicts and the time to `until`."""
    ordered = sorted(given, key=lambda one: (one.verdict.evaluated_at, one.verdict.series))
    moments = [Moment(one.decision, one.verdict.evaluated_at) for one in ordered]
    return gathered(group, moments, until, policy, model)
