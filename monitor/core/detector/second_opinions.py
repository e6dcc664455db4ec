"""Second opinions: river's ADWIN, PageHinkley and KSWIN as folds over cohorts of counts.

Guarantees: a fold over the same cohorts gives the same findings, so nothing but the cohorts need
be kept: after a restart they are folded again; a step gives a new state and leaves the old one as
it was; a cohort costs at most MAX_UPDATES updates a signal. Must never: page; they have no
false-alarm guarantee on cohorts that wobble, and none against a map frozen at the baseline.

A cohort is expanded to rows: each label's residuals, at its micro-bin's mean score, in an order
drawn from the cohort's start, as counts do not know the order of labels. Of a cohort with more
than MAX_UPDATES labels a sample is taken, so that one update stays one label and river's own
defaults keep their meaning. Two signals are watched, each by a detector of its own: the level,
y - q, and the spread, (y - q)(1 - 2q), which is (y - q)^2 - q(1 - q): both have mean 0 as long as
P(y=1 | s) = q, whatever the traffic. Both are scaled to [0, 1], except for PageHinkley.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from monitor.core.detector.calibration_map import Cells
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

    Expected = Callable[[NDArray[np.float64]], NDArray[np.float64]]

NAMES = ("adwin", "page_hinkley", "kswin")
MAX_UPDATES = {"adwin": 5000, "page_hinkley": 5000, "kswin": 250}
"""Labels of a cohort that are fed; KSWIN runs a test at every update, about 0.3 ms."""
SEED = 20_070_426
KSWIN_ALPHA, KSWIN_WINDOW, KSWIN_NEWEST = 1e-5, 1500, 500
"""A test an update at river's .005 alarms on every calm stream; at a level that does not, river's
30 newest of 100 labels find nothing, so the window is longer."""


class _Drift(Protocol):
    """What is used of river's detectors."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value was taken for a drift."""

    def update(self, x: float) -> None:
        """Feed one value."""


@dataclass(frozen=True, slots=True, eq=False)
class SecondOpinion:
    """State of one detector after some cohorts; made by `begin` and `step` alone.

    expected: outcomes' probabilities at scores' logits if nothing changed. labels_fed: after
    sampling. drifted_s: start of the newest cohort in which a drift was found, epoch seconds;
    findings: number of such cohorts.
    """

    name: str
    expected: Expected
    detectors: tuple[_Drift, ...]
    labels_fed: int = 0
    findings: int = 0
    drifted_s: int | None = None

    def fed(self, counts: BinCounts, start_s: int) -> SecondOpinion:
        """The state after one more whole cohort; the given state stays as it was."""
        return step(self, counts, start_s)


def begin(name: str, expected: Expected = sigmoid) -> SecondOpinion:
    """A detector before its first cohort, by name: adwin, page_hinkley or kswin.

    `expected` is `Detector.expected` of the baseline; without it, scores are taken at their word.
    Raises ValueError for other names.
    """
    return SecondOpinion(name, expected, (_made(name), _made(name)))


def step(state: SecondOpinion, counts: BinCounts, start_s: int) -> SecondOpinion:
    """The state after one more whole cohort; the given state stays as it was.

    A drift sets river's detector back by itself, so that the next one is found too.
    """
    cells = Cells.of([counts])
    if not len(cells.n):
        return state
    detectors = deepcopy(state.detectors)
    found = False
    level, spread = _signals(state, cells, start_s)
    for detector, signal in zip(detectors, (level, spread), strict=True):
        for value in signal.tolist():
            detector.update(value)
            found = found or detector.drift_detected
    return replace(
        state,
        detectors=detectors,
        labels_fed=state.labels_fed + len(level),
        findings=state.findings + found,
        drifted_s=start_s if found else state.drifted_s,
    )


def fold(state: SecondOpinion, cohorts: Iterator[tuple[int, BinCounts]]) -> SecondOpinion:
    """The state after more cohorts, each given with its start."""
    for start_s, counts in cohorts:
        state = step(state, counts, start_s)
    return state


def _made(name: str) -> _Drift:
    # Imported here: river takes over a second, and most processes ask for no second opinion.
    from river.drift import ADWIN, KSWIN, PageHinkley  # noqa: PLC0415

    if name == "adwin":
        return ADWIN()  # type: ignore[no-untyped-call]  # river names no types here
    if name == "page_hinkley":
        return PageHinkley()
    if name == "kswin":
        return KSWIN(KSWIN_ALPHA, KSWIN_WINDOW, KSWIN_NEWEST, SEED)
    msg = f'"{name}" is no second opinion; choose of {", ".join(NAMES)}'
    raise ValueError(msg)


def _signals(
    state: SecondOpinion, cells: Cells, start_s: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Level and spread residuals of a cohort's labels in their drawn order; shape (updates,)."""
    rng = np.random.default_rng([SEED, abs(start_s)])
    q = np.repeat(state.expected(cells.logit), cells.n.astype(np.int64))
    first = np.repeat(np.cumsum(cells.n) - cells.n, cells.n.astype(np.int64))
    positive = np.repeat(cells.positive, cells.n.astype(np.int64))
    y = (np.arange(len(q)) - first < positive).astype(np.float64)
    drawn = rng.permutation(len(q))[: MAX_UPDATES[state.name]]
    level = (y - q)[drawn]
    spread = level * (1 - 2 * q[drawn])
    if state.name == "page_hinkley":
        return level, spread
    return (level + 1) / 2, (spread + 1) / 2
