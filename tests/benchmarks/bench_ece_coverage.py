"""Coverage of the intervals of calibration error, at 95 % and 80 %, and what else was tried.

Run `python tests/benchmarks/bench_ece_coverage.py [--runs 400] [--write]`: prints one Markdown row
for each law of scores, model and number of labels, and with --write puts the table in its place in
docs/statistics.md. A cell is the measured coverage with its standard error, and the mean width. The
truth is the population's, integrated over the law of the scores, not its binned version. `make
bench` prints it too, with fewer replicates. Deterministic.

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
from monitor.core.measures.debiased_ece import debiased_ece, mass_bins
from monitor.core.measures.ece_interval import rms_calibration_error
from monitor.core.measures.logistic import logit, sigmoid

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
INTERVALS = (("ece", 0.95), ("rms", 0.95), ("rms", 0.8), ("normal", 0.95), ("bootstrap", 0.95))
HEAD = (
    f"| scores | model | labels |{''.join(f' {name} {level:.0%} |' for name, level in INTERVALS)}",
    f"|---|---|--:|{'--:|' * len(INTERVALS)}",
)
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"


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


def intervals(counts: BinCounts, rng: np.random.Generator) -> list[Ends]:
    """Ends of INTERVALS, in that order."""
    ece = debiased_ece(counts)
    wide, narrow = (rms_calibration_error(counts, level) for level in (0.95, 0.8))
    return [
        (ece.low, ece.high),
        (wide.low, wide.high),
        (narrow.low, narrow.high),
        normal(counts, 0.95),
        bootstrap(counts, 0.95, rng),
    ]


def row(law: str, map_: str, n: int, runs: int) -> str:
    """One setting, as a row of Markdown."""
    rng = np.random.default_rng([n, *law.encode(), *map_.encode()])
    draw, true_logit = LAWS[law], MAPS[map_]
    seen = draw(rng, TRUTH_DRAWS)
    off = np.abs(sigmoid(true_logit(logit(seen))) - seen)
    ece, rms = float(off.mean()), float(np.sqrt((off**2).mean()))
    truth = np.array([ece, rms, rms, rms, ece])
    found = np.empty((runs, len(INTERVALS), 2))
    for k in range(runs):
        score = draw(rng, n)
        outcome = rng.random(n) < sigmoid(true_logit(logit(score)))
        found[k] = intervals(BinCounts.from_rows(score, outcome), rng)
    # A calibrated law's truth is 0 up to rounding.
    held = (found[..., 0] <= truth + 1e-9) & (found[..., 1] >= truth - 1e-9)
    covered = held.mean(axis=0)
    errors = np.sqrt(covered * (1 - covered) / runs)
    widths = (found[..., 1] - found[..., 0]).mean(axis=0)
    cells = "".join(
        f" {share:.1%} ± {error:.1%}, {width:.3f} |"
        for share, error, width in zip(covered, errors, widths, strict=True)
    )
    return f"| {law} | {map_} | {n} |{cells}"


def table(runs: int) -> Iterator[str]:
    """All rows, as they are made."""
    yield from HEAD
    for law in LAWS:
        for map_ in MAPS:
            for n in LABELS:
                yield row(law, map_, n, runs)


def test_print_the_table() -> None:
    for line in table(100):
        sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print the table; put it on the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="replicates of each setting")
    parser.add_argument("--write", action="store_true", help="put the table in docs/statistics.md")
    said = parser.parse_args()
    lines = []
    for line in table(said.runs):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        lines.append(line)
    if said.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        made = f"{said.runs} replicates of each setting, seeds fixed."
        text = "\n".join([BEGIN, made, "", *lines, END])
        PAGE.write_text(before + text + after, encoding="utf-8")


if __name__ == "__main__":
    main()
