"""Which detectors a policy asks, and which of them raises alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.claims import Series
from monitor.core.judging.evaluation import judge
from monitor.core.judging.folding import begin, step
from monitor.core.judging.series_state import SeriesState, moment
from monitor.core.policies import DetectorName, FirstLabels, Policy
from monitor.core.verdicts import Status
from tests.core.streams import DAY_S, counts, days, honest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.judging.series_state import Cohort
    from monitor.core.verdicts import Verdict
    from tests.core.streams import Truth

SERIES = Series("credit", "3")
E, ADWIN, PAGE_HINKLEY, KSWIN, BAND = DetectorName


def policy(*detectors: DetectorName, **more: float) -> Policy:
    return replace(Policy(detectors=detectors, baseline=FirstLabels(1500)), **more)  # type: ignore[arg-type]  # fields by name


def stream(*parts: tuple[int, Truth]) -> list[Cohort]:
    rng = np.random.default_rng(5)
    return days([counts(rng, 250, truth) for size, truth in parts for _ in range(size)])


def higher(z: np.ndarray) -> np.ndarray:
    return z + 1


def slightly(z: np.ndarray) -> np.ndarray:
    return z + 0.35


CHANGED = stream((20, honest), (15, higher))
SOON = stream((9, honest), (5, higher))
"""As CHANGED, for KSWIN, which takes milliseconds a label."""


def fold(state: SeriesState, cohorts: Iterable[Cohort]) -> list[SeriesState]:
    states = []
    for cohort in cohorts:
        state = step(state, cohort)
        states.append(state)
    return states


def judged(state: SeriesState) -> Verdict:
    assert state.seen_until_s is not None
    return judge(state, moment(state.seen_until_s + 2 * DAY_S))


def test_second_opinions_change_no_alarm_of_the_e_process() -> None:
    alone = fold(begin(SERIES, policy(E)), CHANGED)
    beside = fold(begin(SERIES, policy(E, ADWIN, PAGE_HINKLEY)), CHANGED)
    assert [s.alarm for s in beside] == [s.alarm for s in alone]
    assert alone[-1].alarm is not None
    assert judged(alone[-1]).evidence.opinions == ()
    verdict = judged(beside[-1])
    assert verdict.reason == judged(alone[-1]).reason
    assert verdict.evidence.raised_by == "e_process"
    assert [each.name for each in verdict.evidence.opinions] == ["adwin", "page_hinkley"]
    for each in verdict.evidence.opinions:
        assert each.findings >= 1
        assert each.labels_fed == 29 * 250
        assert each.drifted_at is not None
        assert each.drifted_at >= moment(20 * DAY_S)


@pytest.mark.parametrize("name", [ADWIN, PAGE_HINKLEY, KSWIN, BAND])
def test_without_the_e_process_a_second_opinion_raises_the_alarm_and_says_what_it_is(
    name: DetectorName,
) -> None:
    cohorts, since = (SOON, 9) if name is KSWIN else (CHANGED, 20)
    states = fold(begin(SERIES, policy(name)), cohorts)
    assert all(s.alarm is None for s in states[:since])
    first = next(s for s in states if s.alarm is not None)
    assert first.alarm is not None
    assert first.alarm.raised_by is name
    assert since * DAY_S <= first.alarm.since_s < first.alarm.raised_s
    verdict = judged(first)
    assert verdict.status is Status.DRIFTED
    assert verdict.evidence.raised_by == str(name)
    assert verdict.reason.endswith(
        " Found by the band around the baseline's map."
        if name is BAND
        else f" Found by {name}, which promises no rate of false alarms."
    )


def test_a_finding_without_an_effect_is_no_alarm() -> None:
    cohorts = stream((20, honest), (25, slightly))
    states = fold(begin(SERIES, policy(ADWIN, PAGE_HINKLEY, tolerance=0.15)), cohorts)
    assert any(each.findings for each in states[-1].opinions)
    assert all(s.alarm is None for s in states)
    assert judged(states[-1]).status is Status.OK


def test_the_alarm_ends_when_the_series_is_back_and_the_opinions_begin_again() -> None:
    cohorts = stream((20, honest), (12, higher), (25, honest))
    states = fold(begin(SERIES, policy(ADWIN)), cohorts)
    assert any(s.alarm is not None for s in states)
    assert states[-1].alarm is None
    ended = next(i for i in range(1, len(states)) if states[i - 1].alarm and not states[i].alarm)
    assert [(o.findings, o.labels_fed) for o in states[ended].opinions] == [(0, 0)]


def test_folding_on_from_the_stored_baseline_finds_the_same() -> None:
    asked = policy(E, ADWIN, KSWIN)
    live = fold(begin(SERIES, asked), SOON)[-1]
    again = fold(begin(SERIES, asked, live.baseline), SOON)[-1]
    assert judged(again) == judged(live)
    assert judged(live).evidence.opinions[0].findings


def test_cohorts_without_labels_enough_are_not_fed() -> None:
    state = fold(begin(SERIES, policy(E, ADWIN)), CHANGED[:20])[-1]
    rng = np.random.default_rng(6)
    [bare] = days([counts(rng, 250, higher, labelled=0.1)], first=20)
    assert step(state, bare).opinions == state.opinions
