"""Classes, sources and intervals of real streams equal their oracles, and are judged rightly."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.cli.event_files import read_events
from monitor.cli.file_reports import file_report
from monitor.cli.root import app
from monitor.core.kinds import ClaimSet
from monitor.core.policies import Policy
from monitor.core.recalibration.class_temperature import MOST_ROWS
from monitor.core.report.claim_tables import claim_tables
from monitor.core.verdicts import Direction
from monitor.watch.backtest import backtest
from monitor.watch.corroboration import agreement_words, agreements
from monitor.watch.counting import Events, count, series_reports
from monitor.watch.temperatures import temperature_words, temperatures
from tests.acceptance.product import SHARED

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.report.reports import SeriesReport
    from monitor.watch.backtest import BacktestAlert


def files(stream: str) -> tuple[Path, Path]:
    if not SHARED.is_dir():
        pytest.skip("the real streams (../shared/data) are not beside this checkout")
    return SHARED / stream / "predictions.parquet", SHARED / stream / "labels.parquet"


def oracle(stream: str, model: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHARED / stream / "oracle.json").read_text())
    overall: dict[str, Any] = found["models"][model]["overall"]
    return overall


def reported(stream: str) -> dict[tuple[str, str], SeriesReport]:
    reports = file_report(*files(stream), by_version=False).series
    return {(report["model"], report["claim"]): report for report in reports}


@pytest.fixture(scope="module")
def football() -> dict[tuple[str, str], SeriesReport]:
    return reported("football3")


@pytest.fixture(scope="module")
def bike() -> dict[tuple[str, str], SeriesReport]:
    return reported("bike_intervals")


def test_top_label_and_classes_equal_their_oracle(
    football: dict[tuple[str, str], SeriesReport],
) -> None:
    expected, model = oracle("football3", "football-elo-lr"), "football-elo-lr"
    top = football[model, "top_label"]["metrics"]
    assert football[model, "top_label"]["n"] == expected["n"]
    for ours, theirs in (
        ("accuracy", "accuracy"),
        ("mean_score", "mean_top_confidence"),
        ("ece_10", "top_ece_ew10_right"),
        ("ece_15", "top_ece_ew15_right"),
        ("ece_20", "top_ece_ew20_right"),
        ("mce_15", "top_mce_ew15_right"),
    ):
        assert top[ours] == pytest.approx(expected[theirs], abs=1e-9), ours
    for name, share in expected["class_share"].items():
        of_class = football[model, f"class:{name}"]["metrics"]
        assert of_class["base_rate"] == pytest.approx(share, abs=1e-9)
        assert of_class["mean_score"] == pytest.approx(expected["class_mean_prob"][name], abs=1e-9)
        assert of_class["ece_15"] == pytest.approx(
            expected["classwise_ece15_right"][name], abs=1e-9
        )
    briers = [football[model, f"class:{name}"]["metrics"]["brier"] for name in "ADH"]
    assert sum(b or 0 for b in briers) == pytest.approx(expected["brier_sum"], abs=1e-9)
    [table] = claim_tables(list(football.values()))
    assert f"mean over 3 classes: {expected['classwise_ece15_mean']:.4f}" in table


@pytest.mark.parametrize("model", ["bike-qgbm", "bike-qgbm-monthly"])
def test_quantiles_and_intervals_equal_their_oracle(
    bike: dict[tuple[str, str], SeriesReport], model: str
) -> None:
    expected = oracle("bike_intervals", model)
    for level, share in expected["below_or_equal"].items():
        found = bike[model, f"quantile:{level}"]["metrics"]
        assert found["coverage"] == pytest.approx(share, abs=1e-9)
        assert found["pinball"] == pytest.approx(expected["pinball"][level], abs=1e-6)
    for level, interval in expected["intervals"].items():
        found = bike[model, f"interval:{level}"]["metrics"]
        for ours, theirs in (
            ("coverage", "coverage_closed"),
            ("below", "below"),
            ("above", "above"),
            ("width", "mean_width"),
            ("interval_score", "interval_score"),
        ):
            tolerance = 1e-5 if ours in {"width", "interval_score"} else 1e-9
            assert found[ours] == pytest.approx(interval[theirs], abs=tolerance), (level, ours)


def test_one_temperature_for_the_classes_is_that_of_the_oracle() -> None:
    """On a uniform sample of half of the rows; the oracle's is on all of them."""
    [found] = temperatures(read_events(*files("football3")))
    expected = oracle("football3", "football-elo-lr")
    assert found.found.rows == MOST_ROWS
    assert found.found.temperature == pytest.approx(
        expected["temperature_on_log_p_clip1e-6"], abs=0.03
    )
    assert found.found.log_loss_before == pytest.approx(expected["nll_clip1e-15"], abs=0.01)
    assert "would make all classes' probabilities softer" in temperature_words(found)


def until(events: Events, end: datetime) -> Events:
    """Predictions and labels that came before `end`."""
    p, y = (ms < end.timestamp() * 1000 for ms in (events.ts_ms, events.label_ms))
    return Events(
        events.prediction_id[p], events.model[p], events.version[p], events.ts_ms[p],
        events.score[p], {}, events.label_id[y], events.label_model[y], events.label_ms[y],
        events.label[y], {name: values[p] for name, values in events.numbers.items()},
    )  # fmt: skip


def alerts(events: Events, policy: Policy) -> dict[tuple[str, str], list[BacktestAlert]]:
    fired: dict[tuple[str, str], list[BacktestAlert]] = {}
    for alert in backtest(events, lambda _: policy)[2]:
        series = alert.episode.series
        fired.setdefault((series.model, series.claim), []).append(alert)
    return fired


def test_the_top_label_of_football_is_quiet() -> None:
    """Four weeks at a time, to be quick; day by day it is quiet too."""
    month = Policy(cohort=timedelta(days=28), window=timedelta(days=112))
    assert ("football-elo-lr", "top_label") not in alerts(read_events(*files("football3")), month)


def test_the_falling_coverage_of_the_static_intervals_is_found() -> None:
    """Of one pair and the first months, to be quick; later it falls further."""
    events = until(read_events(*files("bike_intervals")), datetime(2012, 1, 1, tzinfo=UTC))
    found = alerts(events, Policy(claims=ClaimSet(quantiles=(0.05, 0.95))))
    first = found["bike-qgbm", "interval:0.9"][0]
    assert first.episode.direction is Direction.OVERCONFIDENT
    assert "are within the interval, and 90.0% are promised." in first.verdict.reason
    assert first.fired_at < datetime(2011, 11, 15, tzinfo=UTC)
    assert ("bike-qgbm-monthly", "interval:0.9") not in found


def sources() -> Events:
    """llm_msp with its real token probability, words that round it up, and a judge of noise."""
    events = read_events(*files("llm_msp"))
    rng = np.random.default_rng(5)
    words = np.minimum(1, np.ceil(events.score * 20) / 20 + 0.05)
    judge = np.where(rng.random(len(words)) < 0.3, np.nan, rng.random(len(words)).round(1))
    numbers = {"token_prob": events.score, "verbalized": words, "judge": judge}
    return replace(events, numbers={f"confidence_{k}": v for k, v in numbers.items()})


def test_sources_of_confidence_stand_side_by_side() -> None:
    events = sources()
    reports = series_reports(count(events, lambda _: Policy()), by_version=False)
    token = {r["model"]: r for r in reports if r["claim"] == "confidence:token_prob"}
    for model, report in token.items():
        expected = oracle("llm_msp", model)
        assert report["metrics"]["ece_15"] == pytest.approx(expected["ece_ew15_right"], abs=1e-9)
        assert report["metrics"]["brier"] == pytest.approx(expected["brier"], abs=1e-9)
        assert report["metrics"]["accuracy"] == pytest.approx(expected["base_rate"], abs=1e-9)
    judged = sum(r["n"] for r in reports if r["claim"] == "confidence:judge")
    assert judged == int((~np.isnan(events.numbers["confidence_judge"])).sum())
    tables = claim_tables(reports)
    assert len(tables) == len(token)
    assert all("verbalized (weak)" in t and "Put no decision on it alone" in t for t in tables)
    pairs = agreements(events)
    assert len(pairs) == 3 * len(token)
    with_words = pairs[0]
    assert (with_words.source, with_words.other) == ("token_prob", "verbalized")
    assert with_words.agree is not None
    assert 0.9 < with_words.agree.low < with_words.agree.value < with_words.agree.high
    assert "agree on" in agreement_words(with_words)


def test_one_file_of_each_kind_is_reported(tmp_path: Path) -> None:
    """As a person would begin: one file with labels, no configuration."""
    texts = {
        "classes.csv": "p_cat,p_dog,label\n" + "0.75,0.25,cat\n0.6,0.4,dog\n" * 200,
        "answers.csv": "confidence_verbalized,confidence_judge,label\n" + "1,0.5,1\n0.9,,0\n" * 200,
        "demand.csv": "q_0.05,q_0.5,q_0.95,label\n" + "1,5,9,5\n2,4,6,7.5\n" * 200,
    }
    said = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        done = CliRunner().invoke(app, ["report", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        said[name] = done.output
    assert "classes side by side" in said["classes.csv"]
    assert "right when above 0.5" in said["answers.csv"]
    assert "| 0.9   | 400" in said["demand.csv"]
    assert "too narrow, labels above" in said["demand.csv"]
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "answers.csv"), "--json"])
    found = json.loads(shown.output)
    [pair] = found["corroboration"]
    assert (pair["n"], pair["agree"]) == (200, 0.0)
    accuracy = {s["claim"]: s["metrics"]["accuracy"] for s in found["series"]}
    assert accuracy == {"confidence:judge": 1.0, "confidence:verbalized": 0.5}


def test_a_map_of_all_classes_at_once_is_told_of_where_it_is_to_be_had(tmp_path: Path) -> None:
    classes = tmp_path / "classes.csv"
    classes.write_text("p_cat,p_dog,label\n" + "0.75,0.25,cat\n0.6,0.4,dog\n" * 200)
    done = CliRunner().invoke(app, ["recalibrate", str(classes)])
    assert isinstance(done.exception, ValueError)
    assert "give --model, --version or --claim" in str(done.exception)
    assert "a temperature for all classes at once is no file" in str(done.exception)


def test_a_cutoff_is_put_on_the_claim_that_is_asked_for(tmp_path: Path) -> None:
    answers = tmp_path / "answers.csv"
    answers.write_text("confidence_judge,label\n" + "0.9,1\n0.2,0\n0.8,0\n" * 100)
    costs = ["--cutoff", "0.5", "--cost-false-positive", "1", "--cost-false-negative", "1"]
    done = CliRunner().invoke(app, ["threshold", str(answers), *costs])
    assert isinstance(done.exception, ValueError)
    assert "give --claim, --version or --segment of confidence:judge" in str(done.exception)
    words = ["threshold", str(answers), *costs, "--claim", "confidence:judge", "--json"]
    [found] = json.loads(CliRunner().invoke(app, words).output)["thresholds"]
    assert found["claim"] == "confidence:judge"
