"""The estimates beside those of `metrics.py`: bins of equal mass, no bins, ranking, usefulness.

Guarantees: pure functions of counts; a field is NaN where the labels decide none. Must never:
raise or warn on any counts. They are apart from `Metrics` because they cost more: a verdict that
finds nothing carries the usefulness alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.measures import usefulness as useful
from monitor.core.measures.ece_interval import rms_calibration_error
from monitor.core.measures.equal_mass_ece import equal_mass
from monitor.core.measures.smooth_ece import smooth_ece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.bins import BinCounts
    from monitor.core.measures.moments import ClassMoments
    from monitor.core.verdicts import Metrics


@dataclass(frozen=True, slots=True)
class Estimates:
    """Calibration errors of one span by other definitions than `Metrics` has.

    ece_equal_mass, its debiased form and ace: 15 equal-mass bins, with the bound on what the
    micro-bins hide of the first; rms_error: root mean square error, debiased, with its 95 %
    interval; smooth_ece: without bins. All are means over the labelled rows.
    """

    ece_equal_mass: float
    ece_equal_mass_debiased: float
    ece_equal_mass_resolution: float
    ace: float
    rms_error: float
    rms_error_low: float
    rms_error_high: float
    smooth_ece: float
    smooth_ece_resolution: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Whether the scores tell outcomes apart.

    AUROC's 95 % interval and standard error; sharpness: variance of the scores; resolution_share:
    share of the outcome's variance that they explain, without noise, with its 95 % interval; use:
    a `Use` of `usefulness.py`; reason: one sentence.
    """

    auroc_low: float
    auroc_high: float
    auroc_se: float
    sharpness: float
    resolution_share: float
    resolution_share_low: float
    resolution_share_high: float
    use: str
    reason: str


def estimates(counts: BinCounts) -> Estimates:
    """Everything of `Estimates`; about 8 ms, most of it for smooth ECE."""
    mass, rms, smooth = equal_mass(counts), rms_calibration_error(counts), smooth_ece(counts)
    return Estimates(
        ece_equal_mass=mass.ece,
        ece_equal_mass_debiased=mass.debiased,
        ece_equal_mass_resolution=mass.resolution,
        ace=mass.ace,
        rms_error=rms.value,
        rms_error_low=rms.low,
        rms_error_high=rms.high,
        smooth_ece=smooth.value,
        smooth_ece_resolution=smooth.resolution,
    )


def ranking(
    counts: BinCounts, known: Metrics | None = None, moments: ClassMoments | None = None
) -> Ranking:
    """Everything of `Ranking`; known, moments: of the same counts, if they are at hand."""
    return _ranking(useful.usefulness(counts, known=known, moments=moments))


def rankings_of(
    counts: Sequence[BinCounts], known: Sequence[Metrics], moments: Sequence[ClassMoments]
) -> list[Ranking]:
    """As `ranking`, of each; what is in the batch besides changes no bit of it."""
    return [_ranking(each) for each in useful.usefulness_of(counts, known, moments)]


def _ranking(found: useful.Usefulness) -> Ranking:
    resolution, auroc = found.resolution, found.auroc
    return Ranking(
        auroc_low=auroc.low,
        auroc_high=auroc.high,
        auroc_se=auroc.se,
        sharpness=resolution.sharpness,
        resolution_share=resolution.share,
        resolution_share_low=resolution.share_low,
        resolution_share_high=resolution.share_high,
        use=str(found.use),
        reason=found.reason,
    )


def is_useless(found: Ranking) -> bool:
    """Whether the labels show that a constant score would do as well."""
    return found.use == useful.Use.USELESS
