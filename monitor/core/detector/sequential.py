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
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.core.detector.arrival import COMPLETE, Arrival
from monitor.core.detector.bets import Bets
from monitor.core.detector.calibration_map import (
    Cells,
    Gaussian,
    features,
    fit,
    hat_knots,
    posteriors_of,
    prior,
)
from monitor.core.detector.seen import Seen
from monitor.core.detector.shock import LevelLikelihood, sigma_chances
from monitor.core.detector.wobble import CHANCE_MIN, HiddenLevel, IidShock, Wobble, expected_sd
from monitor.core.measures.logistic import sigmoid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.core.bins import BinCounts

TIED = 1e-9
"""A bet that has gained nothing keeps its start: what log M is should not hang on a last bit."""
SERIES_AT_A_TIME = 32
"""Detectors that are worked on side by side: more would gain nothing and leave the cache. Those
with a hidden level, whose states alone fill it, come one at a time."""
LOG_FLOOR = -50.0
"""Log likelihood of a state of the wobble against the best one, at the least, by one cohort."""


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
        """`observe_all` of one observation."""
        return observe_all([Observation(self, counts, start_s, learn_below, arrival)])[0]

    def taught(self, counts: BinCounts, *, arrival: Arrival = COMPLETE) -> Detector:
        """Learn one whole cohort that is known to be as before; the evidence stays as it is."""
        if not len(counts.held[0]):
            return self
        asked = [Observation(self, counts, 0, arrival=arrival)]
        known = self.wobble.moved(self.known)
        return _Cohorts.of(asked, self.means[None]).learned([replace(self, known=known)], [0])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One whole cohort, to be scored by a detector, and learned if log M stays below `learn_below`.

    start_s: of the cohort, epoch seconds; arrival: labels that came in time, where the map is of
    complete labels.
    """

    detector: Detector
    counts: BinCounts
    start_s: int
    learn_below: float = np.inf
    arrival: Arrival = COMPLETE


def observe_all(seen: Sequence[Observation]) -> list[Detector]:
    """The detectors after one more whole cohort each, in the order given.

    R <- (R + n) L / L0 for each bet, L and L0 the cohort's likelihoods under the bet and under
    "nothing changed", averaged over the states of the wobble: those that the bet carries along, and
    those that are known. A change that has shown itself is not learned, so that it is not taken for
    the map or for wobble. A detector's result does not depend, to the bit, on the others.
    """
    after = [each.detector for each in seen]
    for places in _alike(seen):
        asked = [seen[i] for i in places]
        for i, new in zip(places, _observed(asked), strict=True):
            after[i] = new
    return after


def _alike(seen: Sequence[Observation]) -> Iterator[list[int]]:
    """Places of cohorts with labels whose detectors are alike in form, some at a time."""
    alike: dict[tuple[int, bool], list[int]] = {}
    for i, each in enumerate(seen):
        if len(each.counts.held[0]):
            form = (each.detector.bets.n_knots, each.detector.has_hidden_level)
            alike.setdefault(form, []).append(i)
    for (_, hidden), places in alike.items():
        at_a_time = 1 if hidden else SERIES_AT_A_TIME
        yield from (places[at : at + at_a_time] for at in range(0, len(places), at_a_time))


def _observed(asked: Sequence[Observation]) -> list[Detector]:
    """The detectors after one more cohort with labels each; all are alike in form."""
    held = [each.detector for each in asked]
    wobble, labels = held[0].wobble, [each.counts.n_labelled for each in asked]
    log_n = np.log(np.array(labels, dtype=np.float64))[:, None]
    log_best, log_r = np.array([d.log_best for d in held]), np.array([d.log_r for d in held])
    begun = log_n > log_best + TIED
    now = np.array([d.posterior.mean for d in held])[:, None, :]
    means = np.where(begun[:, :, None], now, np.array([d.means for d in held]))
    cohorts = _Cohorts.of(asked, means)
    before = np.logaddexp(log_r, log_n)
    known = np.array([d.known for d in held])
    wide = (*before.shape, *[1] * (known.ndim - 1))
    old, new = np.exp(log_r - before).reshape(wide), np.exp(log_n - before).reshape(wide)
    carried = wobble.carried(np.array([d.shares for d in held]), known[:, None])
    started = old * carried
    started += new * known[:, None]
    known = wobble.moved(known)
    shares = wobble.moved(started) * cohorts.likelihood[:, 1:]
    np.maximum(shares, CHANCE_MIN, out=shares)
    total = _over_states(shares, 2)
    unchanged = _over_states(known * cohorts.likelihood[:, 0], 1)[:, None]
    gain = cohorts.top[:, 1:] - cohorts.top[:, :1] + np.log(total) - np.log(unchanged)
    shares /= total.reshape(wide)
    log_r, log_best = before + gain, np.maximum(log_best, log_n) + gain
    after = [
        replace(
            each.detector,
            means=means[at].copy(),
            known=known[at].copy(),
            log_r=log_r[at].copy(),
            shares=shares[at].copy(),
            log_best=log_best[at].copy(),
            since_s=np.where(begun[at], each.start_s, each.detector.since_s),
        )
        for at, each in enumerate(asked)
    ]
    calm = [at for at, each in enumerate(asked) if after[at].log_m < each.learn_below]
    for at, learned in zip(calm, cohorts.learned([after[at] for at in calm], calm), strict=True):
        after[at] = learned
    return after


def _over_states(chances: NDArray[np.float64], leading: int) -> NDArray[np.float64]:
    """Sums over the states: all axes but the leading ones."""
    return np.asarray(chances.reshape(*chances.shape[:leading], -1).sum(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class _Cohorts:
    """Cohorts of several series, scored under "nothing changed" and under each bet.

    likelihood: by state of the wobble, over its largest value, (series, 1 + bets, states); top:
    the log of that value. pulls: of the outcomes on each bet's coefficients, (series, bets, d).
    """

    seen: Seen
    pulls: NDArray[np.float64]
    likelihood: NDArray[np.float64]
    top: NDArray[np.float64]

    @classmethod
    def of(cls, asked: Sequence[Observation], means: NDArray[np.float64]) -> Self:
        """Under maps with mean coefficients (series, bets, d) before each bet's change."""
        held = [each.detector for each in asked]
        maps, knots = [d.posterior for d in held], np.array([d.knots for d in held])
        arrivals = [each.arrival for each in asked]
        seen = Seen.by(knots, maps, [each.counts for each in asked], arrivals)
        unmoved = np.array([each.mean for each in maps])[:, None, :]
        sigma = np.array([d.sigma for d in held])
        hypotheses = np.concatenate([unmoved, means], axis=1)
        level, pulls = seen.levels(hypotheses, held[0].bets, sigma)
        likelihood = held[0].wobble.log_likelihood(level, seen.level_variance)
        top = likelihood.reshape(*hypotheses.shape[:2], -1).max(axis=-1)
        likelihood -= top.reshape(*top.shape, *[1] * (likelihood.ndim - 2))
        np.maximum(likelihood, LOG_FLOOR, out=likelihood)
        return cls(seen, pulls, np.exp(likelihood, out=likelihood), top)

    def learned(self, detectors: Sequence[Detector], places: Sequence[int]) -> list[Detector]:
        """Learn scored cohorts: map and wobble if nothing changed, the bets' maps before.

        What a bet has learned since its change began keeps the map that learns the change from
        pulling the bet along. Its mean takes one Newton step with the posterior's own curvature,
        from the cohort's most likely shock. places: those of the detectors among the cohorts.
        """
        if not detectors:
            return []
        pairs = list(zip(places, detectors, strict=True))
        fitted = posteriors_of([self.seen.problem(at, d.posterior, d.sigma) for at, d in pairs])
        covariance = np.linalg.inv(np.array([each.precision for each in fitted]))
        slope = self.pulls[places] * detectors[0].bets.slopes[:, None]
        steps = np.matmul(slope, covariance)
        after = []
        for (at, d), posterior, step in zip(pairs, fitted, steps, strict=True):
            unchanged = self.likelihood[at, 0].copy()
            known, waiting = d.wobble.learned(d.known, d.waiting, unchanged)
            means = d.means + step
            new = replace(d, posterior=posterior, means=means, known=known, waiting=waiting)
            after.append(new)
        return after


def _level(posterior: Gaussian, knots: NDArray[np.float64], counts: BinCounts) -> LevelLikelihood:
    """Likelihood of a baseline's cohort under its own map."""
    cells = Cells.of([counts])
    logits = (features(cells.logit, knots) @ posterior.mean)[None, :]
    return LevelLikelihood.of(logits, cells, 1.0)
