"""The change detector: a self-starting Shiryaev-Roberts e-detector on whole cohorts of counts.

Guarantees: each cohort is scored by a map that has not seen it and only then learned; the
statistic is kept in log space and is finite for any counts; an observation gives a new detector
and leaves the old one as it was. Averaged over the map's prior (Laplace approximation) and with
the cohort shock it assumes, labels to a false alarm at threshold A are A or more on average, and
P(false alarm within N labels) <= N / A (e-detectors: Shin, Ramdas and Rinaldo, arXiv 2203.03532).
This is not distribution-free: wobble that lasts longer than a cohort, or a map that the basis
cannot follow, may break it. Must never: be fed part of a cohort, or one cohort twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.calibration_map import (
    Cells,
    Gaussian,
    features,
    fit,
    hat_knots,
    posterior_of,
    prior,
)
from monitor.core.detector.shock import LevelLikelihood, sigma_chances
from monitor.core.detector.wobble import CHANCE_MIN, HiddenLevel, IidShock, Wobble, expected_sd
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

LEVELS = (-1.4, -0.85, -0.5, -0.3, 0.3, 0.5, 0.85, 1.4)
SLOPES = (0.5, 0.65, 0.8, 1.25, 1.5, 2.0)
BOTH = tuple((level, slope) for level in (-0.4, 0.4) for slope in (0.7, 1.4))
_GLOBAL = np.array([*((level, 1.0) for level in LEVELS), *((0.0, b) for b in SLOPES), *BOTH])
LOCAL = (-1.0, -0.45, 0.45, 1.0)
LOCAL_SHARE = 0.15
"""Half costs global changes more delay than it saves local ones."""
WEIGHT_MIN = 1e-12
LOG_FLOOR = -50.0
"""Log likelihood of a state of the wobble against the best one, at the least, by one cohort."""


@dataclass(frozen=True, slots=True)
class Bets:
    """What a change may look like: moves of the predicted logit, all of which the map can follow.

    A local bet raises or lowers one hat of the map: were it to move a shape outside the map's
    basis, it would in time win on what the basis cannot fit, without any change.
    """

    n_knots: int

    @property
    def log_weights(self) -> NDArray[np.float64]:
        """LOCAL_SHARE of the weight on the local bets, the rest on the global ones; (bets,)."""
        return _log_weights(len(LOCAL) * self.n_knots)

    @property
    def slopes(self) -> NDArray[np.float64]:
        """Factor that each bet puts on the predicted logit; shape (bets,)."""
        return np.concatenate([_GLOBAL[:, 1], np.ones(len(LOCAL) * self.n_knots)])

    def moved(self, z: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predicted logits z (bets, cells) of cells of features x (cells, d), moved by bet."""
        n_global = len(_GLOBAL)
        everywhere = _GLOBAL[:, :1] + _GLOBAL[:, 1:] * z[:n_global]
        local = (x.T[2:, None, :] * np.array(LOCAL)[:, None]).reshape(-1, len(x))
        return np.vstack([everywhere, z[n_global:] + local])


@cache
def _log_weights(n_local: int) -> NDArray[np.float64]:
    n_global = len(_GLOBAL)
    if not n_local:
        return np.full(n_global, -np.log(n_global))
    weights = [(1 - LOCAL_SHARE) / n_global] * n_global + [LOCAL_SHARE / n_local] * n_local
    return np.asarray(np.log(weights))


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """State between cohorts; arrays have one element a bet.

    posterior: what is known of the map if nothing changed; wobble: what cohorts may do without a
    drift, known: chances of its states. means: the map before the change as each bet sees it,
    shape (bets, d), with the posterior's precision. log_r: log Shiryaev-Roberts statistic in
    labels, (bets,); shares: of the wobble's states in it, (bets, states). log_best: log of its
    largest single term, whose change would have begun with the cohort at since_s (epoch seconds).
    waiting: what the newest cohorts say of the wobble and is not known yet.
    """

    knots: NDArray[np.float64]
    bets: Bets
    wobble: Wobble
    known: NDArray[np.float64]
    posterior: Gaussian
    means: NDArray[np.float64]
    log_r: NDArray[np.float64]
    shares: NDArray[np.float64]
    log_best: NDArray[np.float64]
    since_s: NDArray[np.int64]
    waiting: tuple[NDArray[np.float64], ...] = ()

    @classmethod
    def from_baseline(cls, cohorts: Sequence[BinCounts], *, hidden_level: bool = False) -> Self:
        """Detector at rest, its map and wobble fitted on the baseline's cohorts, in time order.

        hidden_level: the wobble has a memory (`autocorrelation.find_memory`).
        """
        cells = Cells.of(cohorts)
        knots = hat_knots(cells)
        bets = Bets(len(knots))
        before = prior(len(knots))
        wobble: Wobble = IidShock()
        known = sigma_chances(cells, knots, before)
        posterior = fit(cells, knots, before, expected_sd(wobble, known)).posterior
        if hidden_level:
            wobble = hidden = HiddenLevel.made()
            known = hidden.known([_level(posterior, knots, each) for each in cohorts])
        n_bets = len(bets.log_weights)
        nothing, never = np.full(n_bets, -np.inf), np.zeros(n_bets, dtype=np.int64)
        means = np.tile(posterior.mean, (n_bets, 1))
        shares = np.broadcast_to(known, (n_bets, *known.shape))
        return cls(knots, bets, wobble, known, posterior, means, nothing, shares, nothing, never)

    @property
    def log_m(self) -> float:
        """Log of the e-detector's statistic M, in labels; -inf at rest."""
        return float(np.logaddexp.reduce(self.bets.log_weights + self.log_r))

    @property
    def sigma(self) -> float:
        """Standard deviation of the wobble, in logits, as far as it is known now."""
        return expected_sd(self.wobble, self.known)

    @property
    def has_hidden_level(self) -> bool:
        """Whether the wobble is taken to live on from cohort to cohort."""
        return isinstance(self.wobble, HiddenLevel)

    @property
    def changed_since_s(self) -> int:
        """Start of the cohort where the strongest bet's change most likely began."""
        return int(self.since_s[np.argmax(self.bets.log_weights + self.log_r)])

    def expected(self, logit: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(outcome = 1) at scores' logits under the posterior's mean map."""
        return sigmoid(features(logit, self.knots) @ self.posterior.mean)

    def capped(self, log_top: float) -> Detector:
        """The same detector with all evidence scaled down until log M is at most `log_top`."""
        excess = self.log_m - log_top
        if not excess > 0:
            return self
        return replace(self, log_r=self.log_r - excess, log_best=self.log_best - excess)

    def returned_to(self, resting: Detector) -> Detector:
        """Evidence and wobble as they are now, but counted on against the map of `resting`."""
        return replace(self, posterior=resting.posterior, means=resting.means)

    def observe(
        self,
        counts: BinCounts,
        start_s: int,
        *,
        learn_below: float = np.inf,
        arrival: Arrival = COMPLETE,
    ) -> Detector:
        """Score one whole cohort, then learn it if log M is still below `learn_below`.

        R <- (R + n) L / L0 for each bet, L and L0 the cohort's likelihoods under the bet and under
        "nothing changed", averaged over the states of the wobble: those that the bet carries along,
        and those that are known. A change that has shown itself is not learned, so that it is not
        taken for the map or for wobble.
        arrival: labels that came in time, where the map is of complete labels.
        """
        cells = Cells.of([counts])
        if not len(cells.n):
            return self
        seen = Seen.by(self, cells, arrival)
        log_n = float(np.log(cells.n.sum()))
        begun = log_n > self.log_best
        means = np.where(begun[:, None], self.posterior.mean, self.means)
        level = self._levels(seen, means)
        likelihood, top = self._likelihood(level, seen)
        before = np.logaddexp(self.log_r, log_n)
        old, new = np.exp(self.log_r - before), np.exp(log_n - before)
        wide = (-1, *[1] * self.known.ndim)
        carried = self.wobble.carried(self.shares, self.known)
        started = old.reshape(wide) * carried + new.reshape(wide) * self.known
        shares = np.maximum(self.wobble.moved(started) * likelihood[1:], CHANCE_MIN)
        known = self.wobble.moved(self.known)
        total = shares.reshape(len(shares), -1).sum(axis=1)
        gain = top[1:] - top[0] + np.log(total) - np.log((known * likelihood[0]).sum())
        scored = replace(
            self,
            means=means,
            known=known,
            log_r=before + gain,
            shares=shares / total.reshape(wide),
            log_best=np.maximum(self.log_best, log_n) + gain,
            since_s=np.where(begun, start_s, self.since_s),
        )
        if scored.log_m >= learn_below:
            return scored
        return scored._learned(seen, level, likelihood[0])  # noqa: SLF001  # its own kind

    def taught(self, counts: BinCounts, *, arrival: Arrival = COMPLETE) -> Detector:
        """Learn one whole cohort that is known to be as before; the evidence stays as it is."""
        cells = Cells.of([counts])
        if not len(cells.n):
            return self
        seen = Seen.by(self, cells, arrival)
        level = self._levels(seen, self.means)
        likelihood, _ = self._likelihood(level, seen)
        moved = replace(self, known=self.wobble.moved(self.known))
        return moved._learned(seen, level, likelihood[0])  # noqa: SLF001  # its own kind

    def _likelihood(
        self, level: LevelLikelihood, seen: Seen
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Likelihood (hypotheses, states) over its largest value, and the log of that."""
        log_likelihood = self.wobble.log_likelihood(level, seen.level_variance)
        top = log_likelihood.reshape(len(log_likelihood), -1).max(axis=1)
        scaled = log_likelihood - top.reshape(-1, *[1] * (log_likelihood.ndim - 1))
        return np.exp(np.maximum(scaled, LOG_FLOOR)), top

    def _levels(self, seen: Seen, means: NDArray[np.float64]) -> LevelLikelihood:
        """Likelihood of a cohort under "nothing changed", and under each bet."""
        unmoved = seen.logits(self.posterior.mean[None, :])
        moved = self.bets.moved(seen.logits(means), seen.x)
        logits = seen.arrival.observed(np.vstack([unmoved, moved]))
        return LevelLikelihood.of(logits, seen.cells, self.sigma**2 + seen.level_variance)

    def _learned(
        self, seen: Seen, level: LevelLikelihood, likelihood: NDArray[np.float64]
    ) -> Detector:
        """Learn a scored cohort: the map and the wobble if nothing changed, the bets' maps before.

        What a bet has learned since its change began keeps the map that learns the change from
        pulling the bet along. Its mean takes one Newton step with the posterior's own curvature,
        from the cohort's most likely shock.
        """
        offset = seen.offset(self.posterior)
        fitted = posterior_of(seen.cells, seen.x, self.posterior, self.sigma, offset)
        residual = seen.cells.positive - seen.cells.n * level.p[1:]
        slope = (residual @ seen.x) * self.bets.slopes[:, None]
        means = self.means + np.linalg.solve(fitted.precision, slope.T).T
        known, waiting = self.wobble.learned(self.known, self.waiting, likelihood)
        return replace(self, posterior=fitted, means=means, known=known, waiting=waiting)


def _level(posterior: Gaussian, knots: NDArray[np.float64], counts: BinCounts) -> LevelLikelihood:
    """Likelihood of a baseline's cohort under its own map."""
    cells = Cells.of([counts])
    logits = (features(cells.logit, knots) @ posterior.mean)[None, :]
    return LevelLikelihood.of(logits, cells, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A cohort as a detector sees it before it is learned.

    x: features (cells, d); level_variance: variance of the fitted level, common to the cohort, to
    be integrated with the shock; shrinkage: what the rest of the map's error does to each logit
    (the moderated output of MacKay 1992, "The evidence framework applied to classification
    networks"). arrival: what the label horizon does to the logits after a bet has moved them; its
    error is common to the cohort too.
    """

    cells: Cells
    x: NDArray[np.float64]
    level_variance: float
    shrinkage: NDArray[np.float64]
    arrival: Arrival

    @classmethod
    def by(cls, detector: Detector, cells: Cells, arrival: Arrival) -> Self:
        """What a detector predicts of a cohort's cells."""
        x = features(cells.logit, detector.knots)
        covariance = np.linalg.inv(detector.posterior.precision)
        p = sigmoid(x @ detector.posterior.mean)
        weight = cells.n * (p * (1 - p) + WEIGHT_MIN)
        centre = weight @ x / weight.sum()
        rest = np.einsum("ij,jk,ik->i", x - centre, covariance, x - centre)
        level_variance = float(centre @ covariance @ centre) + arrival.se**2
        return cls(cells, x, level_variance, 1 / np.sqrt(1 + np.pi / 8 * rest), arrival)

    def offset(self, posterior: Gaussian) -> NDArray[np.float64] | None:
        """What the horizon adds to each cell's logit at the posterior's mean map, to learn with."""
        if self.arrival.is_complete:
            return None
        z = self.x @ posterior.mean
        return self.arrival.observed(z) - z

    def logits(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predicted logits (maps, cells) of maps with mean coefficients (maps, d)."""
        return (means @ self.x.T) * self.shrinkage
