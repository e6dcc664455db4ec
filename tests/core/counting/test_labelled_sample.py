"""The sample of labelled rows is a function of the rows, whatever their order and parts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.counting.labelled_sample import (
    CLAIMS_A_DAY,
    FEWEST_A_DAY,
    KEPT_DAYS,
    LabelledClaims,
    SampleDraft,
    drawn,
    sample_size,
)
from monitor.core.kinds import ClaimSet

if TYPE_CHECKING:
    from random import Random

SIZES = (1, 2, 3)
"""Predictions a day that are kept of each version; versions 0 and 1 are of one model."""


@dataclass(frozen=True)
class Row:
    version: int
    shard: int
    day: int
    key: int
    claim: int
    outcome: float | None

    @property
    def place(self) -> tuple[int, int, int, int]:
        return self.version // 2, self.shard, self.day, self.version

    @property
    def name(self) -> tuple[int, ...]:
        return *self.place, self.key, self.claim


Sample = dict[tuple[int, ...], float | None]


def columns(rows: list[Row]) -> LabelledClaims:
    def column(name: str) -> list[int]:
        return [getattr(row, name) for row in rows]

    version = np.array(column("version"), dtype=np.int32)
    return LabelledClaims(
        version // 2,
        np.array(column("shard"), dtype=np.int32),
        np.array(column("day"), dtype=np.int32),
        version,
        np.array(column("key"), dtype=np.uint64),
        np.array([10 * row.version + row.claim for row in rows], dtype=np.int32),
        np.array([SIZES[row.version] for row in rows], dtype=np.int32),
        np.array([row.key % 7 / 7 for row in rows]),
        np.array([np.nan if row.outcome is None else row.outcome for row in rows]),
    )


def as_dict(claims: LabelledClaims) -> Sample:
    names = ("model", "shard", "day", "version", "key", "series")
    found = zip(*(getattr(claims, name).tolist() for name in names), strict=True)
    outcomes = [None if np.isnan(y) else y for y in claims.outcome.tolist()]
    sample = {(*name, series % 10): y for (*name, series), y in zip(found, outcomes, strict=True)}
    assert len(sample) == len(claims)
    return sample


def expected(rows: list[Row]) -> Sample:
    """From scratch: by its words."""
    newest: dict[tuple[int, int], int] = {}
    for row in rows:
        pair = row.place[:2]
        newest[pair] = max(row.day, newest.get(pair, 0))
    kept = [row for row in rows if row.day > newest[row.place[:2]] - KEPT_DAYS]
    keys: dict[tuple[int, ...], set[int]] = {}
    for row in kept:
        keys.setdefault(row.place, set()).add(row.key)
    return {
        row.name: row.outcome
        for row in kept
        if row.key in sorted(keys[row.place])[: SIZES[row.version]]
    }


_rows = st.lists(
    st.builds(
        Row,
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([0, 0, 1, KEPT_DAYS - 1, KEPT_DAYS, KEPT_DAYS + 1]),
        st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 1]),
        st.integers(0, 1),
        st.sampled_from([0.0, 1.0, None]),
    ),
    max_size=30,
)
_cuts = st.lists(st.integers(0, 30), max_size=5)


def parts(rows: list[Row], cuts: list[int]) -> list[LabelledClaims]:
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    return [columns(rows[a:b]) for a, b in pairwise(ends)]


@given(_rows, _cuts)
def test_a_sample_of_samples_is_that_of_the_whole(rows: list[Row], cuts: list[int]) -> None:
    whole = expected(rows)
    assert as_dict(drawn([columns(rows)])) == whole
    assert as_dict(drawn(parts(rows, cuts))) == whole
    assert as_dict(drawn([drawn([part]) for part in parts(rows, cuts)])) == whole


@given(_rows, st.randoms(use_true_random=False), _cuts)
def test_order_and_repeats_change_nothing(rows: list[Row], random: Random, cuts: list[int]) -> None:
    """Of rows that say one thing each: which label holds is the join's to decide."""
    once = list({row.name: row for row in rows}.values())
    again = [*once, *once[: len(once) // 2]]
    random.shuffle(again)
    assert as_dict(drawn([drawn([part]) for part in parts(again, cuts)])) == expected(once)


@given(_rows, _cuts, st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_draft_leaves_out_nothing_that_belongs_to_the_sample(
    rows: list[Row], cuts: list[int], taken: list[bool]
) -> None:
    """Neither with what it saw from the start, nor with less, as after a restart."""
    draft, younger, held = SampleDraft(), SampleDraft(), LabelledClaims.empty()
    for number, part in enumerate(parts(rows, cuts)):
        draft.offer(part)
        if taken[number]:
            held = drawn([held, draft.take()])
        if number == 2:
            held = drawn([held, draft.take()])
            draft = younger
    held = drawn([held, draft.take()])
    assert as_dict(held) == expected(rows)
    assert not len(draft.take())


def test_a_draft_holds_no_more_than_may_be_wanted() -> None:
    draft = SampleDraft()
    for key in range(5):
        draft.offer(columns([Row(0, 0, 3, key, 0, 1.0)]))
        assert len(draft.take()) == (key == 0)


@pytest.mark.parametrize(
    ("claims", "size"),
    [
        (ClaimSet(), 0),
        (ClaimSet(quantiles=(0.05, 0.95)), 0),
        (ClaimSet(sources=("judge",)), 0),
        (ClaimSet(sources=("judge", "verbalized")), CLAIMS_A_DAY // 2),
        (ClaimSet(classes=("a", "b", "c")), CLAIMS_A_DAY // 3),
        (ClaimSet(classes=tuple(map(str, range(CLAIMS_A_DAY)))), FEWEST_A_DAY),
    ],
)
def test_rows_are_kept_where_something_needs_them(claims: ClaimSet, size: int) -> None:
    assert sample_size(claims) == size
