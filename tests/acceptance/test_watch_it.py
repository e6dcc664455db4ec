"""The running daemon as Prometheus and a supervisor see it."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.product import product, written
from tests.pipeline import GIVE_UP_S
from tests.synthetic import stream

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.servers import TestKafka


def get(address: str, path: str) -> tuple[int, str]:
    """Status and text; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def figures(address: str) -> dict[tuple[str, ...], float]:
    """Value of every sample, by its name and its labels' values in the order of their names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(get(address, "/metrics")[1])
        for sample in family.samples
    }


def test_figures_and_health_of_a_running_daemon(
    kafka: TestKafka, engine: Engine, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    url = engine.url.render_as_string(hide_password=False)
    calmon = product(kafka, url, tmp_path, f"http: {{address: '{address}'}}\n")
    events = stream()
    predictions, labels = written(events, tmp_path)
    counted = ("calmon_events_total", "counted", "predictions")
    with calmon.running():
        until = time.monotonic() + GIVE_UP_S
        while get(address, "/readyz")[0] != 200:
            assert time.monotonic() < until, (get(address, "/readyz"), calmon.log())
            time.sleep(0.2)
        calmon.run("replay", str(predictions), str(labels))
        while figures(address).get(counted, 0) < len(events.score):
            assert time.monotonic() < until, (figures(address), calmon.log())
            time.sleep(0.2)
        time.sleep(3)  # labels may come last; idle flushes go on
        found = figures(address)
        assert get(address, "/livez") == (200, "ok\n")
    assert found[counted] == len(events.score)
    of_labels = {
        key[1]: n
        for key, n in found.items()
        if key[0] == "calmon_events_total" and key[2] == "labels"
    }
    assert sum(of_labels.values()) == len(events.label)
    assert found["calmon_label_delay_seconds_count",] == of_labels["counted"] + of_labels["late"]
    assert found["calmon_consumer_lag", "predictions"] == 0
    assert found["calmon_assigned_partitions",] == 12
    assert found["calmon_join_rows",] > 0
    assert found["calmon_last_tick_timestamp_seconds",] > time.time() - 60
    assert get(address, "/livez")[0] == 0
