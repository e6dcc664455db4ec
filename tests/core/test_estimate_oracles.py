"""Real streams: estimates against other packages' figures from the raw rows, thirds and windows."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.measures.auroc import auroc_interval
from monitor.core.measures.debiased_ece import debiased_ece
from monitor.core.measures.ece_interval import rms_calibration_error
from monitor.core.measures.equal_mass_ece import equal_mass
from monitor.core.measures.metrics import metrics, reliability_bins
from monitor.core.measures.smooth_ece import smooth_ece
from monitor.core.measures.usefulness import Use, usefulness
from tests.core.test_oracles import CASES, DATA, oracle, raw_auroc, rows, span_counts, span_rows

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded streams do not lie beside this checkout"
)
MODELS = sorted({case[:2] for case in CASES})
SCORES_AT_1 = {"gpt-3.5-turbo", "gpt-4-turbo", "qa-endpoint"}
SMOOTH_TOLERANCE = 1e-3
WINDOW = 1000


@cache
def windows(stream: str, model: str) -> list[tuple[str, int, float, float, float]]:
    text = (DATA / stream / "oracle.json").read_text(encoding="utf-8")
    return [tuple(each) for each in json.loads(text)["models"][model]["windows1000"]]


@pytest.mark.parametrize(("stream", "model"), MODELS)
def test_windows_of_a_thousand_labels(stream: str, model: str) -> None:
    score, outcome = rows(stream, model)
    recorded = windows(stream, model)
    assert recorded or len(score) < WINDOW
    for k, (_, n, mean_score, base_rate, ece) in enumerate(recorded):
        cut = slice(k * WINDOW, k * WINDOW + n)
        found = metrics(BinCounts.from_rows(score[cut], outcome[cut]))
        assert found.n == n
        assert found.mean_score == pytest.approx(mean_score, abs=1e-9)
        assert found.base_rate == pytest.approx(base_rate, abs=1e-9)
        assert found.ece_15 == pytest.approx(ece, abs=1e-9)


@pytest.mark.parametrize("bins", [10, 15, 20])
@pytest.mark.parametrize(("stream", "model", "span"), CASES)
def test_equal_mass_ece_is_that_of_the_rows_within_its_bound(
    stream: str, model: str, span: str, bins: int
) -> None:
    found = equal_mass(span_counts(stream, model, span), bins)
    raw = oracle(stream, model)[span][f"ece_em{bins}_arraysplit"]
    assert abs(found.ece - raw) <= found.resolution + 1e-9
    # The bound is for the worst rows; these are ordinary, and nearer.
    n = len(span_rows(stream, model, span)[0])
    assert found.ece == pytest.approx(raw, abs=0.004 + 0.7 / math.sqrt(n))


@pytest.mark.parametrize(("stream", "model", "span"), CASES)
def test_smooth_ece_is_that_of_the_authors_package(stream: str, model: str, span: str) -> None:
    found = smooth_ece(span_counts(stream, model, span))
    recorded = oracle(stream, model)[span]["smece_relplot"]
    if model in SCORES_AT_1:
        # relplot halves the weight of scores at 1 (see test_smooth_ece.py): by the definition,
        # residuals of one sign give the gap, whatever the bandwidth.
        score, outcome = span_rows(stream, model, span)
        assert found.value == pytest.approx(float((score - outcome).mean()), abs=SMOOTH_TOLERANCE)
    else:
        assert found.value == pytest.approx(recorded, abs=SMOOTH_TOLERANCE)


@pytest.mark.parametrize(("stream", "model", "span"), CASES)
def test_rms_error_is_that_of_uncertainty_calibration(stream: str, model: str, span: str) -> None:
    # Its equal-mass bins are cut from rows, ours from micro-bins, and 25 labels or more.
    found = rms_calibration_error(span_counts(stream, model, span))
    recorded = oracle(stream, model)[span]["rmsce_debiased_uncertainty_calibration_em15"]
    assert found.low - 0.005 <= recorded <= found.high
    # Mean squares of an honest model over 15 bins have a standard deviation of up to 1.4 / n
    # (weighted chi-square, variance 1/4); two ways to cut differ by at most 3 sqrt(2) times that.
    n = len(span_rows(stream, model, span)[0])
    assert found.value**2 == pytest.approx(recorded**2, abs=6 / n + 0.1 * recorded**2)


@pytest.mark.parametrize(("stream", "model", "span"), CASES)
def test_every_calibration_error_lies_below_the_rms_interval_s_end(
    stream: str, model: str, span: str
) -> None:
    counts = span_counts(stream, model, span)
    high = rms_calibration_error(counts).high
    assert debiased_ece(counts).value <= high
    assert equal_mass(counts).debiased <= high


@pytest.mark.parametrize(("stream", "model", "span"), CASES)
def test_auroc_is_that_of_the_rows_within_its_bound(stream: str, model: str, span: str) -> None:
    found = auroc_interval(span_counts(stream, model, span))
    raw = raw_auroc(*span_rows(stream, model, span))
    assert raw == pytest.approx(oracle(stream, model)[span]["auc"], abs=1e-9)
    assert abs(found.value - raw) <= found.resolution + 1e-9
    assert found.low < raw < found.high


@pytest.mark.parametrize(("stream", "model"), MODELS)
def test_real_models_are_useful(stream: str, model: str) -> None:
    assert usefulness(span_counts(stream, model, "overall")).use is Use.USEFUL


@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_agrees_on_any_rows(seed: int) -> None:
    sk_metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in the demo extra")
    sk_calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(seed)
    score = rng.beta(0.7, 1.5, 2000)
    outcome = rng.random(2000) < score**1.3
    counts = BinCounts.from_rows(score, outcome)
    found = metrics(counts)
    rate, mean = sk_calibration.calibration_curve(outcome, score, n_bins=20)
    held = np.array([each.n for each in reliability_bins(counts, 20)])
    share = held[held > 0] / 2000
    assert found.ece_20 == pytest.approx(float(share @ np.abs(rate - mean)), abs=1e-9)
    assert found.brier == pytest.approx(sk_metrics.brier_score_loss(outcome, score), abs=1e-9)
    rank = auroc_interval(counts)
    assert abs(rank.value - sk_metrics.roc_auc_score(outcome, score)) <= rank.resolution
