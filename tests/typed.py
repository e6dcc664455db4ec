"""A command as typed, run in this process: a process of its own takes seconds to import.

That commands work as processes is shown where it matters: the daemon, signals and the wheel.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING
from unittest.mock import patch

from monitor.cli import root
from tests.servers import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping


def typed(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `calmon words` would print and its exit code; the environment is all that it sees."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["calmon", *words]),
        patch.dict(os.environ, environment, clear=True),
        chdir(CHECKOUT),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            root.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def bare_environment() -> dict[str, str]:
    """This process's environment without the product's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CALMON_")}
