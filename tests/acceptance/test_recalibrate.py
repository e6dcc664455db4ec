"""`calmon recalibrate` as a person uses it: files, and a real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monitor.cli.root import app
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.recalibration.artifact import load

if TYPE_CHECKING:
    from pathlib import Path


def calmon(*words: str) -> Result:
    return CliRunner().invoke(app, ["recalibrate", *words])


def written(file: Path, slope: float, *, times: bool = True, models: int = 1) -> Path:
    """Twenty days of scores whose outcomes have `slope` times their logit."""
    rng = np.random.default_rng(7)
    score = sigmoid(rng.normal(0, 1.5, 4000))
    outcome = rng.random(4000) < sigmoid(slope * logit(score))
    rows = [
        f"{s},{int(y)},{1_767_225_600_000 + i * 432_000},m{i % models}"
        for i, (s, y) in enumerate(zip(score, outcome, strict=True))
    ]
    head = "score,label,ts,model"
    if not times:
        head, rows = "score,label", [",".join(row.split(",")[:2]) for row in rows]
    file.write_text("\n".join([head, *rows]))
    return file


def test_a_map_is_written_that_the_library_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "scored.csv", 0.5)
    done = calmon("scored.csv", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    made = load(told["file"])
    assert told["file"] == "m0.recalibrator.json"
    assert told["artifact"]["sha256"] == made.sha256
    assert told["in_time"]
    assert told["shock"] < 0.15
    assert told["artifact"]["provenance"]["window_start_at"] == "2026-01-01T00:00:00Z"
    assert told["changes"]["log_loss"]["high"] < 0
    assert made(0.9) == pytest.approx(float(sigmoid(0.5 * logit(np.array(0.9)))), abs=0.03)
    # The same labels give the same file.
    before = (tmp_path / told["file"]).read_text()
    assert calmon("propose", "scored.csv").exit_code == 0
    assert (tmp_path / told["file"]).read_text() == before


def test_words_say_what_is_proposed_and_that_the_ranking_stays(tmp_path: Path) -> None:
    file, out = written(tmp_path / "scored.csv", 0.5, times=False), tmp_path / "to.json"
    done = calmon(str(file), "--method", "platt", "--out", str(out))
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    assert said[0].startswith("scored.csv: Platt is shown to help: log loss 0.")
    assert "The ranking is untouched: AUROC 0." in said[2]
    assert "drawn at random" in said[3]
    assert f"Written: {out} (sha256 {load(out).sha256[:12]})." in said[-1]


def test_where_nothing_helps_nothing_is_written(tmp_path: Path) -> None:
    file, out = written(tmp_path / "honest.csv", 1.0), tmp_path / "to.json"
    done = calmon("--out", str(out), str(file))
    assert done.exit_code == 1
    assert "Nothing is proposed. None of them is shown to help (temperature, Platt" in done.stdout
    assert not out.exists()


def test_what_cannot_be_is_said_with_the_mend(tmp_path: Path) -> None:
    file = written(tmp_path / "two.csv", 0.5, models=2)
    done = calmon(str(file))
    assert isinstance(done.exception, ValueError)
    assert "give --model, --version or --claim; there are: m0 positive, m1 positive" in str(
        done.exception
    )
    out = tmp_path / "m1.json"
    assert calmon(str(file), "--model", "m1", "--out", str(out)).exit_code == 0
    assert load(out).provenance["model"] == "m1"
    good = written(tmp_path / "good.csv", 0.5)
    done = calmon(str(good), "--out", str(tmp_path / "none" / "to.json"))
    assert "to.json cannot be written: No such file or directory" in str(done.exception)
    before = good.read_bytes()
    done = calmon(str(good), "--out", str(good))
    assert "good.csv is the file that is read; give another one" in str(done.exception)
    assert good.read_bytes() == before
    few = tmp_path / "few.csv"
    few.write_text("score,label\n0.5,1\n0.4,0\n")
    done = calmon(str(few))
    assert "has too few labels to recalibrate by: " in str(done.exception)
