"""Bets: what a change may look like, as moves of the predicted logit.

Guarantees: every bet is a move that the calibration map can follow, so that none can win on what
the basis cannot fit. Must never: depend on data beyond the number of knots.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = (-1.4, -0.85, -0.5, -0.3, 0.3, 0.5, 0.85, 1.4)
SLOPES = (0.5, 0.65, 0.8, 1.25, 1.5, 2.0)
BOTH = tuple((level, slope) for level in (-0.4, 0.4) for slope in (0.7, 1.4))
_GLOBAL = np.array([*((level, 1.0) for level in LEVELS), *((0.0, b) for b in SLOPES), *BOTH])
LOCAL = (-1.0, -0.45, 0.45, 1.0)
LOCAL_SHARE = 0.15
"""Half costs global changes more delay than it saves local ones."""


@dataclass(frozen=True, slots=True)
class Bets:
    """What a change may look like: moves of the predicted logit, all of which the map can follow.

    A local bet raises or lowers one hat of the map: were it to move a shape outside the map's
    basis, it would in time win on what the basis cannot fit, without any change.
    """

    n_knots: int

    @property
    def log_weights(self) -> NDArray[np.float64]:
        """LOCAL_SHARE of the weight on the local bets, the rest on the global ones; (bets,)."""
        return _log_weights(len(LOCAL) * self.n_knots)

    @property
    def slopes(self) -> NDArray[np.float64]:
        """Factor that each bet puts on the predicted logit; shape (bets,)."""
        return np.concatenate([_GLOBAL[:, 1], np.ones(len(LOCAL) * self.n_knots)])

    def moved(self, z: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predicted logits z (bets, cells) of cells of features x (cells, d), moved by bet."""
        moved, n_global = np.empty_like(z), len(_GLOBAL)
        np.multiply(z[:n_global], _GLOBAL[:, 1:], out=moved[:n_global])
        moved[:n_global] += _GLOBAL[:, :1]
        local = (x.T[2:, None, :] * np.array(LOCAL)[:, None]).reshape(-1, len(x))
        np.add(z[n_global:], local, out=moved[n_global:])
        return moved


@cache
def _log_weights(n_local: int) -> NDArray[np.float64]:
    n_global = len(_GLOBAL)
    if not n_local:
        return np.full(n_global, -np.log(n_global))
    weights = [(1 - LOCAL_SHARE) / n_global] * n_global + [LOCAL_SHARE / n_local] * n_local
    return np.asarray(np.log(weights))
