from __future__ import annotations

import subprocess
import sys

SLOW = {"altair", "vl_convert", "scipy", "sklearn", "kafka", "pyarrow", "slack_sdk", "apscheduler"}


def test_the_command_line_starts_without_what_few_commands_need() -> None:
    program = "import sys, monitor.cli.root; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert not SLOW & set(done.stdout.decode().split())
