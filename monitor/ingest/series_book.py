"""The series book: names in events to the numbers that counts are kept under.

Guarantees: a name has one number for ever, whichever worker saw it first. Must never: hold more
than MAX_SIGHTINGS spellings or MAX_REFUSALS reasons beyond those of one batch, whatever is sent.

What cannot be numbered is given a code below zero, with a reason that `refusal` tells; a code holds
until the next batch is looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import POSITIVE, OutcomeRule, Series, pooled, segment_name, watch_values
from monitor.core.counting.labelled_sample import is_sampled, sample_size
from monitor.core.counting.series_table import EVERY_PPM, SeriesRules, SeriesTable
from monitor.core.kinds import Kind
from monitor.core.policies import Unlabelled
from monitor.ingest.formats import Refusal, decode_segments, refused_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.core.kinds import ClaimSet
    from monitor.core.policies import Policy
    from monitor.store.ingest import IngestStore

MAX_SIGHTINGS = 200_000
MAX_SIGHTING_BYTES = 64 << 20
MAX_REFUSALS = 10_000
MAX_MODELS = 10_000
MAX_SERIES = 100_000
MAX_SEGMENT_BYTES = 800
"""A series' identity is indexed, and an index entry of Postgres has room for about 2700 bytes."""

Sighting = tuple[str, str, bytes] | tuple[str, str, bytes, str, OutcomeRule, float]
"""Model, version and raw segments, as they stood in a message; then, of a claim that is not
`positive`, its name, rule and reference."""

_EVERY_KEY = np.iinfo(np.uint64).max


_TOO_MANY_SERIES = Refusal(
    "too_many_series",
    f"{MAX_SERIES} series are known; declare segments with fewer values, or stop putting ids into "
    "`model`, `version` or `segments`",
)


class SeriesBook:
    """Numbers of models and series; new ones are registered in the database before use."""

    def __init__(
        self,
        store: IngestStore,
        policy_for: Callable[[str], Policy | None],
        names: dict[int, str] | None = None,
    ) -> None:
        """Read what is known. names: is given the name of every model by its number."""
        self._names = {} if names is None else names
        self._store = store
        self._policy_for = policy_for
        self._models: dict[str, int] = {}
        self._sightings: dict[Sighting, int] = {}
        self._refusals: list[Refusal] = []
        self._n_models = 0
        self._sighting_bytes = 0
        self._sample_limit = np.empty(0, dtype=np.uint64)
        self._correction_ms = np.empty(0, dtype=np.int64)
        self._claims: dict[int, ClaimSet] = {}
        self._watched: dict[str, dict[str, set[str]]] = {}
        self.table = SeriesTable()
        self.refresh()

    @property
    def sightings(self) -> int:
        """Spellings that are remembered."""
        return len(self._sightings)

    def refresh(self) -> None:
        """Learn what other workers registered meanwhile."""
        self._take(self._store.register_series([]))
        self._number(self._store.model_ids())

    def series(self, sightings: Sequence[Sighting]) -> NDArray[np.int32]:
        """Index of the series of each sighting, or a code below zero; shape (n,)."""
        try:
            found = [self._sightings[sighting] for sighting in sightings]
        except KeyError:
            self._forget_if_full()
            self._learn(sightings)
            found = [self._sightings[sighting] for sighting in sightings]
        return np.array(found, dtype=np.int32)

    def models(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Number of each model, or a code below zero; shape (n,)."""
        try:
            found = [self._models[name] for name in names]
        except KeyError:
            self._forget_if_full()
            self._learn_models(names)
            found = [self._models[name] for name in names]
        return np.array(found, dtype=np.int32)

    @property
    def claims(self) -> Mapping[int, ClaimSet]:
        """What predictions of each model state, by its number, of all that are not binary."""
        return self._claims

    def refusal(self, code: int) -> Refusal:
        """Why the events of a code below zero are refused."""
        return self._refusals[-1 - code]

    def model_of(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """Number of the model of each series; of a refused one the code itself."""
        model = series.copy()
        numbered = series >= 0
        model[numbered] = self.table.model[series[numbered]]
        return model

    def sample_limit(self, model: NDArray[np.int32]) -> NDArray[np.uint64]:
        """Largest key that is counted, for each model; refused ones have any."""
        return self._sample_limit[np.maximum(model, 0)]

    def correction_ms(self) -> NDArray[np.int64]:
        """Correction horizon by model number; shape (largest number + 1,)."""
        return self._correction_ms

    def _forget_if_full(self) -> None:
        """Drop what was learnt, when there is too much of it; it is learnt again when needed."""
        if (
            len(self._sightings) > MAX_SIGHTINGS
            or self._sighting_bytes > MAX_SIGHTING_BYTES
            or len(self._refusals) > MAX_REFUSALS
        ):
            self._sighting_bytes = 0
            self._sightings.clear()
            self._models = {name: number for name, number in self._models.items() if number >= 0}
            self._refusals.clear()

    def _learn(self, sightings: Sequence[Sighting]) -> None:
        unknown = [s for s in dict.fromkeys(sightings) if s not in self._sightings]
        self._sighting_bytes += sum(len(sighting[2]) for sighting in unknown)
        self._learn_models([sighting[0] for sighting in unknown])
        wanted: dict[Sighting, tuple[Series, SeriesRules]] = {}
        new: set[tuple[Series, SeriesRules]] = set()
        for sighting in unknown:
            found = self._describe(sighting)
            if isinstance(found, tuple) and found not in new and self.table.find(*found) is None:
                if self.table.n_series + len(new) >= MAX_SERIES:
                    found = self._refused(_TOO_MANY_SERIES)
                else:
                    new.add(found)
            if isinstance(found, tuple):
                wanted[sighting] = found
            else:
                self._sightings[sighting] = found
        if new:
            self._take(self._store.register_series(list(new), after=self.table.newest))
        if any(self.table.find(s, r) is None for s, r in new):
            # Another worker's, numbered before ours and committed after.
            self._take(self._store.register_series([]))
        for sighting, (series, rules) in wanted.items():
            index = self.table.find(series, rules)
            if index is None:  # pragma: no cover  # registered a line above
                raise LookupError(series)
            self._sightings[sighting] = index

    def _learn_models(self, names: Sequence[str]) -> None:
        new: list[str] = []
        for name in dict.fromkeys(names):
            if name in self._models:
                continue
            refused = refused_text(name)
            if refused is None and self._policy_for(name) is None:
                refused = Refusal(
                    "unknown_model",
                    f"model {name!r} is not declared; add it to `models`, or set auto_register",
                )
            if refused is None and self._n_models + len(new) >= MAX_MODELS:
                refused = Refusal(
                    "too_many_models",
                    f"{MAX_MODELS} models are known; stop putting ids into `model`, or declare the "
                    "models that are meant and set auto_register: false",
                )
            if refused is None:
                new.append(name)
            else:
                self._models[name] = self._refused(refused)
        if new:
            self._number(self._store.model_ids(new))

    def _describe(self, sighting: Sighting) -> tuple[Series, SeriesRules] | int:
        model, version, raw, *claim = sighting
        number, policy = self._models[model], self._policy_for(model)
        if number < 0 or policy is None:
            return number
        if not claim and policy.claims.kind is not Kind.BINARY:
            return self._refused(other_kind(model, policy.claims))
        values = decode_segments(raw)
        if isinstance(values, Refusal):
            return self._refused(values)
        segment = segment_name({name: values.get(name, "") for name in policy.segments})
        watched = self._watched.setdefault(model, {})
        segment = pooled(segment, watched, policy.max_segment_values)
        refused = refused_text(version) or _refused_segment(segment)
        if refused is not None:
            return self._refused(refused)
        watch_values(segment, watched)
        rules = SeriesRules(
            number,
            int(policy.pane.total_seconds()),
            int(policy.label_horizon.total_seconds()),
            int(policy.correction_horizon.total_seconds()),
            sample_ppm=policy.sample_ppm,
            unlabelled_negative=policy.unlabelled is Unlabelled.NEGATIVE,
        )
        if len(sighting) == 3:  # noqa: PLR2004  # a binary prediction
            return Series(model, version, POSITIVE, segment), rules
        _, _, _, name, rule, low = sighting
        return Series(model, version, name, segment), replace(rules, rule=rule, low=low)

    def _refused(self, refusal: Refusal) -> int:
        self._refusals.append(refusal)
        return -len(self._refusals)

    def _take(self, found: list[tuple[int, Series, SeriesRules]]) -> None:
        for index, series, rules in found:
            self.table.add(index, series, rules, self._sample_size(series))
            watch_values(series.segment, self._watched.setdefault(series.model, {}))

    def _sample_size(self, series: Series) -> int:
        """Labelled predictions a day to sample, by the model's policy; 0 for none."""
        if not is_sampled(series.claim):
            return 0
        policy = self._policy_for(series.model)
        return 0 if policy is None else sample_size(policy.claims)

    def _number(self, found: dict[str, int]) -> None:
        """Learn the numbers of models, and what their policies say about each event."""
        self._models.update(found)
        self._names.update({number: name for name, number in found.items()})
        self._n_models = len(found)
        size = max(found.values(), default=0) + 1
        self._sample_limit = np.full(size, _EVERY_KEY, dtype=np.uint64)
        self._correction_ms = np.zeros(size, dtype=np.int64)
        for name, number in found.items():
            policy = self._policy_for(name)
            if policy is not None:
                self._sample_limit[number] = (policy.sample_ppm << 64) // EVERY_PPM - 1
                self._correction_ms[number] = policy.correction_horizon.total_seconds() * 1000
                if policy.claims.kind is not Kind.BINARY:
                    self._claims[number] = policy.claims


def other_kind(model: str, claims: ClaimSet) -> Refusal:
    """Why a prediction of another kind than its model's is refused."""
    fields = {
        Kind.BINARY: "a score",
        Kind.MULTICLASS: "probs",
        Kind.LLM: "confidences or logprobs",
        Kind.REGRESSION: "quantiles or interval",
    }
    return Refusal(
        "other_kind",
        f"by the policy of {model!r} its predictions state {fields[claims.kind]}; send that, or "
        "declare in `claims` what they state",
    )


def _refused_segment(segment: str) -> Refusal | None:
    refused = refused_text(segment)
    if refused is None and len(segment.encode()) > MAX_SEGMENT_BYTES:
        refused = Refusal(
            "bad_segments",
            f"the declared segments take {len(segment.encode())} bytes; {MAX_SEGMENT_BYTES} are "
            "kept, so send shorter values",
        )
    return refused
