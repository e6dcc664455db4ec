"""Signals: SIGTERM and SIGINT end a worker's process in order, from its first line on.

Guarantees: while the process starts a signal ends it with 0, since no work was begun; from then on
the work is told by an event. Must never: import anything that takes time, because this comes before
all else; or take a lock in a handler: what it interrupts may hold it, as a line of the log does.
"""

from __future__ import annotations

import os
import signal
import sys
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT)


def end_at_once() -> None:
    """From here on a signal ends the process where it stands: it only loads code."""

    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(0)

    for number in _ENDING:
        signal.signal(number, end)


class Ending:
    """The end that a signal asks for. on_signal: is told the signal's name, in another thread."""

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self.asked = Event()
        self._on_signal = on_signal
        self._is_working = False
        self._heard: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._tell, name="signals", daemon=True).start()
        for number in _ENDING:
            signal.signal(number, self._hear)

    def work_begins(self) -> None:
        """From here on the event alone tells of a signal; before, it ends the start as well."""
        self._is_working = True

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard.put(signal.Signals(number).name)  # may be interrupted by itself
        if not self._is_working:
            sys.exit(0)

    def _tell(self) -> None:
        while True:
            name = self._heard.get()
            self.asked.set()
            self._on_signal(name)
