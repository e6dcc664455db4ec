"""False alarms and delays of the detector on seeded streams, in batches of 250 labels.

Run `python tests/benchmarks/detection_quick.py [--runs 4] [--labels 50000]`: prints Markdown. A
false alarm is M >= A = 1e6 at any time in the labels after the baseline, without a change of the
map; a delay is counted in labels from the change, 10k labels being the baseline, and a change not
found within 5000 counts as late. Standard errors: of a share by the binomial, of a median by half
the range that holds its 68 % order statistics. Evidence alone is judged, without the tolerance.
Deterministic.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# The script runs from a checkout that is not installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from monitor.core.sequential import Detector
from tests.core.streams import counts, honest

if TYPE_CHECKING:
    from tests.core.streams import Truth

BATCH = 250
LOG_A = float(np.log(1e6))
BASELINES = (1000, 10_000)
WITHIN = 5000

NULLS: dict[str, tuple[Truth, float]] = {
    "calibrated": (honest, 0.0),
    "scores move": (honest, 1.0),
    "wrong from the start": (lambda z: 0.3 + 0.7 * z, 0.0),
}
"""Map, and by how many logits the scores move after the baseline."""

CHANGES: dict[str, Truth] = {
    "T 1.3": lambda z: z / 1.3,
    "T 1.5": lambda z: z / 1.5,
    "T 2": lambda z: z / 2,
    "+.3": lambda z: z + 0.3,
    "+.5": lambda z: z + 0.5,
    "+1": lambda z: z + 1.0,
    "local": lambda z: z - 1.0 * ((z > 1) & (z < 2)),
}
"""The map after the change; before it, the score is honest."""


def baseline(rng: np.random.Generator, labels: int, truth: Truth, wobble: float) -> Detector:
    """A detector at rest, fitted on cohorts of BATCH labels."""
    return Detector.from_baseline(
        [counts(rng, BATCH, truth, wobble=wobble) for _ in range(labels // BATCH)]
    )


def called_after(  # noqa: PLR0913  # each is one property of a stream
    rng: np.random.Generator,
    detector: Detector,
    truth: Truth,
    labels: int,
    *,
    centre: float = 0.0,
    wobble: float = 0.0,
) -> int | None:
    """Labels until M >= A, or None if that takes more than `labels`."""
    for batch in range(1, labels // BATCH + 1):
        cohort = counts(rng, BATCH, truth, centre=centre, wobble=wobble)
        detector = detector.observe(cohort, batch, learn_below=LOG_A)
        if detector.log_m >= LOG_A:
            return batch * BATCH
    return None


def null_row(name: str, n_baseline: int, wobble: float, runs: int, labels: int) -> str:
    """Share of streams with a false alarm."""
    truth, centre = NULLS[name]
    false = 0
    for run in range(runs):
        rng = np.random.default_rng([run, n_baseline, *name.encode(), int(100 * wobble)])
        detector = baseline(rng, n_baseline, truth, wobble)
        found = called_after(rng, detector, truth, labels, centre=centre, wobble=wobble)
        false += found is not None
    share = false / runs
    error = float(np.sqrt(share * (1 - share) / runs))
    return f"| {name} | {n_baseline} | {wobble} | {false} of {runs} | {share:.3f} | {error:.3f} |"


def delay_row(name: str, runs: int) -> str:
    """Median delay in labels, and the share found within 5000."""
    delays = []
    for run in range(runs):
        rng = np.random.default_rng([run, *name.encode()])
        found = called_after(rng, baseline(rng, 10_000, honest, 0.0), CHANGES[name], WITHIN)
        delays.append(np.inf if found is None else found)
    ordered = np.sort(delays)
    middle, spread = (runs - 1) / 2, np.sqrt(runs) / 2
    low, high = ordered[max(0, int(middle - spread))], ordered[min(runs - 1, int(middle + spread))]
    error = (high - low) / 2 if np.isfinite(high) else np.inf
    median = ordered[int(middle)]
    return f"| {name} | {median:.0f} | {error:.0f} | {np.isfinite(ordered).mean():.2f} |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4, help="streams a row")
    parser.add_argument("--labels", type=int, default=50_000, help="labels after the baseline")
    given = parser.parse_args()
    write = sys.stdout.write
    write(f"Any false alarm in {given.labels} labels, A = 1e6\n\n")
    write("| null | baseline | day shock | alarms | share | s.e. |\n|---|--:|--:|--:|--:|--:|\n")
    for name in NULLS:
        for n_baseline in BASELINES:
            for wobble in (0.0, 0.2):
                write(null_row(name, n_baseline, wobble, given.runs, given.labels) + "\n")
                sys.stdout.flush()
    write(f"\nDelay in labels, baseline 10000, {given.runs} streams a row, A = 1e6\n\n")
    write("| change | median | s.e. | found in 5000 |\n|---|--:|--:|--:|\n")
    for name in CHANGES:
        write(delay_row(name, given.runs) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
