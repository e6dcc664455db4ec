"""What a label horizon does to a map of complete labels: the chances of on-time outcomes.

Guarantees: with all labels in time nothing changes, to the bit. Where rows without a label at H
are left out, the logit moves by log(F1(H) / F0(H)), the same for every score; where they count as
negatives, the chance becomes q F1(H). Must never: be applied to a map fitted on labels that were
sealed at the same horizon: that map holds the move already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Arrival:
    """Shares of the positives' and negatives' labels that come by the horizon, in (0, 1].

    unlabelled_negative: rows without a label count as negatives, and `negative` is not read.
    se: standard error of the move, in logits.
    """

    positive: float = 1.0
    negative: float = 1.0
    unlabelled_negative: bool = False
    se: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all labels are known to come in time, so that nothing moves."""
        return self.se == 0 and self.positive == 1 and self.negative == 1

    @property
    def level(self) -> float:
        """Move of a small chance's logit: log(F1 / F0), or log F1 where no label is a negative."""
        below = 0.0 if self.unlabelled_negative else float(np.log(self.negative))
        return float(np.log(self.positive)) - below

    def observed(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits of an on-time positive, from the logits z of a positive; shape of z.

        logit(q F1) = z + log F1 - log(1 + (1 - F1) exp z).
        """
        if self.is_complete:
            return z
        moved = z + self.level
        if not self.unlabelled_negative or self.positive >= 1:
            return moved
        return np.asarray(moved - np.logaddexp(0, z + np.log1p(-self.positive)))


COMPLETE = Arrival()
"""All labels come in time."""
