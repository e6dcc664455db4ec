"""The temperature that would repair each multi-class model of some files.

Guarantees: fitted on at most MOST_ROWS labelled predictions, chosen by a hash of their ids. Must
never: look at the labels to choose them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.kinds import Kind, claim_set_of, class_number
from monitor.core.recalibration.class_temperature import (
    ClassTemperature,
    class_temperature,
    uniform_sample,
)
from monitor.watch.labelled_rows import newest_labels

if TYPE_CHECKING:
    from monitor.watch.counting import Events


@dataclass(frozen=True, slots=True)
class ModelTemperature:
    """A model and what one temperature would do for it."""

    model: str
    found: ClassTemperature


def temperatures(events: Events) -> list[ModelTemperature]:
    """Of every multi-class model with labels."""
    claims = claim_set_of(tuple(events.numbers))
    if claims.kind is not Kind.MULTICLASS:
        return []
    place = {class_number(name): position for position, name in enumerate(claims.classes)}
    found = []
    for model in dict.fromkeys(events.model):
        rows, label = newest_labels(events, model)
        key = [_hash(events.prediction_id[row]) for row in rows]
        chosen = uniform_sample(np.array(key, dtype=np.uint64))
        stated = np.column_stack([events.numbers[name][rows[chosen]] for name in claims.columns])
        positions = np.array([place[number] for number in label[chosen]], dtype=np.intp)
        fitted = class_temperature(stated, positions)
        if fitted is not None:
            found.append(ModelTemperature(model, fitted))
    return found


def temperature_words(one: ModelTemperature) -> str:
    """One sentence for people."""
    return f"{one.model}: {fitted_words(one.found)}"


def fitted_words(found: ClassTemperature) -> str:
    """What a temperature would do."""
    side = "softer" if found.temperature > 1 else "sharper"
    return (
        f"temperature {found.temperature:.3f} would make all classes' probabilities "
        f"{side}: log loss {found.log_loss_after:.4f} for {found.log_loss_before:.4f}, on the "
        f"{found.rows:,} labels it was fitted to."
    )


def _hash(prediction_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(prediction_id.encode(), digest_size=8).digest())
