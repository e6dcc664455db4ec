"""Where the benchmark finds and keeps its files."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
CACHE = CHECKOUT / ".cache" / "bench-detection"
PAGE = CHECKOUT / "docs" / "detection.md"
DATA = CHECKOUT.parent / "shared" / "data"
DRIFTFDR = CHECKOUT / ".cache" / "bench-driftfdr"
DRIFTFDR_LOCK = CHECKOUT / "tests" / "benchmarks" / "requirements-driftfdr.lock"
