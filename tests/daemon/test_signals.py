"""A signal is heard whatever the process is at."""

from __future__ import annotations

import json
import subprocess
import sys

IN_THE_MIDDLE_OF_A_LINE = """
import signal, sys
import structlog
from monitor.daemon.logs import configure_logs
from monitor.daemon.signals import Ending

class Interrupted:
    heard = False
    def write(self, text):
        if not self.heard:
            self.heard = True
            signal.raise_signal(signal.SIGTERM)
        sys.__stderr__.write(text)
    def flush(self):
        sys.__stderr__.flush()

sys.stderr = Interrupted()
configure_logs(json_lines=True)
log = structlog.get_logger()
said = []
ending = Ending(lambda name: (log.info("stopping", signal=name), said.append(name)))
ending.work_begins()
log.info("working")
assert ending.asked.wait(20)
while not said:
    pass
"""


def test_a_signal_in_the_middle_of_a_line_of_the_log_is_heard() -> None:
    """A handler that wrote to the log itself waited for ever for the line that it had broken."""
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE_OF_A_LINE],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["working", "stopping"]
    assert lines[1]["signal"] == "SIGTERM"
