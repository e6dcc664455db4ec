"""`calmon ack`, `calmon silence` and `calmon status` as a person uses them, on a real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from monitor.core.policies import AlertPolicy, FirstLabels, Policy
from tests.synthetic import stream
from tests.typed import bare_environment, typed
from tests.watch.test_restarts import day
from tests.watch.watched import Watched

if TYPE_CHECKING:
    import subprocess

    from sqlalchemy import Engine


def calmon(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    url = engine.url.render_as_string(hide_password=False)
    return typed(*words, environment=bare_environment() | {"CALMON_DATABASE_URL": url})


def answered(engine: Engine, *words: str) -> dict[str, Any]:
    """JSON of a command that must succeed."""
    done = calmon(engine, *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_person_answers_an_alert_and_everybody_can_read_it(engine: Engine) -> None:
    policy = Policy(baseline=FirstLabels(1000), alerts=AlertPolicy(team="risk"))
    watched = Watched.over(engine, stream(), policy)
    signed = ("--author", "ann", "--reason", "retraining")
    for words in (("ack", "no-such-group"), ("silence", "expire", "4")):
        done = calmon(engine, *words, *signed)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
    watched.tick(day(24))
    (alert,) = answered(engine, "status")["alerts"]
    assert (alert["model"], alert["team"], alert["ack"]) == ("credit", "risk", None)

    found = answered(engine, "ack", alert["group_id"], *signed)
    assert (found["model"], found["author"]) == ("credit", "ann")
    mends: tuple[tuple[tuple[str, ...], str], ...] = (
        (("model=credit",), "give either --for or --until"),
        (("colour=red", "--for", "1h"), "'colour' is no label of an alert"),
        (("model=credit", "--until", "2020-01-01"), "must end after its start"),
    )
    for given, mend in mends:
        done = calmon(engine, "silence", "add", *given, *signed)
        assert done.returncode == 2
        assert mend in done.stderr
    found = answered(engine, "silence", "add", "team=risk", "--for", "2h", *signed)
    assert found["silent"] == [alert["group_id"]]
    (one,) = answered(engine, "silence", "list")["silences"]
    assert (one["state"], one["matchers"]) == ("active", ["team=risk"])

    of_model = answered(engine, "status", "credit")
    (due,) = of_model["due"]
    assert (due["model"], due["asked_by"]) == ("credit", None)
    assert due["next_at"] > due["judged_at"]
    page = calmon(engine, "status").stdout
    assert "1 firing since" in page
    assert "acknowledged by ann: retraining" in page
    assert "silenced until" in page
    assert calmon(engine, "silence", "list").stdout.count("retraining") == 1

    answered(engine, "silence", "expire", str(one["silence_id"]), *signed)
    assert answered(engine, "silence", "list") == {"silences": []}
    (over,) = answered(engine, "silence", "list", "--all")["silences"]
    assert (over["state"], over["expired_by"]) == ("over", "ann")
    kinds = watched.rows("SELECT kind, prompted_by FROM audit.notifications ORDER BY sequence")
    assert kinds == [
        ("fired", "alert"),
        ("changed", "alert"),
        ("changed", "acknowledgement"),
        ("changed", "silence"),
    ]
