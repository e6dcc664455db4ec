"""The main job through real processes: replay, run, be killed, alert, report."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text

from monitor.cli.event_files import read_events
from monitor.core.policies import Policy
from monitor.store.panes import PaneStore
from monitor.watch.backtest import backtest, messages
from monitor.watch.counting import count
from tests.acceptance.product import (
    CHECKOUT,
    SHARED,
    counts_by_claim,
    product,
    written,
)
from tests.notify import slack_state, slack_stub
from tests.synthetic import stream

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.core.counting.losses import Losses
    from monitor.watch.counting import Counted
    from tests.servers import TestKafka


def expected_counts(counted: Counted) -> dict[tuple[str, str, str], bytes]:
    by_claim: dict[tuple[str, str, str], list[int]] = {}
    for index, s in counted.named.items():
        by_claim.setdefault((s.model, s.version, s.claim), []).append(index)
    return {
        whose: counted.cells.take(np.isin(counted.cells.series, indices)).counts().sums.tobytes()
        for whose, indices in by_claim.items()
    }


def expected_losses(counted: Counted) -> dict[tuple[str, str, str], Losses]:
    return {
        (s.model, s.version, s.claim): found.total()
        for index, s in counted.named.items()
        if len(found := counted.losses.take(counted.losses.series == index))
    }


def losses_by_claim(engine: Engine) -> dict[tuple[str, str, str], Losses]:
    panes = PaneStore(engine)
    named = panes.all_series()
    known = panes.losses.known(list(named))
    return {
        (s.model, s.version, s.claim): found.total()
        for index, s in named.items()
        if len(found := known.take(known.series == index))
    }


def evaluations(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT model, version, segment, evaluated_at, status, reason, evidence "
                 "FROM audit.evaluations ORDER BY evaluated_at, segment")
        )  # fmt: skip
        return [tuple(row) for row in rows]


def test_a_daemon_killed_again_and_again_counts_and_judges_as_a_backtest(
    kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    """kill -9 at random moments; then every count, verdict and alert equals the files' own."""
    events = stream()
    config = "defaults: {segments: [country]}\n"
    calmon = product(kafka, _url(engine), tmp_path, config)
    predictions, labels = written(events, tmp_path)
    total = len(events.score) + len(events.label)
    rng = random.Random(3)
    publisher = subprocess.Popen(
        [sys.executable, "-m", "monitor", "replay", str(predictions), str(labels), "--json"],
        env=calmon.environment,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(2):
        with calmon.running() as daemon:
            time.sleep(rng.uniform(3, 6))
            daemon.kill()
            daemon.wait()
    with calmon.running() as daemon:
        printed, _ = publisher.communicate(timeout=120)
        assert json.loads(printed) == {"published": total, "labels_without_prediction": 0}
        calmon.wait_for_messages(PaneStore(engine), total)
        policy = Policy(segments=("country",))
        counted, given, alerts = backtest(events, lambda _: policy)
        _wait_until_judged(engine, given[-1].verdict.evaluated_at.timestamp(), calmon.log)
        assert daemon.poll() is None
    while PaneStore(engine).fold():
        pass
    assert counts_by_claim(engine) == expected_counts(counted)
    found = evaluations(engine)
    assert [row[3:6] for row in found] == [
        (j.verdict.evaluated_at, str(j.verdict.status), j.verdict.reason) for j in given
    ][: len(found)]
    assert len(found) >= len(given) - 9
    assert found[-1][6] == given[len(found) - 1].verdict.as_json()["evidence"]
    with engine.connect() as connection:
        told = connection.execute(text("SELECT count(*) FROM audit.alerts")).scalar_one()
    assert told == len(messages(given, lambda _: policy, given[-1].verdict.evaluated_at))
    assert told >= len({alert.episode.series.model for alert in alerts}) > 0


def test_the_mock_cluster_of_the_demo_carries_the_main_job_too(
    mock_kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    events = stream(days=5)
    calmon = product(mock_kafka, _url(engine), tmp_path)
    predictions, labels = written(events, tmp_path)
    total = len(events.score) + len(events.label)
    printed = calmon.run("replay", str(predictions), str(labels), "--json")
    assert json.loads(printed) == {"published": total, "labels_without_prediction": 0}
    with calmon.running():
        calmon.wait_for_messages(PaneStore(engine), total)
    assert counts_by_claim(engine) == expected_counts(count(events, lambda _: Policy()))


def _url(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def _wait_until_judged(engine: Engine, last_s: float, log: object) -> None:
    """Until the mark is within three days of the files' last verdict, and stands still."""
    until = time.monotonic() + 90
    marks: list[float] = []
    while len(marks) < 6 or marks[-1] != marks[-6] or marks[-1] < last_s - 3 * 86_400:
        assert time.monotonic() < until, (marks[-3:], last_s, log)
        time.sleep(0.5)
        with engine.connect() as connection:
            mark = connection.execute(
                text("SELECT max(judged_through_at) FROM calmon.watch_progress")
            )
            at = mark.scalar_one()
        marks.append(at.timestamp() if at else 0.0)


def test_slack_is_told_once_with_a_picture(
    kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    events = stream()
    config = f"routing: {{slack: {{channel: {slack_state.CHANNEL}}}}}\n"
    calmon = product(kafka, _url(engine), tmp_path, config)
    predictions, labels = written(events, tmp_path)
    with slack_stub.running() as stub:
        environment = {
            "CALMON_SLACK_TOKEN": slack_state.TOKEN,
            "CALMON_SLACK_BASE_URL": stub.api_url,
        }
        calmon.environment.update(environment)
        calmon.run("replay", str(predictions), str(labels), "--json")
        with calmon.running():
            calmon.wait_for_messages(PaneStore(engine), len(events.score) + len(events.label))
            until = time.monotonic() + 60
            while not _delivered(engine):
                assert time.monotonic() < until, calmon.log()
                time.sleep(0.5)
        with calmon.running():
            time.sleep(6)  # a second start finds nothing to tell again
        # What changes later is told in the alert's thread, not as a message of its own.
        [parent] = [one for one in stub.posted() if one.get("thread_ts") in {None, one["ts"]}]
        [picture] = stub.shared()
    assert "credit v3 is overconfident" in parent["text"]
    assert picture["thread_ts"] == parent["ts"]
    status = json.loads(calmon.run("status", "--json"))
    [series] = status["series"]
    assert (series["status"], series["episode"]["state"]) == ("DRIFTED", "firing")


def _delivered(engine: Engine) -> bool:
    with engine.connect() as connection:
        outcomes = connection.execute(text("SELECT outcome FROM audit.notifications")).scalars()
        return "delivered" in list(outcomes)


def test_what_a_person_can_mend_is_one_line(tmp_path: Path, postgres_url: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "CALMON_DATABASE_URL": postgres_url}
    config = tmp_path / "calmon.yaml"
    config.write_text("defaults:\n  label_horizn: 2d\n")
    for words, expected in (
        (["status", "-c", str(config)], f"{config}:2: defaults.label_horizn: unknown key"),
        (["run"], "no Kafka: set CALMON_KAFKA_BOOTSTRAP"),
        (["report", str(tmp_path / "none.csv")], "none.csv"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *words],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=CHECKOUT,
        )
        assert done.returncode == 2
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


SOAK = os.environ.get("SOAK") == "1"
STREAMS: tuple[str, ...] = ("games538", "llm_msp", "football3", "bike_intervals")
"""Of every kind; the two larger ones, of scores too, take a minute more."""
if SOAK:
    STREAMS += ("elec2", "nycflights")
KINDS = """
models:
  football-elo-lr: {claims: {classes: [A, D, H]}}
  bike-qgbm: {claims: {quantiles: [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]}}
  bike-qgbm-monthly: {claims: {quantiles: [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]}}
"""


@pytest.mark.timeout(600)
def test_real_streams_through_real_kafka_leave_the_same_bins_as_the_files(
    real_kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    if not SHARED.is_dir():
        pytest.skip("the real streams (../shared/data) are not beside this checkout")
    calmon = product(real_kafka, _url(engine), tmp_path, KINDS, partitions=8)
    total = 0
    expected: dict[tuple[str, str, str], bytes] = {}
    losses: dict[tuple[str, str, str], Losses] = {}
    with calmon.running("--role", "ingest"):
        for name in STREAMS:
            files = [SHARED / name / f"{kind}.parquet" for kind in ("predictions", "labels")]
            total += json.loads(calmon.run("replay", *map(str, files), "--json"))["published"]
            counted = count(read_events(*files), lambda _: Policy())
            expected |= expected_counts(counted)
            losses |= expected_losses(counted)
        calmon.wait_for_messages(PaneStore(engine), total)
    while PaneStore(engine).fold():
        pass
    assert counts_by_claim(engine) == expected
    assert losses_by_claim(engine) == losses
    said = json.loads(calmon.run("status", "bike-qgbm", "--json"))["claims"]
    found = {report["claim"]: report["metrics"] for report in said}
    oracle = json.loads((SHARED / "bike_intervals" / "oracle.json").read_text())
    expected_of = oracle["models"]["bike-qgbm"]["overall"]
    for level, of_level in expected_of["intervals"].items():
        score = found[f"interval:{level}"]["interval_score"]
        assert score == pytest.approx(of_level["interval_score"], abs=1e-5)
    for level, loss in expected_of["pinball"].items():
        assert found[f"quantile:{level}"]["pinball"] == pytest.approx(loss, abs=1e-6)
