"""Every line of the log is JSON: this product's, its libraries', and Python's own warnings."""

from __future__ import annotations

import json
import subprocess
import sys

LINES = """
import logging, warnings
import structlog
from monitor.daemon.logs import configure_logs
configure_logs(json_lines=True)
structlog.get_logger().info("counted", n=3)
logging.getLogger("kafka.coordinator").warning("Marking the coordinator %s dead", "node 1")
logging.getLogger("kafka.coordinator").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("kafka.net").exception("it broke")
warnings.warn("an option is old", DeprecationWarning)
"""


def test_lines_of_libraries_are_json_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", LINES],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line.get("logger"), line["level"]) for line in lines] == [
        (None, "info"),
        ("kafka.coordinator", "warning"),
        ("kafka.net", "error"),
        ("py.warnings", "warning"),
    ]
    assert lines[0]["event"] == "counted"
    assert lines[1]["event"] == "Marking the coordinator node 1 dead"
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert "an option is old" in lines[3]["event"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
