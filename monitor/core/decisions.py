"""Decisions: what a team does with a score, and what each of the two errors costs it.

Guarantees: plain immutable values with the cutoffs that follow for honest scores. Must never:
look at a label.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """A cutoff, and what hangs on it; costs are in a unit of the team's own.

    cutoff: predictions with a score above it are acted on; 0 acts on all, 1 on none.
    cost_false_positive: of acting where the outcome is 0; cost_false_negative: of not acting where
    it is 1; cost_review: of a person's look at one prediction.
    review_from, review_to: scores in (review_from, review_to] go to a person.
    reviews_per_day: how many predictions the reviewers can look at in a day.
    tolerance: how much more than the best cutoff the present one may cost, as a share of it.
    look_again_every: how often the cutoff is to be looked at.
    source: of an LLM's confidences the one that the cutoff is put on. corroborated_by: another
    source that must be above the cutoff too.
    """

    cutoff: float
    cost_false_positive: float
    cost_false_negative: float
    cost_review: float | None = None
    review_from: float | None = None
    review_to: float | None = None
    reviews_per_day: float | None = None
    tolerance: float = 0.1
    look_again_every: timedelta = timedelta(days=30)
    source: str | None = None
    corroborated_by: str | None = None

    @property
    def calibrated_cutoff(self) -> float:
        """The best cutoff of honest scores: acting pays above it (Elkan 2001, eq. 2)."""
        return self.cost_false_positive / (self.cost_false_positive + self.cost_false_negative)

    @property
    def calibrated_band(self) -> tuple[float, float] | None:
        """Honest scores whose error is expected to cost more than a review, or None.

        A reviewer is taken to be right: a review of score p saves min(p c_fn, (1 - p) c_fp).
        """
        if self.cost_review is None:
            return None
        low = self.cost_review / self.cost_false_negative
        high = 1 - self.cost_review / self.cost_false_positive
        return (low, high) if low < high else None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values: the span in seconds; sources only where one is named."""
        found = asdict(self) | {"look_again_every": self.look_again_every.total_seconds()}
        return {k: v for k, v in found.items() if v is not None or k not in _SOURCES}


_SOURCES = ("source", "corroborated_by")
