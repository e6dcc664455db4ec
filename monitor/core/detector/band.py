"""The band: a slower detector whose guarantee holds for every true map within a stated distance.

Guarantees: as long as the true logit at every score lies within c standard errors of the baseline's
map plus a tolerance, M less the labels seen is a supermartingale, with no prior to average over:
labels to a false alarm are A or more on average, and P(false alarm within N labels) <= N / A
(e-detectors: Shin, Ramdas and Rinaldo, arXiv 2203.03532). Rows are taken to be independent given
their scores; wobble of whole cohorts must fit into the tolerance. An alarm says that somewhere the
map has moved by more than the band: evidence and effect in one. Must never: learn after the
baseline, since what it learned might be a drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.detector.calibration_map import Cells, features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts
    from monitor.core.detector.sequential import Detector

NAME = "band"
STANDARD_ERRORS = 2.0
TOLERANCE = 0.2
"""Half width of the band beyond the map's own error, in logits."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """State between cohorts.

    resting: the e-detector as the baseline left it, for its map and its bets; log_a: threshold, log
    labels. log_r: log Shiryaev-Roberts statistic by bet, in labels, (bets,). findings: alarms so
    far, each of which began anew; drifted_s: start of the cohort of the newest, epoch seconds.
    """

    resting: Detector
    log_a: float
    log_r: NDArray[np.float64]
    name: str = NAME
    labels_fed: int = 0
    findings: int = 0
    drifted_s: int | None = None

    @classmethod
    def begin(cls, resting: Detector, alarm_at: float) -> Self:
        """Before its first cohort."""
        return cls(resting, float(np.log(alarm_at)), np.full(len(resting.means), -np.inf))

    @property
    def log_m(self) -> float:
        """Log of the statistic M, in labels; -inf at rest."""
        return float(np.logaddexp.reduce(self.resting.bets.log_weights + self.log_r))

    def fed(self, counts: BinCounts, start_s: int) -> Band:
        """The state after one more whole cohort; the given state stays as it was."""
        cells = Cells.of([counts])
        if not len(cells.n):
            return self
        n = cells.n.sum()
        log_r = np.logaddexp(self.log_r, np.log(n)) + log_ratios(self.resting, cells)
        new = replace(self, log_r=log_r, labels_fed=self.labels_fed + int(n))
        if new.log_m < self.log_a:
            return new
        nothing = np.full(len(log_r), -np.inf)
        return replace(new, log_r=nothing, findings=self.findings + 1, drifted_s=start_s)


def log_ratios(resting: Detector, cells: Cells) -> NDArray[np.float64]:
    """Log likelihood of a cohort under each bet over the nearest map of the band, (bets,).

    A bet moves each logit on from the band's edge on its own side, and is compared with that edge:
    for p at or below an upper edge q, and a bet b above it, E[(b/q)^y ((1-b)/(1-q))^(1-y)] is
    p b/q + (1-p)(1-b)/(1-q) <= 1; below the band likewise.
    """
    x = features(cells.logit, resting.knots)
    z = x @ resting.posterior.mean
    covariance = np.linalg.inv(resting.posterior.precision)
    error = np.sqrt(np.einsum("ij,jk,ik->i", x, covariance, x))
    move = resting.bets.moved(np.tile(z, (len(resting.means), 1)), x) - z
    edge = z + np.sign(move) * (STANDARD_ERRORS * error + TOLERANCE)
    return np.asarray(_log_likelihood(edge + move, cells) - _log_likelihood(edge, cells))


def _log_likelihood(logits: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    return np.asarray(logits @ cells.positive - np.logaddexp(0, logits) @ cells.n)
