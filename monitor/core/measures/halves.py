"""Two halves of some cohorts: one to fit a repair on, the other to score it on.

Guarantees: every label is in exactly one half, and the same cohorts always give the same halves.
Must never: put a label's outcome in one half by what the other half looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.bins import BinCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def halves(cohorts: Sequence[BinCounts], seed: int) -> tuple[BinCounts, BinCounts]:
    """Every other cohort; or, of a single one, random rows (seeded), to be told apart by nothing.

    Rows are drawn micro-bin by micro-bin (hypergeometric). A half of one cohort takes the mean
    scores of its micro-bins and classes, so its sums are right to a micro-bin's width; it shares
    the other half's shock, so its score tells less than another day's would.
    """
    if len(cohorts) == 1:
        return _drawn(cohorts[0], np.random.default_rng(seed))
    return (
        sum(cohorts[2::2], cohorts[0]) if cohorts else BinCounts.empty(),
        sum(cohorts[3::2], cohorts[1]) if cohorts else BinCounts.empty(),
    )


def _drawn(whole: BinCounts, rng: np.random.Generator) -> tuple[BinCounts, BinCounts]:
    labelled, positive = whole.labelled, whole.positive
    negative = labelled - positive
    drawn = rng.binomial(labelled, 0.5)
    drawn_positive = rng.hypergeometric(positive, negative, drawn)
    of_positive, of_negative = (
        _share(drawn_positive, positive),
        _share(drawn - drawn_positive, negative),
    )
    of_all = _share(drawn, labelled)
    score_positive = np.rint(whole.sums[:, 5] * of_positive)
    score_negative = np.rint((whole.sums[:, 3] - whole.sums[:, 5]) * of_negative)
    sums = np.column_stack(
        [
            drawn,
            drawn,
            drawn_positive,
            score_positive + score_negative,
            np.rint(whole.sums[:, 4] * of_all),
            score_positive,
            np.rint(whole.sums[:, 6] * of_all),
        ]
    ).astype(np.int64)
    return BinCounts(sums), BinCounts(whole.sums - sums)


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return part / np.maximum(whole, 1)
