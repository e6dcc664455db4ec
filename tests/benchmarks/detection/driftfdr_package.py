"""Rival: driftfdr 0.1.1 (PyPI), its e-CUSUM detector, used as its own documentation says.

The signal is the model's error, here Brier's (y - p)^2; the reference is the whole baseline; the
null is the package's bootstrap (2000 draws); windows of 500 labels, looking back over 5, checked at
every label. A window's level is .05 / 400: 5 % over the 400 windows of 200k labels. The package is
put into a directory of its own from a lock file with hashes, without what it asks for and does not
import (matplotlib); pandas, which it imports, is in the product's lock.
"""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.benchmarks.detection.places import DRIFTFDR, DRIFTFDR_LOCK
from tests.benchmarks.detection.river_signals import brier

if TYPE_CHECKING:
    from tests.benchmarks.detection.streams import Bools, Floats

WINDOW = 500
LOOK_BACK = 5
LEVEL = 0.05 / 400
SEED = 1


@cache
def missing() -> str | None:
    """Install the package if needed; why it cannot be had, or None."""
    stamp = DRIFTFDR / "lock.sha256"
    wanted = hashlib.sha256(DRIFTFDR_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted):
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        options = ["--no-deps", "--require-hashes", "--upgrade", "--target", str(DRIFTFDR)]
        done = subprocess.run(
            [*pip, *options, "-r", str(DRIFTFDR_LOCK)], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            return f"driftfdr cannot be installed: {lines[-1]}"
        stamp.write_text(wanted)
    if str(DRIFTFDR) not in sys.path:
        sys.path.append(str(DRIFTFDR))
    return None


def driftfdr() -> Any:  # noqa: ANN401  # it ships no types
    """The package."""
    if (reason := missing()) is not None:
        raise ModuleNotFoundError(reason)
    return importlib.import_module("driftfdr")


def first_alarm(score: Floats, outcome: Bools, n_baseline: int) -> int | None:
    """First label whose p value is at the level or below, behind the baseline."""
    package = driftfdr()
    detector = package.CalibratedDetector(
        package.ECUSUM(),
        n_ref=n_baseline,
        window=WINDOW,
        horizon=LOOK_BACK,
        sequential=True,
        seed=SEED,
    )
    for at, value in enumerate(brier(score, outcome).tolist(), start=1):
        p = detector.update(value)
        if p is not None and p <= LEVEL:
            return at - n_baseline
    return None
