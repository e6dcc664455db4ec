"""The series book: names in events to the numbers that counts are kept under.

Guarantees: a name has one number for ever, whichever worker saw it first. Must never: hold more
than MAX_SIGHTINGS spellings, whatever is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import POSITIVE, Series, segment_name
from monitor.core.series_table import SeriesRules, SeriesTable
from monitor.ingest.formats import Refusal, decode_segments, refused_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from monitor.core.policies import Policy
    from monitor.store.ingest import IngestStore

MAX_SIGHTINGS = 200_000

Sighting = tuple[str, str, bytes]
"""Model, version and raw segments, as they stood in a message."""


class SeriesBook:
    """Numbers of models and series; new ones are registered in the database before use."""

    def __init__(self, store: IngestStore, policy_for: Callable[[str], Policy | None]) -> None:
        self._store = store
        self._policy_for = policy_for
        self._models: dict[str, int | Refusal] = {}
        self._sightings: dict[Sighting, int | Refusal] = {}
        self.table = SeriesTable()
        self._take(store.register_series([]))
        self._models.update(store.model_ids())

    def learn(self, sightings: Iterable[Sighting], models: Iterable[str]) -> None:
        """Register what is new among these."""
        if len(self._sightings) > MAX_SIGHTINGS:
            self._sightings.clear()
        unknown = [s for s in dict.fromkeys(sightings) if s not in self._sightings]
        self._learn_models([*models, *(model for model, _, _ in unknown)])
        wanted: dict[Sighting, tuple[Series, SeriesRules]] = {}
        for sighting in unknown:
            found = self._describe(sighting)
            if isinstance(found, Refusal):
                self._sightings[sighting] = found
            else:
                wanted[sighting] = found
        new = [(s, r) for s, r in wanted.values() if self.table.find(s, r) is None]
        if new:
            self._take(self._store.register_series(new))
        for sighting, (series, rules) in wanted.items():
            index = self.table.find(series, rules)
            if index is None:  # pragma: no cover  # registered a line above
                raise LookupError(series)
            self._sightings[sighting] = index

    def series(self, sighting: Sighting) -> int | Refusal:
        """Index of a learnt series, or why its events are refused."""
        return self._sightings[sighting]

    def model(self, name: str) -> int | Refusal:
        """Index of a learnt model, or why its events are refused."""
        return self._models[name]

    def correction_ms(self) -> NDArray[np.int64]:
        """Correction horizon by model index; shape (models + 1,)."""
        known = {name: index for name, index in self._models.items() if isinstance(index, int)}
        horizons = np.zeros(max(known.values(), default=0) + 1, dtype=np.int64)
        for name, index in known.items():
            policy = self._policy_for(name)
            if policy is not None:
                horizons[index] = policy.correction_horizon.total_seconds() * 1000
        return horizons

    def _learn_models(self, names: Iterable[str]) -> None:
        new = []
        for name in dict.fromkeys(names):
            if name in self._models:
                continue
            refused = refused_text(name)
            if refused is None and self._policy_for(name) is None:
                refused = Refusal(
                    "unknown_model",
                    f"model {name!r} is not declared; add it to `models`, or set auto_register",
                )
            if refused is None:
                new.append(name)
            else:
                self._models[name] = refused
        if new:
            self._models.update(self._store.model_ids(new))

    def _describe(self, sighting: Sighting) -> tuple[Series, SeriesRules] | Refusal:
        model, version, raw = sighting
        number, policy = self._models[model], self._policy_for(model)
        if isinstance(number, Refusal):
            return number
        values = decode_segments(raw)
        if isinstance(values, Refusal):
            return values
        if policy is None:  # pragma: no cover  # such a model has a refusal above
            raise LookupError(model)
        segment = segment_name({name: values.get(name, "") for name in policy.segments})
        refused = refused_text(version) or refused_text(segment)
        if refused is not None:
            return refused
        rules = SeriesRules(
            number,
            int(policy.pane.total_seconds()),
            int(policy.label_horizon.total_seconds()),
            int(policy.correction_horizon.total_seconds()),
        )
        return Series(model, version, POSITIVE, segment), rules

    def _take(self, found: list[tuple[int, Series, SeriesRules]]) -> None:
        for index, series, rules in found:
            self.table.add(index, series, rules)
