"""Claims side by side: what a table says, also of nothing; and the worst segment."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.counting.losses import Losses
from monitor.core.report.claim_tables import claim_tables, coverage_words, worst_segments
from monitor.core.report.reports import SeriesReport, series_report


def report(
    claim: str, n: int, positive: int, *, segment: str = "", score: float = 0.9
) -> SeriesReport:
    counts = BinCounts.from_rows(np.full(n, score), np.arange(n) < positive)
    losses = Losses(below=(n - positive) // 4, loss=3.0 * n, width=2.0 * n)
    return series_report(Series("m", "1", claim, segment), counts, losses=losses)


@pytest.mark.parametrize(
    ("claim", "n", "positive", "words"),
    [
        ("interval:0.9", 1000, 905, "as promised"),
        ("interval:0.9", 1000, 960, "too wide"),
        ("interval:0.9", 1000, 800, "too narrow, labels above"),
        ("quantile:0.9", 1000, 950, "too high"),
        ("quantile:0.9", 1000, 850, "too low"),
        ("interval:0.9", 0, 0, "no labels"),
    ],
)
def test_coverage_in_words(claim: str, n: int, positive: int, words: str) -> None:
    assert coverage_words(report(claim, n, positive)) == words


def test_metrics_of_a_kind_are_its_own() -> None:
    interval = report("interval:0.9", 1000, 800)["metrics"]
    assert (interval["coverage"], interval["interval_score"], interval["width"]) == (0.8, 3.0, 2.0)
    assert interval["below"] == pytest.approx(0.05)
    assert interval["above"] == pytest.approx(0.15)
    assert report("quantile:0.9", 10, 9)["metrics"]["pinball"] == 3.0
    assert report("top_label", 10, 9)["metrics"]["accuracy"] == 0.9
    assert "accuracy" not in report("positive", 10, 9)["metrics"]
    assert "coverage" not in report("class:a", 10, 9)["metrics"]


def test_each_model_has_a_table_for_each_kind_and_claims_of_nothing_are_unknown() -> None:
    names = ("confidence:judge", "confidence:a|b", "class:x", "quantile:0.9", "interval:0.9")
    tables = claim_tables([report(name, 0, 0) for name in names])
    assert [table.splitlines()[0].rpartition(": ")[2] for table in tables] == [
        "sources of confidence side by side", "classes side by side", "quantiles", "intervals"
    ]  # fmt: skip
    assert all("unknown" in table for table in tables)
    assert "a/b" in tables[0]
    assert claim_tables([report("positive", 10, 9)]) == []


def test_the_worst_segment_is_the_one_that_is_shown_to_be_furthest_off() -> None:
    segments = {"country=DE": (5000, 3500), "country=FR": (300, 195), "country=IT": (20, 0)}
    reports = [report("positive", *rows, segment=name) for name, rows in segments.items()]
    [said] = worst_segments([*reports, report("positive", 5000, 4500)])
    assert said.startswith("m, 1, positive: worst segment country=DE, off by 0.2")
    assert worst_segments([report("positive", 5000, 4500, segment="country=DE")]) == []
