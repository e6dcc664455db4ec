"""Proposals, decisions and what came of them, on a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from typer.testing import CliRunner, Result

from monitor.cli.root import app
from monitor.core.events import ChangeEvent, ChangeKind
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.policies import FirstLabels, Policy
from monitor.core.recalibration.artifact import loads
from tests.synthetic import stream
from tests.watch.test_restarts import day
from tests.watch.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Engine

    from monitor.watch.counting import Events


APPLIED_AT = day(22.5)


def mended() -> Events:
    """Scores that are too extreme from day 14 on, and honest again from day 22.5 on."""
    events = stream(days=40)
    is_mended = events.ts_ms >= APPLIED_AT.timestamp() * 1000
    honest = sigmoid(0.4 * logit(events.score))
    return replace(events, score=np.where(is_mended, honest, events.score))


def test_a_proposal_is_approved_applied_and_seen_to_help(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALMON_DATABASE_URL", engine.url.render_as_string(hide_password=False))

    def calmon(*words: str) -> Result:
        return CliRunner().invoke(app, ["recalibrate", *words], catch_exceptions=True)

    watched = Watched.over(engine, mended(), Policy(baseline=FirstLabels(1000)))
    done = calmon("credit")
    assert "no window of credit was judged yet" in str(done.exception)
    assert json.loads(calmon("list", "--json").stdout) == {"proposals": []}
    watched.tick(day(22))
    done = calmon("credit@3", "--json", "--out", "map.json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["proposal_id"] == 1
    # After a drift, the labels since the change alone.
    [(since, evaluation)] = watched.rows(
        "SELECT evidence ->> 'drift_since_at', evaluation_id FROM audit.evaluations "
        "WHERE segment = '' ORDER BY evaluated_at DESC LIMIT 1"
    )
    assert told["artifact"]["provenance"]["window_start_at"] == since
    assert told["in_time"]
    # Asked again it is the same proposal, and the file that was written.
    assert json.loads(calmon("credit", "--json").stdout)["proposal_id"] == 1
    stored = calmon("show", "1").stdout
    assert stored == (tmp_path / "map.json").read_text() == (
        tmp_path / "credit-3.recalibrator.json"
    ).read_text()  # fmt: skip
    made = loads(stored)
    words = ("--author", "ann", "--reason", "overconfident since March")
    assert "there is no proposal 7" in str(calmon("approve", "7", *words).exception)
    assert "needs a reason and an author" in str(
        calmon("approve", "1", "--author", "ann", "--reason", " ").exception
    )
    assert calmon("reject", "1", *words).stdout == "rejected: proposal 1, credit v3\n"
    approved = calmon("approve", "1", *words)
    assert f"names {made.sha256[:12]}" in approved.stdout
    assert "already approved, by ann" in str(calmon("approve", "1", *words).exception)
    assert watched.rows(
        "SELECT proposal_id, decision, author, reason FROM audit.recalibration_decisions"
    ) == [(1, "rejected", "ann", words[3]), (1, "approved", "ann", words[3])]
    assert watched.rows(
        "SELECT model, version, segment, method, sha256, evaluation_id "
        "FROM audit.recalibration_proposals"
    ) == [("credit", "3", "", str(made.method), made.sha256, evaluation)]
    said = f"map {made.sha256[:12]} applied"
    watched.announce(ChangeEvent("credit", "3", ChangeKind.RECALIBRATION, APPLIED_AT, said))
    watched.tick(day(23))
    [row] = json.loads(calmon("list", "credit", "--json").stdout)["proposals"]
    assert row["effect"]["after"] is None
    assert row["effect"]["words"] == "no verdict with labels from after the change yet"
    watched.tick(day(40))
    [row] = json.loads(calmon("list", "credit", "--json").stdout)["proposals"]
    effect = row["effect"]
    assert effect["applied_at"] == "2026-01-23T12:00:00Z"
    assert (
        effect["before"]["evaluated_at"] <= effect["applied_at"] < effect["after"]["evaluated_at"]
    )
    assert effect["words"].startswith("it helped: ECE 0.1")
    assert effect["ece"]["high"] < 0
    assert row["decided"]["decision"] == "approved"
    shown = calmon("list").stdout
    assert "approved" in shown
