"""The core is a library: importing all of it brings neither Kafka nor a database along."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import importlib, json, pkgutil, sys
import monitor.core
names = [m.name for m in pkgutil.walk_packages(monitor.core.__path__, "monitor.core.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted(sys.modules)}))
"""
FOREIGN = {
    "alembic", "apscheduler", "fastavro", "kafka", "msgspec", "psycopg", "pyarrow", "pydantic",
    "slack_sdk", "sqlalchemy", "structlog", "typer", "yaml",
}  # fmt: skip


def test_the_core_imports_neither_kafka_nor_a_database() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True, timeout=120
    )
    said = json.loads(done.stdout)
    assert {
        "monitor.core.bins",
        "monitor.core.measures.metrics",
        "monitor.core.detector.sequential",
    } <= set(said["imported"])
    assert {name.partition(".")[0] for name in said["loaded"]} & FOREIGN == set()
    ours = {name for name in said["loaded"] if name.partition(".")[0] == "monitor"}
    assert {name for name in ours if not name.startswith("monitor.core")} == {"monitor"}
