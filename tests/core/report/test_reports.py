"""The report's JSON contract and its table for people."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.measures.estimates import estimates, ranking
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.measures.metrics import metrics
from monitor.core.report.reports import report_table, series_report, verdict_in_words

SERIES = Series("fraud", "7", "positive", "country=de")
ROWS = BinCounts.from_rows(
    np.array([0.05, 0.05, 0.35, 0.9, 0.95, 1.0]),
    np.array([False, True, False, True, True, True]),
    np.array([True, True, True, True, True, False]),
)
PROMISED_METRICS = (
    {
        "ece_equal_mass",
        "ece_equal_mass_debiased",
        "ace",
        "rms_error",
        "rms_error_low",
        "rms_error_high",
        "smooth_ece",
        "auroc_low",
        "auroc_high",
        "sharpness",
        "resolution_share",
        "resolution_share_low",
        "resolution_share_high",
        "brier_reliability",
        "brier_resolution",
        "brier_uncertainty",
        "slope_se",
        "intercept_se",
    }
    | {"ece_10", "ece_15", "ece_20", "mce_15", "ece_debiased", "brier", "log_loss"}
    | {
        "auroc",
        "mean_score",
        "base_rate",
        "slope",
        "intercept",
    }
)


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
    promised = {"model", "version", "claim", "segment", "n", "metrics", "bins"}
    assert set(report) == promised | {"use", "use_reason", "warnings"}
    assert set(report["metrics"]) >= PROMISED_METRICS
    assert "n" not in report["metrics"]
    assert [set(b) for b in report["bins"]] == [
        {"lower", "upper", "n", "mean_score", "observed", "ci_low", "ci_high", "wrong"}
    ] * 15
    found = asdict(metrics(ROWS)) | asdict(estimates(ROWS)) | asdict(ranking(ROWS))
    # Five labels fill no two bins, so the variance explained is unknown.
    found |= dict.fromkeys((name for name in found if name.startswith("resolution_share")), None)
    found = {name: value for name, value in found.items() if name not in {"n", "use", "reason"}}
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
        "wrong": None,
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
        (ROWS, "Too few labels to tell: the error may be 0, and may be"),
        (drawn(3000), "Honest within the interval"),
        (drawn(3000, shift=-0.8), "too high overall"),
        (drawn(3000, shift=0.8), "too low overall"),
        (drawn(3000, slope=0.4), "too extreme"),
        (drawn(3000, slope=2.5), "too timid"),
        (BinCounts.from_rows(np.full(500, 0.9), np.arange(500) % 2 == 0), "0.400 too high"),
        (drawn(3000, slope=-0.5), "The wrong way round, the outcome comes where it is denied"),
        (
            BinCounts.from_rows(np.repeat([0.0, 1.0], 150), np.repeat([True, False], 150)),
            "Not honest, though right on the whole: off by 1.000",
        ),
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
    assert "| AUROC                            | unknown" in text


@pytest.mark.parametrize(
    ("counts", "use", "words"),
    [
        (BinCounts.empty(), "unknown", "unknown: no labels"),
        (drawn(3000), "useful", "The scores are calibrated as far as the labels can tell; they"),
        (
            BinCounts.from_rows(np.full(400, 0.25), np.arange(400) % 4 == 0),
            "useless",
            "calibrated as far as the labels can tell, but the model is useless",
        ),
        (
            BinCounts.from_rows(np.linspace(0.2, 0.3, 60), np.arange(60) % 4 == 0),
            "unproven",
            "60 labels do not show that they tell outcomes apart",
        ),
    ],
)
def test_a_calibrated_model_may_be_useless_and_is_called_so(
    counts: BinCounts, use: str, words: str
) -> None:
    report = series_report(SERIES, counts)
    assert report["use"] == use
    assert words in report["use_reason"]
    assert report["use_reason"] in report_table(report)


@pytest.mark.parametrize("n", [200, 350, 500])
@pytest.mark.parametrize("shift", [0.0, 1.2])
def test_a_few_hundred_labels_are_enough_to_be_told_something(n: int, shift: float) -> None:
    report = series_report(SERIES, drawn(n, shift=shift))
    text = report_table(report)
    assert "Few labels: read the intervals" in text or n >= 500
    assert ("Honest within the interval" in text) is (shift == 0)
    assert "unknown" not in text
    wrong = {b["wrong"] for b in report["bins"]} - {None}
    assert wrong == ({"underconfident"} if shift else set())
    assert ("No single bin is shown to be wrong" in text) is not shift
    low, high = report["metrics"]["rms_error_low"], report["metrics"]["rms_error_high"]
    assert low is not None
    assert high is not None
    assert (low > 0) is (shift > 0)


def test_labels_that_are_chosen_by_score_are_warned_of() -> None:
    rng = np.random.default_rng(8)
    cohorts = []
    for _ in range(5):
        score = rng.random(300)
        cohorts.append(BinCounts.from_rows(score, rng.random(300) < score, rng.random(300) < score))
    report = series_report(SERIES, sum(cohorts[1:], cohorts[0]), cohorts=cohorts)
    [warning] = report["warnings"]
    assert warning.startswith("Labels are selective")
    assert warning in report_table(report)


EXPECTED = """\
### fraud, version 7, claim positive

299 labels, 99.7% of the predictions.
Few labels: read the intervals, not the numbers.
Overconfident, too extreme on both sides (slope 0.00): off by 0.265 on average (0.188 to 0.321).
The scores are not calibrated, and the model is useless: its scores \
explain 0.0% of the outcome's variance (0.0% to 0.0%), AUROC 0.502 (0.437 to 0.567); \
a constant would do as well.
Wrong bins, all tested together: 0.067 to 0.133 too low; 0.867 to 0.933 too high.

`=` observed rate, `^` promised rate. Off: promised is outside this bin's own interval;
high, low: the scores are shown to be so, all bins tested together.

| score         |    labels | promised | observed | 95 % interval   | 0                  1 | off  |
|---------------|----------:|---------:|---------:|-----------------|----------------------|------|
| 0.067 - 0.133 |        99 |   0.1000 |   0.4949 | 0.3985 - 0.5918 | ==^=======           | low  |
| 0.467 - 0.533 |       100 |   0.5000 |   0.5000 | 0.4038 - 0.5962 | ==========^          |      |
| 0.867 - 0.933 |       100 |   0.9000 |   0.5000 | 0.4038 - 0.5962 | ==========        ^  | high |

| metric                           | value                        |
|----------------------------------|------------------------------|
| ECE, debiased                    | 0.2645 (0.1884 to 0.3212)    |
| RMS error, debiased              | 0.3204 (0.2645 to 0.3798)    |
| smooth ECE                       | 0.2372                       |
| ECE, raw, 10 / 15 / 20 bins      | 0.2645 / 0.2645 / 0.2645     |
| ECE, equal mass, raw / debiased  | 0.2645 / 0.2512              |
| ACE, 15 bins                     | 0.2650                       |
| MCE, 15 bins                     | 0.4000                       |
| mean score - base rate           | 0.5013 - 0.4983 = 0.0030     |
| slope (honest: 1)                | 0.0046 (-0.1219 to 0.1311)   |
| intercept (honest: 0)            | -0.0067 (-0.2334 to 0.2200)  |
| Brier                            | 0.3552                       |
| Brier: rel. - res. + uncertainty | 0.1052 - 0.0000 + 0.2500     |
| log loss                         | 1.0295                       |
| AUROC                            | 0.5022 (0.4373 to 0.5673)    |
| variance explained               | 0.0000 (0.0000 to 0.0000)    |
| sharpness                        | 0.1065                       |
"""
