"""A sampling profile of the main thread: which work its time goes to, waiting included.

Guarantees: a sample is taken every few milliseconds, so that, unlike with cProfile, code of many
small calls is not made to look dear. Must never: change the code that it looks at.
"""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SAMPLE_S = 0.002


@contextmanager
def sampled(*, wanted: bool) -> Iterator[list[tuple[list[str], int]]]:
    """Samples of what runs in this block, filled in at its end: (stack, innermost first; count)."""
    found: list[tuple[list[str], int]] = []
    if not wanted:
        yield found
        return
    counts: Counter[tuple[str, ...]] = Counter()

    def sample(_number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}")
            frame = frame.f_back
        counts[tuple(stack)] += 1

    before = signal.signal(signal.SIGALRM, sample)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_S, SAMPLE_S)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        found.extend((list(stack), n) for stack, n in counts.most_common())
