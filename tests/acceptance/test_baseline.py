"""`calmon baseline accept|reset` as a person uses it, on a real database."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.policies import FirstLabels, Policy
from tests.synthetic import stream
from tests.typed import bare_environment, typed
from tests.watch.test_restarts import day
from tests.watch.watched import Watched

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from sqlalchemy import Engine


def calmon(engine: Engine, config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    url = engine.url.render_as_string(hide_password=False)
    environment = bare_environment() | {"CALMON_DATABASE_URL": url}
    return typed("baseline", *words, "--config", str(config), environment=environment)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "calmon.yaml"
    file.write_text("clock: event\n")
    return file


def test_a_person_accepts_a_drift_and_the_next_tick_resolves_it(
    engine: Engine, config: Path
) -> None:
    policy = Policy(baseline=FirstLabels(1000))
    watched = Watched.over(engine, stream(), policy)
    words = ("credit", "--author", "ann", "--reason", "new price list")
    done = calmon(engine, config, "accept", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "credit has not been judged yet" in done.stderr
    watched.tick(day(10))
    done = calmon(engine, config, "accept", *words)
    assert done.returncode == 2
    assert (
        "no drift of credit is open there; to give a baseline up, use `baseline reset`"
        in done.stderr
    )
    watched.tick(day(22))
    done = calmon(engine, config, "accept", *words, "--version", "4")
    assert "no series of credit is meant; there are: version 3" in done.stderr
    done = calmon(engine, config, "accept", "credit", "--author", "ann", "--reason", " ")
    assert "a decision needs a reason and an author" in done.stderr
    done = calmon(engine, config, "accept", *words, "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["series"] == [{"version": "3", "segment": None}]
    assert shown["decision"]["happened_at"] == "2026-01-23T00:00:00Z"
    # Taken just after the newest cohort that was judged without it, so a moment later.
    [judged] = watched.tick(day(22) + timedelta(seconds=1))
    assert judged.decision.alert == "resolved"
    assert "accepted as the new normal" in judged.decision.reason
    done = calmon(engine, config, "reset", *words)
    assert done.stdout == "reset: version 3; the next tick takes it\n"
    [judged] = watched.tick(day(22) + timedelta(seconds=2))
    assert judged.verdict.reason.startswith("Collecting a new baseline: 0 of 1000 labels since")
