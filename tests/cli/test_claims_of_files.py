"""`calmon compare` and `threshold` on files of every kind of confidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.cli.root import app

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

N = 400


def run(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code != 0
    return str(done.exception)


def write(path: Path, header: str, *columns: Iterable[object]) -> str:
    rows = zip(*columns, strict=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
    return str(path)


@pytest.fixture
def answers(tmp_path: Path) -> str:
    rng = np.random.default_rng(1)
    judge = rng.beta(2, 1, N).round(3)
    right = (rng.random(N) < judge).astype(int)
    sure = np.full(N, 0.97)
    header = "confidence_judge,confidence_verbalized,label"
    return write(tmp_path / "answers.csv", header, judge, sure, right)


def test_two_sources_of_one_model_are_compared_answer_by_answer(answers: str) -> None:
    claims = "confidence:judge", "confidence:verbalized"
    found = run("compare", answers, "--claim", claims[0], "--against", claims[1])
    assert (found["a"], found["b"], found["paired"], found["n_a"]) == (*claims, True, N)
    assert found["more_honest"] == claims[0]
    metrics = {each["metric"] for each in found["differences"]}  # type: ignore[attr-defined]
    # Which answers are right does not hang on who is asked how sure to be.
    assert metrics == {
        "brier", "reliability", "resolution", "uncertainty", "ece_debiased", "auroc"
    }  # fmt: skip


def test_what_is_not_said_of_claims_is_asked_for(answers: str, tmp_path: Path) -> None:
    assert "or two claims of one: --claim" in refused("compare", answers)
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "answers.csv").read_text())
    assert "give --claim, one of confidence:judge" in refused("compare", answers, str(other))
    against = ("--against", "confidence:judge")
    assert "give A's with --claim" in refused("compare", answers, *against)
    claim = ("--claim", "confidence:votes", *against)
    assert "makes no claim confidence:votes" in refused("compare", answers, *claim)
    claim = ("--claim", "interval:0.9", "--against", "interval:0.8")
    assert "promise different things" in refused("compare", answers, *claim)


def classes(path: Path, sharper: float, *, ids: bool) -> str:
    """A model of three classes, its probabilities to the power `sharper`."""
    rng = np.random.default_rng(2)
    p = rng.dirichlet([1.5, 1, 1], N)
    label = ["abc"[rng.choice(3, p=row)] for row in p]
    own = p**sharper
    own = (own / own.sum(axis=1, keepdims=True)).round(6)
    own[:, 2] = (1 - own[:, 0] - own[:, 1]).round(6)
    columns = [*own.T.tolist(), label]
    if ids:
        return write(path, "p_a,p_b,p_c,label,prediction_id", *columns, range(N))
    return write(path, "p_a,p_b,p_c,label", *columns)


@pytest.mark.parametrize("ids", [True, False])
def test_multi_class_models_are_compared_by_their_top_labels(tmp_path: Path, *, ids: bool) -> None:
    files = [classes(tmp_path / f"{k}.csv", k, ids=ids) for k in (1.0, 2.5)]
    found = run("compare", *files)
    assert found["paired"] is ids
    assert found["more_honest"] == files[0]
    by_name = {each["metric"]: each for each in found["differences"]}  # type: ignore[attr-defined]
    # A power changes no top label.
    assert "accuracy" in by_name or ids
    assert run("compare", *files, "--claim", "class:a")["more_honest"] == files[0]


def test_two_kinds_are_not_compared_by_accident(tmp_path: Path) -> None:
    one = classes(tmp_path / "classes.csv", 1.0, ids=True)
    other = write(tmp_path / "scores.csv", "score,label", [0.3, 0.6] * 90, [0, 1] * 90)
    assert f"{one} claims top_label, {other} positive; give two" in refused("compare", one, other)


def quantiles(path: Path, width: float, shift: float = 0.0) -> str:
    """Forecasts of a unit normal, `width` times as wide as they should be."""
    rng = np.random.default_rng(3)
    mean = rng.normal(size=N)
    label = mean + rng.normal(size=N)
    low, high = ((mean + shift + side * 1.2816 * width).round(4) for side in (-1, 1))
    return write(path, "q_0.1,q_0.9,label,prediction_id", low, high, label.round(4), range(N))


def test_intervals_are_compared_by_coverage_and_score(tmp_path: Path) -> None:
    files = [quantiles(tmp_path / "right.csv", 1), quantiles(tmp_path / "narrow.csv", 0.4)]
    found = run("compare", *files, "--claim", "interval:0.8")
    assert (found["paired"], found["more_honest"]) == (True, files[0])
    by_name = {each["metric"]: each for each in found["differences"]}  # type: ignore[attr-defined]
    assert set(by_name) == {"coverage", "coverage_error", "interval_score", "width"}
    assert by_name["width"]["difference"] == pytest.approx(2 * 1.2816 * 0.6, abs=1e-3)
    assert by_name["interval_score"]["high"] < 0
    assert "loses less: interval score" in " ".join(found["words"])  # type: ignore[arg-type]
    found = run("compare", *files, "--claim", "quantile:0.1")
    assert found["more_honest"] == files[0]
    assert "pinball" in {each["metric"] for each in found["differences"]}  # type: ignore[attr-defined]
    said = refused("compare", *files)
    assert "give --claim, one of quantile:0.1, quantile:0.9, interval:0.8" in said


def test_crossed_quantiles_are_counted_as_stated_and_said(tmp_path: Path) -> None:
    file = quantiles(tmp_path / "crossed.csv", -1)
    found = run("report", file)
    assert found["crossed"] == [{"model": file, "crossed": N, "predictions": N}]
    said = CliRunner().invoke(app, ["report", file]).stdout
    assert "the quantiles of 400 of 400 predictions cross" in said
    assert run("report", quantiles(tmp_path / "right.csv", 1))["crossed"] == []


def test_too_few_rows_name_the_file(tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", "score,label", [0.3, 0.6] * 20, [0, 1] * 20)
    many = write(tmp_path / "many.csv", "score,label", [0.3, 0.6] * 90, [0, 1] * 90)
    assert refused("compare", many, few) == (
        f"{few}: 40 labelled rows to compare on; 100 are needed"
    )
    assert "make no claim top_label" in refused("compare", many, few, "--claim", "top_label")


def test_a_segment_that_a_file_has_not_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", "score,label", [0.3, 0.6] * 90, [0, 1] * 90)
    costs = ("--cutoff", "0.5", "--cost-false-positive", "1", "--cost-false-negative", "2")
    assert refused("threshold", file, *costs, "--segment", "foo") == (
        f"{file} has nothing with --segment foo that a decision hangs on; it has: all traffic"
    )
