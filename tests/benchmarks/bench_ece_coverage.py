"""Coverage of the intervals of calibration error, at 95 % and 80 %, and what else was tried.

Run `python tests/benchmarks/bench_ece_coverage.py [--runs 400]`: prints one Markdown row for each
law of scores, model, number of labels and interval. The truth is the population's, integrated over
the law of the scores, not its binned version. `make bench` runs it too. Deterministic.

Intervals: `ece` is debiased_ece.py (95 % only); `rms` is ece_interval.py; `normal` is the debiased
mean square with one normal standard error, taken to the root; `bootstrap` is the percentile
interval of raw equal-mass ECE over redrawn outcomes (as many draws as BOOTSTRAPS), the one that
most packages offer.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

# The script runs from a checkout that is not installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from monitor.core.bins import BinCounts
from monitor.core.debiased_ece import debiased_ece, mass_bins
from monitor.core.ece_interval import rms_calibration_error
from monitor.core.logistic import logit, sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ends = tuple[float, float]

LAWS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "middle": lambda rng, n: sigmoid(rng.normal(0, 1.2, n)),
    "rare": lambda rng, n: sigmoid(rng.normal(-3.5, 1, n)),
    "tied": lambda rng, n: rng.choice([0.5, 0.7, 0.8, 0.9, 0.95, 0.999], n),
}
MAPS: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda z: z,
    "temperature 1.5": lambda z: z / 1.5,
    "shift .5": lambda z: z + 0.5,
    "local": lambda z: z - 1.2 * np.exp(-(((z - 1) / 0.4) ** 2)),
}
"""Logit of P(outcome | score), by the score's logit."""

LABELS = (200, 500, 2000)
BOOTSTRAPS = 100
TRUTH_DRAWS = 400_000
LEVELS = (0.95, 0.8)
HEAD = (
    "| scores | model | labels | interval | nominal | covered | s.e. | mean width |",
    "|---|---|--:|---|--:|--:|--:|--:|",
)


def normal(counts: BinCounts, level: float) -> Ends:
    """Debiased mean square and its plug-in standard error (delta method), roots of the ends."""
    bins = mass_bins(counts)
    square = float(bins.share @ (bins.gap**2 - bins.se**2))
    error = 2 * math.sqrt(float(bins.share**2 @ (bins.gap**2 * bins.se**2)))
    z = float(ndtri(0.5 + level / 2))
    return math.sqrt(max(0.0, square - z * error)), math.sqrt(max(0.0, square + z * error))


def bootstrap(counts: BinCounts, level: float, rng: np.random.Generator) -> Ends:
    """Percentiles of raw ECE over equal-mass bins with outcomes redrawn from the bins' rates."""
    bins = mass_bins(counts)
    drawn = rng.normal(bins.gap, bins.se, (BOOTSTRAPS, len(bins.gap)))
    low, high = np.quantile(np.abs(drawn) @ bins.share, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def setting(law: str, map_: str, n: int, runs: int) -> Iterator[str]:
    """Rows of one setting."""
    rng = np.random.default_rng([n, *law.encode(), *map_.encode()])
    draw, true_logit = LAWS[law], MAPS[map_]
    seen = draw(rng, TRUTH_DRAWS)
    off = np.abs(sigmoid(true_logit(logit(seen))) - seen)
    truth = {"ece": float(off.mean()), "rms": float(np.sqrt((off**2).mean()))}
    truth |= {"normal": truth["rms"], "bootstrap": truth["ece"]}
    found: dict[tuple[str, float], list[Ends]] = {}
    for _ in range(runs):
        score = draw(rng, n)
        counts = BinCounts.from_rows(score, rng.random(n) < sigmoid(true_logit(logit(score))))
        ece = debiased_ece(counts)
        found.setdefault(("ece", 0.95), []).append((ece.low, ece.high))
        for level in LEVELS:
            rms = rms_calibration_error(counts, level)
            found.setdefault(("rms", level), []).append((rms.low, rms.high))
        found.setdefault(("normal", 0.95), []).append(normal(counts, 0.95))
        found.setdefault(("bootstrap", 0.95), []).append(bootstrap(counts, 0.95, rng))
    for (name, level), ends in found.items():
        low, high = np.array(ends).T
        # A calibrated law's truth is 0 up to rounding.
        covered = float(np.mean((low <= truth[name] + 1e-9) & (high >= truth[name] - 1e-9)))
        error = math.sqrt(covered * (1 - covered) / runs)
        yield (
            f"| {law:<6} | {map_:<15} | {n:>4} | {name:<9} | {level:.0%} | {covered:>6.1%} "
            f"| {error:.1%} | {(high - low).mean():.3f} |"
        )


def table(runs: int) -> Iterator[str]:
    """All rows, as they are made."""
    yield from HEAD
    for law in LAWS:
        for map_ in MAPS:
            for n in LABELS:
                yield from setting(law, map_, n, runs)


def test_print_the_table() -> None:
    for line in table(100):
        sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="replicates of each setting")
    for line in table(parser.parse_args().runs):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
