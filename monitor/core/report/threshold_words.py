"""Threshold advice in sentences, and as plain JSON.

Guarantees: the first sentence says whether the present cutoff is too costly; every number is one
of the advice. Must never: compute an estimate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.core.decision.decision_evidence import cost_words, number
from monitor.core.decision.thresholds import CUTOFFS
from monitor.core.report.threshold_advice import repaired_cutoffs
from monitor.core.verdicts import as_plain, rfc3339
from monitor.core.wording import amount, day

if TYPE_CHECKING:
    from monitor.core.report.threshold_advice import Band, RepairedCutoff, ThresholdAdvice, Volume

Json = dict[str, object]
ENOUGH = 1e12
"""More labels than this are not named."""


def threshold_words(advice: ThresholdAdvice) -> list[str]:
    """Sentences in the order in which they are asked for."""
    said = [advice.standing.reason, _range_words(advice), _calibrated_words(advice)]
    said += [_repaired_words(advice.repaired)] if advice.repaired is not None else []
    said += [_day_words(advice)] if advice.per_day is not None else []
    said += [_band_words(advice.band)] if advice.band is not None else []
    said += [_volume_words(each) for each in advice.volumes if each.labelled]
    return [*said, _again_words(advice)]


def threshold_json(advice: ThresholdAdvice) -> Json:
    """Everything of the advice; costs are per labelled prediction, NaN is null.

    curve: a point for each cutoff at which some label changes sides, and the ends.
    """
    curve, repaired = advice.curve, advice.repaired
    moved = None if repaired is None else repaired_cutoffs(repaired)
    held = curve.positive + curve.negative > 0
    points: list[Json] = [
        {
            "cutoff": float(CUTOFFS[k]),
            "repaired_cutoff": None if moved is None else float(moved[k]),
            "cost": float(curve.cost[k]),
            "low": float(curve.low[k]),
            "high": float(curve.high[k]),
        }
        for k in range(len(CUTOFFS))
        if k in {0, len(CUTOFFS) - 1} or held[k - 1] or held[k]
    ]
    again = advice.look_again_at
    return {
        "decision": advice.decision.as_json()
        | {"calibrated_cutoff": advice.decision.calibrated_cutoff},
        "labels": advice.labels,
        "predictions": advice.predictions,
        "predictions_per_day": advice.per_day,
        "standing": as_plain(advice.standing),
        "present": as_plain(advice.present),
        "best": as_plain(advice.best) | {"from": advice.best_from, "to": advice.best_to},
        "calibrated": as_plain(advice.calibrated),
        "repaired": None if repaired is None else as_plain(repaired),
        "review_band": None if advice.band is None else as_plain(advice.band),
        "volumes": [as_plain(each) for each in advice.volumes],
        "look_again_at": None if again is None else rfc3339(again),
        "curve": points,
        "words": threshold_words(advice),
    }


def _range_words(advice: ThresholdAdvice) -> str:
    return (
        f"Cutoffs from {number(advice.best_from)} to {number(advice.best_to)} are not shown to "
        f"cost more than the best, {number(advice.best.cutoff)}."
    )


def _calibrated_words(advice: ThresholdAdvice) -> str:
    found = advice.calibrated
    return (
        f"For honest scores the best cutoff is {number(found.cutoff)}, the cost of a false "
        f"positive over that of both errors; on these scores it costs {cost_words(found.cost)} "
        f"({cost_words(found.low)} to {cost_words(found.high)})."
    )


def _repaired_words(repaired: RepairedCutoff) -> str:
    before, after = repaired.before, repaired.after
    return (
        f"After a repair ({repaired.repair.method}) the cutoff {number(repaired.cutoff)}, which is "
        f"{number(repaired.raw_cutoff)} on the scores as they are, costs {cost_words(after.cost)} "
        f"({cost_words(after.low)} to {cost_words(after.high)}) on the "
        f"{amount(repaired.repair.n_held_out)} labels that the repair was not fitted to; without "
        f"it, {cost_words(before.cost)} on the same labels."
    )


def _day_words(advice: ThresholdAdvice) -> str:
    per_day = advice.per_day or 0.0
    return (
        f"At {amount(per_day)} predictions a day the present cutoff costs "
        f"{_figure(advice.present.cost * per_day)} a day, the best "
        f"{_figure(advice.best.cost * per_day)}."
    )


def _band_words(band: Band) -> str:
    edges = f"Review band {number(band.review_from)} to {number(band.review_to)}"
    volumes = (
        (band.share_above, band.above_per_day, "above"),
        (band.share_within, band.within_per_day, "in it"),
        (band.share_below, band.below_per_day, "below"),
    )
    said = ", ".join(
        f"{share:.1%} {place}" if a_day is None else f"{_figure(a_day)} {place}"
        for share, a_day, place in volumes
    )
    said = f"{edges}: {said}{'' if band.within_per_day is None else ' a day'}"
    if band.load is not None and band.reviews_per_day is not None:
        said += f"; the reviewers can take {_figure(band.reviews_per_day)}"
        said += ", which is too few" if band.load > 1 else ""
        said += f" ({band.load:.0%} of it is asked for)"
    if band.cost is not None:
        said += f". With the reviews, {cost_words(band.cost)} per 1,000 predictions"
    if band.calibrated_from is not None and band.calibrated_to is not None:
        said += ". Of honest scores, those from "
        said += f"{number(band.calibrated_from)} to {number(band.calibrated_to)} are worth a review"
    return f"{said}."


def _volume_words(volume: Volume) -> str:
    often = f"{volume.share:.1%} of the predictions"
    if volume.per_day is not None:
        often = f"{_figure(volume.per_day)} a day"
    return (
        f"Above {number(volume.cutoff)}: {often}, precision {volume.precision:.3f} "
        f"({volume.precision_low:.3f} to {volume.precision_high:.3f}), "
        f"recall {_figure(volume.recall)}."
    )


def _again_words(advice: ThresholdAdvice) -> str:
    standing, again = advice.standing, advice.look_again_at
    said = "Look again when more labels are there" if again is None else f"Look again {day(again)}"
    if standing.too_costly:
        return f"{said}, and after the cutoff was changed."
    if standing.is_fine:
        return f"{said}."
    if not standing.labels_needed < ENOUGH:
        return f"{said}; no number of labels is known that would tell more."
    return f"{said}; about {amount(standing.labels_needed)} labels would tell."


def _figure(value: float) -> str:
    """Three digits of a small number, a whole large one."""
    if math.isnan(value):
        return "unknown"
    return amount(value) if value >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits
