"""A detector's evidence: in labels, and with something added to its logarithm.

Must never: change what a detector has learned.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.core.detector.sequential import Detector


def e_value(log_m: float) -> float:
    """M in labels, kept finite."""
    return exp(min(log_m, 700.0))


def scaled(detector: Detector, by: float) -> Detector:
    """The detector with `by` added to its log evidence."""
    if by == 0:
        return detector
    return replace(detector, log_r=detector.log_r + by, log_best=detector.log_best + by)


def cleared(detector: Detector) -> Detector:
    """The detector with what it has learned, and no evidence."""
    return scaled(detector, -np.inf)
