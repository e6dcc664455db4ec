"""`calmon report` on the real streams equals what established packages computed on the raw rows."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.product import SHARED
from tests.typed import bare_environment, typed

TOLERANCES = {
    "ece_10": ("ece_ew10_right", 1e-9),
    "ece_15": ("ece_ew15_right", 1e-9),
    "ece_20": ("ece_ew20_right", 1e-9),
    "mce_15": ("mce_ew15_right", 1e-9),
    "brier": ("brier", 1e-9),
    "log_loss": ("log_loss_clip1e-15", 1e-6),
    "auroc": ("auc", 2e-3),
    "slope": ("calibration_slope", 5e-3),
    "intercept": ("calibration_intercept", 5e-3),
    "mean_score": ("mean_score", 1e-9),
    "base_rate": ("base_rate", 1e-9),
}


def report(*words: str) -> list[dict[str, object]]:
    done = typed("report", *words, "--json", environment=bare_environment())
    assert done.returncode == 0, done.stderr
    series: list[dict[str, object]] = json.loads(done.stdout)["series"]
    return series


@pytest.mark.parametrize("name", ["elec2", "games538", "nycflights", "llm_msp"])
def test_a_real_stream_equals_its_oracle(name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("the real streams (../shared/data) are not beside this checkout")
    folder = SHARED / name
    oracle = json.loads((folder / "oracle.json").read_text())["models"]
    found = report(str(folder / "predictions.parquet"), str(folder / "labels.parquet"))
    assert {series["model"] for series in found} == set(oracle) - {"__pooled__"}
    for series in found:
        expected, metrics = oracle[series["model"]]["overall"], series["metrics"]
        assert isinstance(metrics, dict)
        assert (series["n"], series["version"], series["segment"]) == (expected["n"], None, None)
        for key, (oracle_key, tolerance) in TOLERANCES.items():
            assert metrics[key] == pytest.approx(expected[oracle_key], abs=tolerance), key
        bins = series["bins"]
        assert isinstance(bins, list)
        assert sum(one["n"] for one in bins) == series["n"]


def test_one_file_of_scores_and_labels_is_enough(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("report") / "scored.csv"
    rows = [(0.9, 1), (0.9, 1), (0.9, 0), (0.1, 0), (0.1, 0)] * 60
    file.write_text("score,label\n" + "\n".join(f"{score},{label}" for score, label in rows))
    [series] = report(str(file))
    metrics = series["metrics"]
    assert isinstance(metrics, dict)
    assert series["n"] == 300
    assert metrics["ece_10"] == pytest.approx(0.6 * (0.9 - 2 / 3) + 0.4 * 0.1)
    assert metrics["base_rate"] == pytest.approx(0.4)
