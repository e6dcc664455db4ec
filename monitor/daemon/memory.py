"""How a worker's process uses memory: what the collector looks at, and what is given back.

Guarantees: settings only; nothing that is counted depends on them. Must never: be called by a
library's code; it speaks for a whole process.
"""

from __future__ import annotations

import ctypes
import gc
import sys

GC_THRESHOLDS = (200_000, 50, 100)
MMAP_THRESHOLD = 2 << 20
TRIM_THRESHOLD = 8 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def tune_memory() -> None:
    """Settings of a worker's process; to be called once, when it is composed.

    The collector leaves alone what stays and looks at the rest less often: batches make no cycles.
    glibc gives back freed arrays of 2 MiB and more at once; by itself it would come to keep those
    of up to 32 MiB, near 100 MB in all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # other C libraries have other allocators
            libc.mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)
            libc.mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD)
