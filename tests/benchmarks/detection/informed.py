"""An observer who is told of a known change: both maps, and how much days wobble before it.

He knows what no detector does, the map behind the change included, fitted on the very rows that he
then judges. He takes each day to be shifted by a shock of its own, of the size that days had
before; R <- (R + n) x likelihood ratio of the day, and he speaks at R >= A, as a detector with the
same promise does. So a detector that keeps that promise on days that wobble so can hardly be
earlier, and one that is earlier takes wobble for a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.detector.calibration_map import Cells, features, fit, hat_knots, prior
from monitor.core.detector.shock import LevelLikelihood, sigma_chances
from monitor.core.detector.wobble import IidShock, expected_sd
from tests.benchmarks.detection.recorded import read
from tests.benchmarks.detection.streams import cohorts

if TYPE_CHECKING:
    from monitor.core.bins import BinCounts
    from tests.benchmarks.detection.contest import Result
    from tests.benchmarks.detection.recorded import Recorded

ALARM_AT = 1e6
SD_MIN = 1e-3


@dataclass(frozen=True)
class Known:
    """A known change of a series: the piece before it, and the piece behind it, begin and end."""

    series: str
    before: str
    at: str
    until: str

    def read(self) -> Recorded:
        """The series; its files must be there."""
        return read(self.series)


PIECES = (
    Known("gpt-4-turbo", "2024-01-08", "2024-04-01", "2025-01-01"),
    Known("bike-qgbm", "2011-08-31", "2011-10-27", "2011-11-30"),
    Known("bike-qgbm", "2011-11-30", "2012-01-18", "2012-07-22"),
    Known("bike-qgbm", "2012-01-18", "2012-07-22", "2012-10-10"),
    Known("bike-qgbm-monthly", "2011-08-31", "2012-02-13", "2012-03-31"),
    Known("elec-hgb-static", "1997-04-07", "1997-06-07", "1997-07-18"),
    Known("elec-lr-monthly", "1998-03-23", "1998-05-09", "1998-07-03"),
    Known("elec-lr-monthly", "1998-07-03", "1998-08-09", "1998-09-30"),
    Known("flight-late15", "2013-07-13", "2013-08-15", "2013-09-20"),
    Known("flight-late15", "2013-10-07", "2013-12-03", "2013-12-18"),
    Known("flight-late120", "2013-04-01", "2013-06-13", "2013-07-11"),
    Known("flight-late120", "2013-07-11", "2013-08-10", "2013-08-28"),
)
"""The changes that the recorded data name, with the pieces of the segmentation beside them."""


def judge(known: Known, stream: Recorded) -> Result:
    """Days until the observer speaks: with the wobble as it is, and as if there were none."""
    before, after = _days(stream, known.before, known.at), _days(stream, known.at, known.until)
    knots = hat_knots(Cells.of([counts for _, counts in (*before, *after)]))
    cells = Cells.of([counts for _, counts in before])
    size = expected_sd(IidShock(), sigma_chances(cells, knots, prior(len(knots))))
    return {
        "sigma": round(size, 2),
        "days": _speaks(known, before, after, knots, size),
        "days without wobble": _speaks(known, before, after, knots, 0.0),
    }


def _speaks(
    known: Known,
    before: list[tuple[np.datetime64, BinCounts]],
    after: list[tuple[np.datetime64, BinCounts]],
    knots: np.ndarray,
    size: float,
) -> int | None:
    """Days from the change to R >= A; None if the piece ends before."""
    start = prior(len(knots))
    maps = [
        fit(Cells.of([counts for _, counts in side]), knots, start, max(size, SD_MIN))
        for side in (before, after)
    ]
    means = np.stack([one.posterior.mean for one in maps])
    log_r = -np.inf
    for day, counts in after:
        cells = Cells.of([counts])
        level = LevelLikelihood.of(means @ features(cells.logit, knots).T, cells, size**2)
        unmoved, moved = level.log_marginal(np.array([size**2]))[:, 0]
        log_r = np.logaddexp(log_r, np.log(cells.n.sum())) + moved - unmoved
        if log_r >= np.log(ALARM_AT):
            return int((day - np.datetime64(known.at)).astype(int))
    return None


def _days(stream: Recorded, begin: str, end: str) -> list[tuple[np.datetime64, BinCounts]]:
    """Date and counts of each day in [begin, end)."""
    low, high = np.searchsorted(stream.day, np.array([begin, end], dtype="datetime64[D]"))
    day = stream.day[low:high]
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    return [
        (
            day[a],
            cohorts(stream.score[low + a : low + b], stream.outcome[low + a : low + b], b - a)[0],
        )
        for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(day)], strict=True)
    ]
