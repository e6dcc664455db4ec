from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.judging.series_state import moment
from monitor.core.policies import FirstLabels, Policy
from monitor.watch.following import follow, start, wake
from monitor.watch.lockstep import SERIES_AT_ONCE, alone, in_lockstep
from tests.core.streams import counts, days

if TYPE_CHECKING:
    from monitor.core.judging.series_state import Cohort
    from monitor.watch.following import Followed, Judged
    from monitor.watch.lockstep import Walk

POLICY = Policy(baseline=FirstLabels(300), window=timedelta(days=2))
BEGAN, LATE = moment(0), moment(90 * 86_400)


def walk(name: str, cohorts: list[Cohort]) -> Walk[tuple[Followed, list[Judged]]]:
    """A series over its cohorts, and over the silence after them."""
    followed: Followed = start(Series(name, "1"), POLICY)
    given: list[Judged] = []
    for cohort in cohorts:
        followed, judged = yield from follow(followed, cohort)
        given += [judged] if judged is not None else []
    followed, woken = yield from wake(followed, BEGAN, LATE)
    return followed, given + woken


def cohorts_of(k: int) -> list[Cohort]:
    """The cohorts of series k: none, one, or now and then more; they begin on a day of its own."""
    rng = np.random.default_rng(k)
    n = k % 7 if k % SERIES_AT_ONCE < 7 else k % 2
    return days([counts(rng, 100) for _ in range(n)], first=k % 3)


def test_a_series_gets_what_it_would_get_alone() -> None:
    found = in_lockstep(walk(f"{k:03}", cohorts_of(k)) for k in range(SERIES_AT_ONCE + 9))

    for k, (followed, given) in enumerate(found):
        by_itself, alone_given = alone(walk(f"{k:03}", cohorts_of(k)))
        assert followed.state.series.model == f"{k:03}"
        assert [one.verdict.as_json() for one in given] == [
            one.verdict.as_json() for one in alone_given
        ]
        assert followed.judged_at == by_itself.judged_at
    assert {len(given) for _, given in found} == {0, 2, 3, 4, 5, 6, 7}


def test_nothing_to_walk_is_nothing() -> None:
    assert in_lockstep([]) == []


@pytest.mark.parametrize("at", [0, SERIES_AT_ONCE + 3])
def test_what_one_walk_raises_ends_all(at: int) -> None:
    def walks(k: int) -> Walk[tuple[Followed, list[Judged]]]:
        cohorts = cohorts_of(2)
        return walk(f"{k:03}", cohorts[::-1] if k == at else [])

    with pytest.raises(ValueError, match=f"{at:03}.* comes after a later one"):
        in_lockstep(walks(k) for k in range(SERIES_AT_ONCE + 9))
