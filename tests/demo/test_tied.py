"""Child processes that must not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from monitor.demo.tied import spawn_tied, stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=1)"
PARENT = """
import pathlib, signal, sys, time
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
from monitor.demo.tied import spawn_tied
here = pathlib.Path(sys.argv[1])
print(spawn_tied(["/bin/sleep", "300"], log=here / "log", cwd=here).pid, flush=True)
time.sleep(300)
"""


def wait_until(condition: Callable[[], bool], *, within_s: float = 20) -> bool:
    give_up_at = time.monotonic() + within_s
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    return condition()


def running(pid: int) -> bool:
    """Whether the process is there and not only waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as status:  # noqa: PTH123 - a process's state, not a path
            return status.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
@pytest.mark.parametrize("parent_is", ["plain", "deaf"])
def test_the_child_of_a_killed_parent_ends(tmp_path: Path, parent_is: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), parent_is]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert wait_until(lambda: "sleep" in name_of(child))
        parent.kill()
    assert wait_until(lambda: not running(child))


def name_of(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as name:  # noqa: PTH123 - a process's name, not a path
        return name.read()


def test_stop_kills_what_does_not_end_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", f"{STUBBORN}; time.sleep(300)"]
    process = spawn_tied(command, log=log, cwd=tmp_path)
    assert wait_until(lambda: log.read_text() == "1\n")
    stop(process, signal.SIGTERM, timeout_s=0.2)
    assert process.returncode == -signal.SIGKILL


def test_stop_leaves_a_child_that_ends_its_own_exit_code(tmp_path: Path) -> None:
    process = spawn_tied(["/bin/sh", "-c", "exit 3"], log=tmp_path / "log", cwd=tmp_path)
    assert wait_until(lambda: process.poll() is not None)
    stop(process, signal.SIGTERM)
    assert process.returncode == 3


def test_a_terminals_interrupt_does_not_reach_the_child(tmp_path: Path) -> None:
    process = spawn_tied(["/bin/sleep", "300"], log=tmp_path / "log", cwd=tmp_path)
    try:
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        stop(process, signal.SIGTERM)
