"""Replicates in a cell of Markdown: shares and medians with their standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Firsts = "Sequence[int | None]"


def within(firsts: Sequence[int | None], labels: int) -> list[bool]:
    """Whether the first alarm came within so many labels."""
    return [first is not None and first <= labels for first in firsts]


def share(held: Sequence[bool]) -> str:
    """Share with its binomial standard error; for none of n, the 95 % upper bound instead."""
    n, k = len(held), sum(held)
    if not n:
        return "-"
    if k == 0:
        return f".00 (< {_short(1 - 0.05 ** (1 / n))})"
    p = k / n
    return f"{_short(p)} ± {_short(float(np.sqrt(p * (1 - p) / n)))}"


def share_alone(held: Sequence[bool]) -> str:
    """Share without its error."""
    return _short(sum(held) / len(held)) if held else "-"


def _short(p: float) -> str:
    text = f"{p:.3f}" if 0 < p < 0.1 else f"{p:.2f}"
    return text.removeprefix("0")


def median(firsts: Sequence[int | None]) -> tuple[float, float]:
    """Median (inf where it was not found) and standard error by order statistics.

    Half the distance of the order statistics that hold the median with 68 %.
    """
    n = len(firsts)
    ordered = np.sort([np.inf if first is None else first for first in firsts])
    middle, spread = (n - 1) / 2, np.sqrt(n) / 2
    value = float(ordered[int(middle)])
    low, high = ordered[max(0, int(middle - spread))], ordered[min(n - 1, int(middle + spread + 1))]
    return value, float((high - low) / 2) if np.isfinite(high) else float("inf")


def delay(firsts: Sequence[int | None], found_within: int) -> str:
    """Median delay ± error, and the share found within so many labels where it is below 1."""
    if not firsts:
        return "-"
    value, error = median(firsts)
    found = within(firsts, found_within)
    text = "never" if not np.isfinite(value) else f"{value:.0f}"
    if np.isfinite(value):
        text += f" ± {error:.0f}" if np.isfinite(error) else " ± -"
    return text if all(found) else f"{text} [{share_alone(found)}]"
