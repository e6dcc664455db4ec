"""The report's JSON contract and its table for people."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.logistic import logit, sigmoid
from monitor.core.metrics import metrics
from monitor.core.reports import report_table, series_report, verdict_in_words

SERIES = Series("fraud", "7", "positive", "country=de")
ROWS = BinCounts.from_rows(
    np.array([0.05, 0.05, 0.35, 0.9, 0.95, 1.0]),
    np.array([False, True, False, True, True, True]),
    np.array([True, True, True, True, True, False]),
)
PROMISED_METRICS = {"ece_10", "ece_15", "ece_20", "mce_15", "ece_debiased", "brier", "log_loss"} | {
    "auroc",
    "mean_score",
    "base_rate",
    "slope",
    "intercept",
}


def drawn(n: int, *, shift: float = 0.0, slope: float = 1.0) -> BinCounts:
    rng = np.random.default_rng([n, 1])
    score = sigmoid(rng.normal(0.0, 1.5, n))
    return BinCounts.from_rows(score, rng.random(n) < sigmoid(shift + slope * logit(score)))


def test_the_json_holds_what_others_rely_on() -> None:
    report = series_report(SERIES, ROWS)
    assert {key: report[key] for key in ("model", "version", "claim", "segment", "n")} == {
        "model": "fraud",
        "version": "7",
        "claim": "positive",
        "segment": "country=de",
        "n": 5,
    }
    assert set(report) == {"model", "version", "claim", "segment", "n", "metrics", "bins"}
    assert set(report["metrics"]) >= PROMISED_METRICS
    assert "n" not in report["metrics"]
    assert [set(b) for b in report["bins"]] == [
        {"lower", "upper", "n", "mean_score", "observed", "ci_low", "ci_high"}
    ] * 15
    found = {name: value for name, value in asdict(metrics(ROWS)).items() if name != "n"}
    assert report["metrics"] == found


def test_versions_are_pooled_and_all_traffic_has_no_segment() -> None:
    report = series_report(Series("fraud", "7"), ROWS, pooled=True, with_coverage=True)
    assert (report["version"], report["segment"]) == (None, None)
    assert report["coverage"] == pytest.approx(5 / 6)


def test_bins_with_and_without_labels() -> None:
    first, second, *_ = series_report(SERIES, ROWS)["bins"]
    assert (first["lower"], first["upper"], first["n"]) == (0, 1 / 15, 2)
    assert (first["mean_score"], first["observed"]) == (0.05, 0.5)
    assert second == {
        "lower": 1 / 15,
        "upper": 2 / 15,
        "n": 0,
        "mean_score": None,
        "observed": None,
        "ci_low": None,
        "ci_high": None,
    }


@pytest.mark.parametrize("counts", [BinCounts.empty(), ROWS, drawn(1000)])
def test_the_report_is_strict_json(counts: BinCounts) -> None:
    report = series_report(SERIES, counts, with_coverage=True)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_without_labels_every_number_is_null() -> None:
    report = series_report(SERIES, BinCounts.empty(), with_coverage=True)
    assert (report["n"], report["coverage"]) == (0, None)
    assert set(report["metrics"].values()) == {None}
    assert {b["n"] for b in report["bins"]} == {0}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (BinCounts.empty(), "No labels"),
        (ROWS, "Honest within the interval"),
        (drawn(3000), "Honest within the interval"),
        (drawn(3000, shift=-0.8), "too high overall"),
        (drawn(3000, shift=0.8), "too low overall"),
        (drawn(3000, slope=0.4), "too extreme"),
        (drawn(3000, slope=2.5), "too timid"),
        (BinCounts.from_rows(np.full(500, 0.9), np.arange(500) % 2 == 0), "0.400 too high"),
    ],
)
def test_verdict_in_words(counts: BinCounts, words: str) -> None:
    said = verdict_in_words(series_report(SERIES, counts))
    assert words in said
    side = {"high": "Over", "extreme": "Over", "low": "Under", "timid": "Under"}
    expected = [start for phrase, start in side.items() if phrase in words]
    assert all(said.startswith(f"{start}confident, ") for start in expected)


def test_the_table_a_person_reads() -> None:
    counts = BinCounts.from_rows(
        np.repeat([0.1, 0.5, 0.9], 100), np.tile(np.arange(100) < 50, 3), np.arange(300) != 7
    )
    report = series_report(Series("fraud", "7"), counts, with_coverage=True)
    assert report_table(report) == EXPECTED


def test_names_from_outside_stay_on_their_line() -> None:
    report = series_report(Series("a\n# b", "1\x1b[2J", "c\td", "e\r=f"), ROWS)
    assert (
        report_table(report).splitlines()[0] == "### a # b, version 1 [2J, claim c d, segment e =f"
    )


def test_a_table_of_no_labels() -> None:
    text = report_table(series_report(Series("fraud", "7"), BinCounts.empty(), pooled=True))
    assert text.startswith("### fraud, all versions, claim positive\n\n0 labels.\nNo labels: ")
    assert "| AUROC                  | unknown" in text


EXPECTED = """\
### fraud, version 7, claim positive

299 labels, 99.7% of the predictions.
Few labels: read the intervals, not the numbers.
Overconfident, too extreme on both sides (slope 0.00): off by 0.265 on average (0.188 to 0.321).

`=` observed rate, `^` promised rate, `<<` promised rate outside the interval.

| score         |    labels | promised | observed | 95 % interval   | 0                  1 | off |
|---------------|----------:|---------:|---------:|-----------------|----------------------|-----|
| 0.067 - 0.133 |        99 |   0.1000 |   0.4949 | 0.3985 - 0.5918 | ==^=======           | <<  |
| 0.467 - 0.533 |       100 |   0.5000 |   0.5000 | 0.4038 - 0.5962 | ==========^          |     |
| 0.867 - 0.933 |       100 |   0.9000 |   0.5000 | 0.4038 - 0.5962 | ==========        ^  | <<  |

| metric                 | value                        |
|------------------------|------------------------------|
| ECE, debiased          | 0.2645 (0.1884 to 0.3212)    |
| ECE, 10 / 15 / 20 bins | 0.2645 / 0.2645 / 0.2645     |
| MCE, 15 bins           | 0.4000                       |
| Brier                  | 0.3552                       |
| log loss               | 1.0295                       |
| AUROC                  | 0.5022                       |
| mean score             | 0.5013                       |
| base rate              | 0.4983                       |
| slope                  | 0.0046 (-0.1219 to 0.1311)   |
| intercept              | -0.0067 (-0.2334 to 0.2200)  |
"""
