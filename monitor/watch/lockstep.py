"""Lockstep: many series walk on together, so that their steps and judgements come in batches.

Guarantees: a walk gets what it would get if it walked alone, whatever walks beside it; results come
in the order of the walks; what one raises ends all. Must never: know what a walk is about.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from monitor.core.judging.evaluation import judge_all
from monitor.core.judging.folding import step_all
from monitor.core.judging.series_state import SeriesState
from monitor.core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.judging.series_state import Cohort

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """Asks for the state after one more cohort."""

    state: SeriesState
    cohort: Cohort


@dataclass(frozen=True, slots=True)
class Look:
    """Asks for the verdict at event time `at`."""

    state: SeriesState
    at: datetime


Walk = Generator[Step | Look, SeriesState | Verdict, T]
"""A series on its way: yields what it wants done, is sent what came of it, and returns T."""


def stepped(state: SeriesState, cohort: Cohort) -> Walk[SeriesState]:
    """The state after one more cohort."""
    after = yield Step(state, cohort)
    if not isinstance(after, SeriesState):
        raise TypeError(after)
    return after


def judged(state: SeriesState, at: datetime) -> Walk[Verdict]:
    """The verdict at event time `at`."""
    verdict = yield Look(state, at)
    if not isinstance(verdict, Verdict):
        raise TypeError(verdict)
    return verdict


SERIES_AT_ONCE = 64
"""Their arrays of a window's cells stay in a core's cache."""


def in_lockstep(walks: Iterable[Walk[T]]) -> list[T]:
    """Walk them all to their ends; what each returned, in their order."""
    listed = list(walks)
    return [
        result
        for first in range(0, len(listed), SERIES_AT_ONCE)
        for result in _together(listed[first : first + SERIES_AT_ONCE])
    ]


def alone(walk: Walk[T]) -> T:
    """What one walk returns."""
    return in_lockstep([walk])[0]


def _together(walks: Sequence[Walk[T]]) -> list[T]:
    """Judgements wait until no walk wants a step, so that as many as can be come together."""
    ended: dict[int, T] = {}
    steps: dict[int, Step] = {}
    looks: dict[int, Look] = {}

    def go_on(place: int, answer: SeriesState | Verdict | None) -> None:
        walk = walks[place]
        try:
            wish = next(walk) if answer is None else walk.send(answer)
        except StopIteration as end:
            ended[place] = end.value
            return
        if isinstance(wish, Step):
            steps[place] = wish
        else:
            looks[place] = wish

    for place in range(len(walks)):
        go_on(place, None)
    while steps or looks:
        answers: dict[int, SeriesState] | dict[int, Verdict]
        if steps:
            states = step_all([(wish.state, wish.cohort) for wish in steps.values()])
            answers, steps = dict(zip(steps, states, strict=True)), {}
        else:
            verdicts = judge_all([(wish.state, wish.at) for wish in looks.values()])
            answers, looks = dict(zip(looks, verdicts, strict=True)), {}
        for place, answer in answers.items():
            go_on(place, answer)
    return [ended[place] for place in range(len(walks))]
