"""The join against a dictionary that does the same thing slowly, one event at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.counting.delay_cells import DelayCells
from monitor.core.counting.join import JoinIndex
from monitor.core.counting.series_table import SeriesTable
from monitor.core.counting.tallies import Tally, TallyKind
from monitor.core.panes import Cells
from tests.naive_join import (
    DAY_MS,
    NEGATIVE_SERIES,
    Dictionary,
    Event,
    Label,
    Prediction,
    as_dict,
    columns,
    delays_as_dict,
    series_table,
)

# On both sides of midnight: delays are counted by the day.
seconds = st.integers(0, 400) | st.integers(6_200, 6_600)
scores = st.sampled_from([0.0, 1.0, 0.3, 0.6, 0.7, 1e-9, 0.999999]) | st.floats(0, 1)
keys = st.integers(1, 6)
predictions = st.builds(
    Prediction,
    keys,
    st.sampled_from([0, 0, 1, 2]),
    st.integers(0, 400) | st.integers(6_200, 6_600),
    scores,
)
labels = st.builds(
    Label,
    keys,
    st.just(0),
    st.integers(0, 1600) | st.integers(6_200, 7_800),
    st.sampled_from([0.0, 1.0, float("nan")]),
)
streams = st.lists(predictions | labels, max_size=40)


@settings(max_examples=300, deadline=None)
@given(events=streams, data=st.data())
def test_equals_a_dictionary_for_any_interleaving_and_batch_split(
    events: list[Event], data: st.DataObject
) -> None:
    index, naive = JoinIndex(series_table()), Dictionary(negative=NEGATIVE_SERIES)
    total, delays = Cells.empty(), DelayCells.empty()
    at = 0
    while at < len(events):
        size = data.draw(st.integers(1, len(events) - at))
        batch = events[at : at + size]
        applied = index.apply(*columns(batch))
        total = Cells.merge([total, applied.cells])
        delays = DelayCells.merge([delays, applied.delays])
        naive.feed(batch)
        at += size
    assert as_dict(total) == naive.counts()
    assert delays_as_dict(delays) == naive.delays()


@settings(max_examples=200, deadline=None)
@given(events=streams, cut=st.integers(0, 40))
def test_durable_events_rebuild_the_same_index(events: list[Event], cut: int) -> None:
    first, rest = events[:cut], events[cut:]
    index, rebuilt = JoinIndex(series_table()), JoinIndex(series_table())
    replayed = []
    for event in first:
        applied = index.apply(*columns([event]))
        replayed.append(rebuilt.apply(applied.predictions, applied.labels))
        assert replayed[-1].cells == applied.cells
        assert replayed[-1].delays == applied.delays
    one = index.apply(*columns(rest))
    other = rebuilt.apply(*columns(rest))
    assert one.cells == other.cells
    assert one.delays == other.delays
    assert one.tallies == other.tallies


@settings(max_examples=200, deadline=None)
@given(events=streams)
def test_tallies_do_not_depend_on_the_batches(events: list[Event]) -> None:
    ordered = sorted(events, key=lambda event: isinstance(event, Label))
    whole = JoinIndex(series_table()).apply(*columns(ordered)).tallies
    index = JoinIndex(series_table())
    single: Counter[Tally] = Counter()
    for event in ordered:
        single += index.apply(*columns([event])).tallies
    assert whole == single


ONE = Prediction(1, 0, 0, 0.7)


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ([ONE, ONE], {TallyKind.DUPLICATE_PREDICTION: 1}),
        ([ONE, Label(1, 0, 9, 1.0), Label(1, 0, 9, 1.0)], {TallyKind.DUPLICATE_LABEL: 1}),
        ([ONE, Label(1, 0, 9, 1.0), Label(1, 0, 10, 0.0)], {TallyKind.CORRECTED_LABEL: 1}),
        ([ONE, Label(1, 0, 9, 1.0), Label(1, 0, 10, np.nan)], {TallyKind.RETRACTED_LABEL: 1}),
        ([ONE, Label(1, 0, 9, 1.0), Label(1, 0, 8, 0.0)], {TallyKind.STALE_LABEL: 1}),
        ([ONE, Label(1, 0, 101, 1.0)], {TallyKind.LATE_LABEL: 1}),
        ([ONE, Label(1, 0, 1001, 1.0)], {TallyKind.EXPIRED_LABEL: 1}),
        ([Label(1, 0, 1001, 1.0), ONE], {TallyKind.EXPIRED_LABEL: 1}),
        ([Label(1, 0, 9, 1.0), ONE], {}),
    ],
)
def test_every_event_that_does_not_simply_count_is_tallied(
    events: list[Event], kinds: dict[TallyKind, int]
) -> None:
    index = JoinIndex(series_table())
    tallies: Counter[Tally] = Counter()
    for event in events:
        tallies += index.apply(*columns([event])).tallies
    assert tallies == {Tally(kind, 0, 0): n for kind, n in kinds.items()}


def test_eviction_forgets_old_rows_and_tallies_labels_that_never_matched() -> None:
    index = JoinIndex(series_table())
    index.apply(*columns([ONE, Label(2, 1, 5, 1.0), Label(2, 1, 6, 0.0), Label(3, 0, 900, 1.0)]))
    cutoff_ms = np.array([[DAY_MS + 1_000, DAY_MS + 100_000]])
    tallies = index.evict(cutoff_ms)
    assert tallies == {Tally(TallyKind.UNMATCHED_LABEL, 1, -1): 2}
    assert len(index) == 1
    applied = index.apply(*columns([Prediction(3, 0, 850, 0.2)]))
    assert applied.cells.sums[:, 1].sum() == 1
    assert len(applied.cells) == 1


def test_eviction_before_any_prediction_is_known() -> None:
    index = JoinIndex(SeriesTable())
    index.apply(*columns([Label(1, 0, 5, 1.0), Label(2, 0, 50, 1.0)]))
    tallies = index.evict(np.array([[DAY_MS + 20_000]]))
    assert tallies == {Tally(TallyKind.UNMATCHED_LABEL, 0, -1): 1}
    assert len(index) == 1


def test_a_correction_at_the_same_time_as_an_older_label_is_durable() -> None:
    """Found by a crash test: it equals the late label in force, but not the one it replaces."""
    before: list[Event] = [Prediction(1, 0, 0, 0.5), Label(1, 0, 50, 1.0), Label(1, 0, 500, 0.0)]
    index = JoinIndex(series_table())
    for event in before:
        index.apply(*columns([event]))
    applied = index.apply(*columns([Label(1, 0, 50, 0.0)]))
    assert len(applied.labels) == 1


def test_waiting_labels_of_one_time_are_kept_in_their_order() -> None:
    """Found by a crash test: 1, retracted, 1 again, all before the prediction."""
    index, naive = JoinIndex(series_table()), Dictionary(negative=NEGATIVE_SERIES)
    events: list[Event] = [Label(1, 0, 9, label) for label in (1.0, float("nan"), 1.0, 1.0)]
    events.append(Prediction(1, 0, 0, 0.5))
    cells = Cells.merge([index.apply(*columns([event])).cells for event in events])
    naive.feed(events)
    assert as_dict(cells) == naive.counts()
    assert cells.sums[:, 1].sum() == 1


def test_the_share_of_old_rows_is_estimated_from_a_sample() -> None:
    index = JoinIndex(series_table())
    assert index.share_evictable(np.array([[DAY_MS, DAY_MS]])) == 0
    index.apply(*columns([Prediction(key, 0, key % 100, 0.5) for key in range(6000)]))
    cutoff_ms = np.array([[DAY_MS + 30_000, DAY_MS]])
    assert index.share_evictable(cutoff_ms) == pytest.approx(0.3, abs=0.02)
    index.evict(cutoff_ms)
    assert len(index) == 4200
    assert index.share_evictable(cutoff_ms) == 0
