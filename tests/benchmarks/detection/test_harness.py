"""The benchmark's own pieces: generators, rivals against plain loops, results that are kept."""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING

import numpy as np
import pytest
from river.drift import ADWIN

from monitor.core.detector.sequential import Detector
from monitor.core.measures.logistic import sigmoid
from tests.benchmarks.detection import pit_monitor, river_signals, rolling_ece, run, tables
from tests.benchmarks.detection.contest import OURS, Contestant, Row, digest, fingerprint
from tests.benchmarks.detection.contestants import FIRST_ALARMS
from tests.benchmarks.detection.main_table import ROWS
from tests.benchmarks.detection.ours import judge_with
from tests.benchmarks.detection.places import PAGE
from tests.benchmarks.detection.results import Results, record
from tests.benchmarks.detection.streams import (
    CHANGES,
    DAY_SHOCK,
    NULLS,
    SPREAD,
    Setting,
    ar_shocks,
    day_shocks,
    honest,
    season,
)
from tests.benchmarks.detection.summary import delay, median, share, within

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.detection.streams import Stream, Truth

GROSS = Setting(2000, 6000, after=lambda z: -z - 2)


@pytest.mark.parametrize("name", [*NULLS, *CHANGES])
def test_streams_have_the_base_rates_of_their_maps(name: str) -> None:
    before, centre = NULLS.get(name, (honest, 0.0))
    after = CHANGES.get(name, before)
    stream = Setting(40_000, 40_000, before, after, centre).draw(np.random.default_rng(1))
    halves: list[tuple[slice, Truth, float]] = [
        (slice(0, 40_000), before, 0.0),
        (slice(40_000, None), after, centre),
    ]
    z = np.random.default_rng(2).normal(0, SPREAD, 400_000)
    for half, truth, moved in halves:
        expected = sigmoid(truth(z + moved)).mean()
        assert stream.outcome[half].mean() == pytest.approx(expected, abs=0.011)
        assert stream.score[half].mean() == pytest.approx(sigmoid(z + moved).mean(), abs=0.008)


def test_wobbles_have_their_size_and_memory() -> None:
    rng = np.random.default_rng(1)
    iid, ar = day_shocks(rng, 20_000), ar_shocks(rng, 20_000)
    sine = season(100)(rng, 400)
    assert iid.std() == pytest.approx(DAY_SHOCK, rel=0.03)
    assert ar.std() == pytest.approx(DAY_SHOCK, rel=0.05)
    assert np.corrcoef(iid[1:], iid[:-1])[0, 1] == pytest.approx(0, abs=0.03)
    assert np.corrcoef(ar[1:], ar[:-1])[0, 1] == pytest.approx(0.7, abs=0.03)
    assert sine[:100] == pytest.approx(sine[100:200])
    assert np.ptp(sine) == pytest.approx(0.4, abs=0.001)


def test_cohorts_and_rows_are_the_same_labels() -> None:
    stream = Setting(1000, 1000).draw(np.random.default_rng(1))
    assert [counts.n_labelled for counts in stream.cohorts] == [250] * 8
    assert sum(counts.n_positive for counts in stream.cohorts) == stream.outcome.sum()


@pytest.mark.parametrize("name", [name for name in FIRST_ALARMS if "driftfdr" not in name])
def test_every_rival_alarms_when_scores_say_the_opposite(name: str) -> None:
    stream = GROSS.draw(np.random.default_rng(3))
    first = FIRST_ALARMS[name][0](stream.score, stream.outcome, stream.n_baseline)
    assert first is not None
    assert 0 < first <= 4000


def test_this_design_finds_it_in_the_first_batch() -> None:
    found = judge_with(Detector.from_baseline)(GROSS.draw(np.random.default_rng(3)))
    assert found["1e6"] == 250
    assert found["4e6"] == 250


def test_river_is_asked_label_by_label_behind_the_baseline() -> None:
    stream = GROSS.draw(np.random.default_rng(4))
    plain = ADWIN()  # type: ignore[no-untyped-call]  # river names no types here
    reports = []
    for at, (y, p) in enumerate(zip(stream.outcome, stream.score, strict=True), start=1):
        plain.update(abs(float(y) - float(p)))  # type: ignore[no-untyped-call]  # as above
        if plain.drift_detected and at > 2000:
            reports.append(at - 2000)
    signal = river_signals.absolute(stream.score, stream.outcome)
    asked = river_signals.first_alarm(river_signals.adwin, river_signals.absolute)
    assert reports
    assert river_signals.alarms(river_signals.adwin, signal, 2000) == reports
    assert asked(stream.score, stream.outcome, 2000) == reports[0]


def test_pit_monitor_is_its_recursion() -> None:
    rng = np.random.default_rng(5)
    pit = np.concatenate([rng.random(700), rng.beta(1, 3, 700)])
    u = np.random.default_rng(6).random(len(pit))
    counts, m, plain = np.ones(pit_monitor.BINS), 0.0, []
    for t in range(1, len(pit) + 1):
        p = (np.sum(pit[: t - 1] < pit[t - 1]) + u[t - 1]) / t
        which = min(int(p * pit_monitor.BINS), pit_monitor.BINS - 1)
        e = counts[which] / counts.sum() * pit_monitor.BINS
        counts[which] += 1
        m = e * (m + 1 / (t * (t + 1)))
        plain.append(np.log(m))
    fast = pit_monitor.log_m(pit, np.random.default_rng(6))
    assert fast == pytest.approx(np.array(plain), abs=1e-9)


def test_rolling_ece_is_the_ece_of_its_window() -> None:
    stream = Setting(0, 2000).draw(np.random.default_rng(7))
    score, outcome = stream.score[300:1300], stream.outcome[300:1300]
    plain = 0.0
    for b in range(10):
        held = (score >= b / 10) & (score < (b + 1) / 10)
        plain += abs((score[held] - outcome[held]).sum()) / 1000
    assert rolling_ece.rolling_ece(stream.score, stream.outcome, 1000)[3] == pytest.approx(plain)


def test_shares_and_medians_carry_their_errors() -> None:
    assert share([True] * 10 + [False] * 30) == ".25 ± .068"
    assert share([False] * 59) == ".00 (< .050)"
    assert within([None, 100, 101], 100) == [False, True, False]
    assert median([1, 2, 3, None]) == (2, np.inf)
    assert median([100] * 50 + [300] * 50)[0] == 100
    assert delay([250, 500, 500, 750, None], 5000).endswith("[.80]")


def _judge(stream: Stream) -> dict[str, float]:
    return {"first": float(stream.score.sum())}


def _row(spec: str = "1") -> Row:
    name = "tests.benchmarks.detection.streams"
    contestant = Contestant("sum", _judge, (name,), OURS)
    return Row("toy", "row", Setting(0, 100).draw, spec, (name,), (contestant,))


def _asked(runs: int) -> argparse.Namespace:
    return argparse.Namespace(runs=runs, rival_runs=0, first_run=0, only=None, but=[], who="all")


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", (_row(),))
    path = tmp_path / "results.jsonl"
    first = Results(path)
    todo = list(run.tasks(first, _asked(3)))
    assert len(todo) == 3
    run.measure(first, todo[:2], processes=1)
    with path.open("a") as file:
        file.write('{"digest": "cut off')
    again = Results(path)
    assert list(run.tasks(again, _asked(3))) == [(0, 2, (0,))]
    assert again.of(_row(), _row().contestants[0]) == [_judge(_row().stream(n)) for n in (0, 1)]


def test_other_parameters_are_other_results(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    row, contestant = _row(), _row().contestants[0]
    results.add([record(row, contestant, 0, {"first": 1.0})])
    assert results.has(row, contestant, 0)
    assert not results.has(_row("2"), contestant, 0)
    assert digest(row, contestant) == digest(_row(), contestant)


def test_comments_and_docstrings_are_no_change_of_code() -> None:
    plain = fingerprint(ast.parse('def f() -> int:\n    "Say one."\n    return 1\n'))
    assert fingerprint(ast.parse("def f() -> int:  # one\n    return 1\n")) == plain
    assert fingerprint(ast.parse("def f() -> int:\n    return 2\n")) != plain


def test_the_page_has_its_marks_and_rows_have_their_own_names() -> None:
    assert PAGE.read_text(encoding="utf-8").count("<!-- detection:") == 2
    assert len({row.slug for row in tables.ROWS}) == len(tables.ROWS) > len(ROWS)
