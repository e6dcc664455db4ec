"""The environment of the contestant that is not of ours, made once from a lock file with hashes.

Guarantees: pip refuses whatever is not the lock's; the environment is made again when the lock
changes. Must never: touch the product's own environment.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

from tests.servers import CHECKOUT

LOCK = CHECKOUT / "tests" / "benchmarks" / "requirements-quix.lock"
ENVIRONMENT = CHECKOUT / ".cache" / "bench-venv"
PYTHON = ENVIRONMENT / "bin" / "python"


def install_quix() -> str | None:
    """Make the environment if needed; returns why it cannot be made, or None."""
    stamp = ENVIRONMENT / "lock.sha256"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            return f"Quix Streams cannot be installed: {lines[-1]}"
    stamp.write_text(wanted)
    return None
