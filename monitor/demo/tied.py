"""A child process that ends with its parent, however the parent ends.

Guarantees: the child gets a signal when the parent's starting thread is gone, even by SIGKILL
(Linux; elsewhere it is only stopped by `stop`). Must never: import anything but the standard
library, for this file also runs as the child until it becomes the wanted program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pwd
    from collections.abc import Sequence
    from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SAME_USER = -1


def spawn_tied(
    command: Sequence[str], *, log: Path, cwd: Path, owner: pwd.struct_passwd | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` as `owner`, its output going to `log`; it is interrupted when we die.

    The tie is to the calling thread, so call it in one that outlives the child's use. It is made
    in the child after the fork and before the exec, by a Python of its own: code between fork and
    exec in this process may hang when other threads run.
    """
    uid, gid = (_SAME_USER, _SAME_USER) if owner is None else (owner.pw_uid, owner.pw_gid)
    launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(uid), str(gid)]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the caller's own program
            [*launcher, *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for the parent to act on
        )


def stop(
    process: subprocess.Popen[bytes], gently: signal.Signals, *, timeout_s: float = 10
) -> None:
    """Send `gently`, and SIGKILL to one that is still there after `timeout_s`; then reap it."""
    if process.poll() is None:
        process.send_signal(gently)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _become(parent: int, uid: int, gid: int, command: list[str]) -> None:
    """Turn this process into `command`, as another user if told, tied to `parent`."""
    if uid != _SAME_USER:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which would undo it; exec keeps it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died before the tie was made
            sys.exit("the starting process is gone")
    # A parent that was told to ignore it, as one behind a shell's &, would hand that on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - an absolute path, without a shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
