"""The real streams, reduced to claims: (score, outcome, time of prediction), in order of time.

Files are those of ../shared/data beside the checkout; without them there are no streams. Only rows
with a label are kept. Top label: the largest class probability and whether that class came (ties
by the order of columns). Interval of 90 %: the score is .9, the outcome whether the label lies
within [q_.05, q_.95]. Everything else is a binary claim as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.detection.places import DATA

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from tests.benchmarks.detection.streams import Bools, Floats

STABLE = "no alert"
SERIES: dict[str, tuple[str, str]] = {
    "football-elo-lr": ("football3", STABLE),
    "538-mlb": ("games538", STABLE),
    "538-nba": ("games538", STABLE),
    "538-nfl": ("games538", STABLE),
    "538-nhl": ("games538", STABLE),
    "yi-34b": ("llm_msp", STABLE),
    "gpt-3.5-turbo": ("llm_msp", STABLE),
    "gpt-4-turbo": ("llm_msp", "2024-04-01, spliced; by 2024-04-12"),
    "qa-endpoint": ("llm_msp", "2024-04-09, new version"),
    "bike-qgbm": ("bike_intervals", "2011-10-27, 2012-01-18, 2012-07-22"),
    "bike-qgbm-monthly": ("bike_intervals", "dips 2012-03, 2012-09"),
    "elec-hgb-static": ("elec2", "keeps changing; by 1997-02"),
    "elec-lr-monthly": ("elec2", "keeps changing"),
    "flight-late15": ("nycflights", "keeps changing"),
    "flight-late120": ("nycflights", "2013-06, 2013-08"),
}
"""Folder of each series, and what is known of it."""


@dataclass(frozen=True)
class Recorded:
    """Labelled claims of one series in order of prediction; `day` is its UTC date."""

    name: str
    score: Floats
    outcome: Bools
    day: np.ndarray


def missing(name: str) -> str | None:
    """Why a series cannot be read, or None."""
    folder = SERIES[name][0]
    if (DATA / folder / "predictions.parquet").exists():
        return None
    return f"../shared/data/{folder} is not beside this checkout"


def read(name: str) -> Recorded:
    """One series; its files must be there."""
    rows = _joined(DATA / SERIES[name][0])
    rows = rows.filter(pc.equal(rows["model"], name)).sort_by([("ts", "ascending")])
    score, outcome = _claims(rows)
    days = rows["ts"].to_numpy().astype("datetime64[D]")
    return Recorded(name, score, outcome, days)


@lru_cache(maxsize=1)
def _joined(folder: Path) -> pa.Table:
    predictions = pq.read_table(folder / "predictions.parquet")
    labels = pq.read_table(folder / "labels.parquet").select(["prediction_id", "label"])
    return predictions.join(labels, "prediction_id", join_type="inner")


def _claims(rows: pa.Table) -> tuple[Floats, Bools]:
    names = rows.column_names
    if "score" in names:
        return rows["score"].to_numpy(), rows["label"].to_numpy() == 1
    if "q_0.05" in names:
        label = rows["label"].to_numpy()
        held = (rows["q_0.05"].to_numpy() <= label) & (label <= rows["q_0.95"].to_numpy())
        return np.full(len(label), 0.9), held
    classes = [name for name in names if name.startswith("p_")]
    chances = np.column_stack([rows[name].to_numpy() for name in classes])
    top = chances.argmax(axis=1)
    chosen = np.array([name.removeprefix("p_") for name in classes])[top]
    return chances.max(axis=1), chosen == rows["label"].to_numpy(zero_copy_only=False)
