"""A small stream with a known change: a calibrated model that turns overconfident on a given day.

Seeded, so that every test sees the same events.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.watch.counting import Events

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_MS = 1_767_225_600_000  # 2026-01-01
DAY_MS = 86_400_000
DELAY_MS = 6 * 3_600_000


def stream(days: int = 24, a_day: int = 250, changed_on: int | None = 14, seed: int = 7) -> Events:
    """`a_day` predictions a day; from day `changed_on` the truth is nearer to 1/2 than the score.

    Labels come after 6 hours in the mean; one in twenty never comes, one in fifty after the
    horizon of two days.
    """
    rng = np.random.default_rng(seed)
    n = days * a_day
    ts_ms = START_MS + np.sort(rng.integers(0, days * DAY_MS, n))
    logit = rng.normal(0, 1.5, n)
    changed = ts_ms >= START_MS + (days if changed_on is None else changed_on) * DAY_MS
    truth = 1 / (1 + np.exp(-logit * np.where(changed, 0.4, 1.0)))
    label = (rng.uniform(size=n) < truth).astype(np.float64)
    delay_ms = rng.exponential(DELAY_MS, n).astype(np.int64)
    delay_ms[rng.uniform(size=n) < 0.02] += 3 * DAY_MS
    arrived = np.flatnonzero(rng.uniform(size=n) < 0.95)
    label_ms = ts_ms + delay_ms
    order = arrived[np.argsort(label_ms[arrived], kind="stable")]
    ids = _texts([f"p-{i}" for i in range(n)])
    return Events(
        prediction_id=ids,
        model=_texts(["credit"] * n),
        version=_texts(["3"] * n),
        ts_ms=ts_ms,
        score=np.round(1 / (1 + np.exp(-logit)), 6),
        segments={"country": _texts(rng.choice(["DE", "FR"], n).tolist())},
        label_id=ids[order],
        label_model=_texts(["credit"] * len(order)),
        label_ms=label_ms[order],
        label=label[order],
    )


def together(streams: dict[str, tuple[int, Events]]) -> Events:
    """Streams of several models at once, by name, each moved by so many days."""
    parts = []
    for model, (days, one) in streams.items():
        by_ms = days * DAY_MS
        parts.append(
            replace(
                one,
                model=_texts([model] * len(one.model)),
                label_model=_texts([model] * len(one.label_model)),
                ts_ms=one.ts_ms + by_ms,
                label_ms=one.label_ms + by_ms,
                segments={},
            )
        )
    joined: dict[str, Any] = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts])
        for column in fields(Events)
        if column.name not in {"segments", "numbers"}
    }
    return replace(parts[0], **joined)


def _texts(values: list[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)
