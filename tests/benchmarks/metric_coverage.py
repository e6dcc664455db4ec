"""Coverage of the debiased ECE's 95 % interval, and its bias beside raw ECE's.

Run `python tests/benchmarks/metric_coverage.py [--runs 1000]`: prints one Markdown row for each
way of being wrong, law of scores and number of labels. The truth is the integral of
|P(outcome | score) - score| over the law of scores, not its binned version. Deterministic.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# The script runs from a checkout that is not installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from monitor.core.bins import BinCounts
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.measures.metrics import equal_width_ece

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TIED = np.array([0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.999])
TIED_SHARES = np.array([0.05, 0.05, 0.15, 0.2, 0.3, 0.2, 0.05])
TRUTH_DRAWS = 400_000

LAWS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "middle": lambda rng, n: sigmoid(rng.normal(0, 1.2, n)),
    "rare": lambda rng, n: sigmoid(rng.normal(-3.5, 1, n)),
    "extreme": lambda rng, n: np.clip(rng.beta(0.4, 0.4, n), 1e-7, 1 - 1e-7),
    "tied": lambda rng, n: rng.choice(TIED, n, p=TIED_SHARES),
}
"""Scores in the middle, of a rare event, near 0 and 1, and of a few verbalized confidences."""

MAPS: dict[str, Callable[[Floats], Floats]] = {
    "calibrated": lambda z: z,
    "temperature 1.3": lambda z: z / 1.3,
    "temperature 2": lambda z: z / 2,
    "temperature .7": lambda z: z / 0.7,
    "shift .3": lambda z: z + 0.3,
    "shift .7": lambda z: z + 0.7,
    "local": lambda z: z - 1.2 * np.exp(-(((z - 1) / 0.4) ** 2)),
    "wiggle": lambda z: z + 0.4 * np.sin(4 * z),
}
"""Logit of P(outcome | score), by the score's logit."""

LABELS = (200, 500, 2000)
HEAD = (
    "Above, below, held: where the interval lies to the truth. Over 0: the low end is.",
    "",
    "| scores | map | labels | truth | raw | debiased | interval | above | below | held | over 0 |",
    "|---|---|--:|--:|--:|--:|:-:|--:|--:|--:|--:|",
)


def row(law: str, map_: str, n: int, runs: int) -> str:
    """One setting: truth, mean raw and debiased ECE, mean ends, misses on either side."""
    rng = np.random.default_rng([n, *law.encode(), *map_.encode()])
    draw, true_logit = LAWS[law], MAPS[map_]
    seen = draw(rng, TRUTH_DRAWS)
    truth = float(np.abs(sigmoid(true_logit(logit(seen))) - seen).mean())
    raw, values, lows, highs = np.empty((4, runs))
    for k in range(runs):
        score = draw(rng, n)
        counts = BinCounts.from_rows(score, rng.random(n) < sigmoid(true_logit(logit(score))))
        found = debiased_ece(counts)
        raw[k] = equal_width_ece(counts, 15)
        values[k], lows[k], highs[k] = found.value, found.low, found.high
    # A calibrated law's truth is 0 up to rounding.
    low_misses, high_misses = (lows > truth + 1e-9).mean(), (highs < truth - 1e-9).mean()
    return (
        f"| {law:<8} | {map_:<15} | {n:>5} | {truth:.3f} | {raw.mean():.3f} | {values.mean():.3f} "
        f"| {lows.mean():.3f} - {highs.mean():.3f} | {low_misses:>8.1%} | {high_misses:>8.1%} "
        f"| {1 - low_misses - high_misses:>8.1%} | {(lows > 0).mean():>7.1%} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="replicates of each setting")
    runs: int = parser.parse_args().runs
    lines = itertools.chain(
        HEAD, (row(law, map_, n, runs) for law in LAWS for map_ in MAPS for n in LABELS)
    )
    for line in lines:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
