"""`calmon threshold` and `calmon compare` as a person uses them: files, and a real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.decision.thresholds import CostCurve
from monitor.core.decisions import DecisionPolicy
from monitor.core.policies import FirstLabels, Policy
from monitor.watch.counting import count
from monitor.watch.labelled_rows import labelled_rows
from tests.acceptance.product import written
from tests.core.decision.test_comparing import too_extreme
from tests.synthetic import stream
from tests.typed import bare_environment, typed
from tests.watch.test_restarts import day
from tests.watch.watched import Watched

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from sqlalchemy import Engine

COSTS = ("--cutoff", "0.5", "--cost-false-positive", "1", "--cost-false-negative", "20")


def calmon(*words: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
    database = {} if url is None else {"CALMON_DATABASE_URL": url}
    return typed(*words, environment=bare_environment() | database)


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, Path]:
    pairs = too_extreme(np.random.default_rng(1), 2000)
    files = tmp_path / "first.csv", tmp_path / "second.csv"
    for file, score in zip(files, (pairs.score_a, pairs.score_b), strict=True):
        rows = (
            f"{i},{s},{int(y)}\n" for i, (s, y) in enumerate(zip(score, pairs.outcome, strict=True))
        )
        file.write_text("prediction_id,score,label\n" + "".join(rows))
    return files


def test_two_files_with_the_same_ids_are_compared_in_pairs(two_files: tuple[Path, Path]) -> None:
    first, second = (str(file) for file in two_files)
    done = calmon("compare", first, second, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["paired"], told["n_a"], told["more_honest"]) == (True, 2000, first)
    said = calmon("compare", first, second, *COSTS).stdout.splitlines()
    assert said[0].startswith(f"{first} is the more honest")
    assert "Decisions cost less" in " ".join(said) or "not shown to differ" in " ".join(said)


def test_what_a_file_holds_does_not_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("score,label\n0.5,1,\x1b[31m\n")
    done = calmon("threshold", str(file), *COSTS)
    assert done.returncode == 2
    assert done.stderr.endswith("0.5,1,\\x1b[31m\n")


def test_a_file_says_what_its_cutoff_costs(two_files: tuple[Path, Path]) -> None:
    file = str(two_files[0])
    done = calmon("threshold", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--cutoff, --cost-false-positive and --cost-false-negative" in done.stderr
    done = calmon("threshold", file, *COSTS, "--json")
    assert done.returncode == 1, done.stderr
    [told] = json.loads(done.stdout)["thresholds"]
    assert told["standing"]["too_costly"]
    done = calmon("threshold", str(file), *COSTS[:-1], "1e308")
    assert "a cost of 1e+308 is no cost; give a number above 0, at most 1e+12" in done.stderr
    fine = ("--cutoff", "0.5", "--cost-false-positive", "1", "--cost-false-negative", "1")
    assert calmon("threshold", file, *fine).returncode == 0


def test_a_running_monitor_is_asked_for_the_window_of_its_newest_verdict(
    engine: Engine, tmp_path: Path
) -> None:
    decision = DecisionPolicy(0.5, 1.0, 20.0)
    policy = Policy(baseline=FirstLabels(1000), decision=decision)
    watched = Watched.over(engine, stream(), policy)
    config = tmp_path / "calmon.yaml"
    config.write_text(
        "clock: event\n"
        "defaults: {decision: {cutoff: 0.5, cost_false_positive: 1, cost_false_negative: 20}}\n"
    )
    url = engine.url.render_as_string(hide_password=False)
    asked = ("threshold", "credit", "--config", str(config), "--json")
    done = calmon(*asked, url=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no window of credit was judged yet" in done.stderr
    given = watched.tick(day(22))
    newest = [judged.verdict for judged in given if judged.verdict.series.segment == ""][-1]
    evidence = newest.evidence.decision
    assert evidence is not None
    done = calmon(*asked, url=url)
    assert done.returncode == (1 if evidence.too_costly else 0), done.stderr
    [told] = json.loads(done.stdout)["thresholds"]
    # The verdict's own window and figures, bit for bit.
    assert told["standing"]["reason"] == evidence.reason
    assert told["standing"]["cost"] == evidence.cost
    assert told["predictions_per_day"] > 0
    assert told["look_again_at"] > "2026-01-23"
    done = calmon("compare", "credit", "credit@3", "--config", str(config), "--json", url=url)
    assert done.returncode == 0, done.stderr
    same = json.loads(done.stdout)
    assert (same["paired"], same["more_honest"]) == (False, None)
    done = calmon("compare", "credit", "nobody", "--config", str(config), url=url)
    assert done.returncode == 2
    assert "no window of nobody was judged yet" in done.stderr


def test_predictions_with_their_labels_are_compared_and_cut_as_they_are_counted(
    tmp_path: Path,
) -> None:
    events = stream()
    model, version = str(events.model[0]), str(events.version[0])
    rows = labelled_rows(events, model)
    counted = count(events, lambda _: Policy()).cells.counts()
    assert np.array_equal(rows.counts().labelled, counted.labelled)
    assert np.array_equal(rows.counts().positive, counted.positive)
    predictions, labels = written(events, tmp_path)
    done = calmon("threshold", str(predictions), str(labels), *COSTS, "--json")
    [told] = json.loads(done.stdout)["thresholds"]
    cost = CostCurve.of(BinCounts(counted.sums), DecisionPolicy(0.5, 1.0, 20.0)).at(0.5).cost
    assert told["present"]["cost"] == pytest.approx(cost)
    files = ("--predictions", str(predictions), "--labels", str(labels))
    done = calmon("compare", model, f"{model}@{version}", *files, "--json")
    assert done.returncode == 0, done.stderr
    same = json.loads(done.stdout)
    assert (same["paired"], same["n_a"]) == (True, len(rows.score))
    done = calmon("compare", model, "nobody", *files)
    assert done.returncode == 2
    assert "no labelled predictions of nobody" in done.stderr
