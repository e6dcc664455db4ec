"""Recalibration artifacts: a small JSON file that makes scores honest, and what it gives.

Guarantees: what `loads` gives has passed its hash, its version and its map's own rules; numpy alone
is needed to apply it, and floats come back to the bit. Must never: run anything from a file, or
trust one: it is input like any other.

`load` is the one function of the core that reads a file (docs/why.md): this module is what a
serving process imports, and no verdict comes through here.

    recalibrate = load("recalibrator.json")
    honest = recalibrate(scores)
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from monitor.core.recalibration.recalibrators import (
    FORMULAS,
    MAX_KNOTS,
    Beta,
    CalibrationMap,
    Isotonic,
    LogitLine,
    Method,
)

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

Json = dict[str, object]
FORMAT = "calmon-recalibrator"
FORMAT_VERSION = 1
MAX_BYTES = 1 << 20
KEYS = {"format", "format_version", "method", "formula", "parameters", "provenance", "sha256"}
NEEDED = {
    Method.TEMPERATURE: ("slope",),
    Method.PLATT: ("slope", "intercept"),
    Method.BETA: ("a", "b", "c"),
    Method.ISOTONIC: ("score", "probability"),
}


class ArtifactError(ValueError):
    """A file that is no recalibrator of calmon, or no longer what was written."""


@dataclass  # scikit-learn 1.9 sets an attribute on each step of a pipeline
class Recalibrator:
    """A map with where it came from. sha256: of the canonical JSON of all but itself.

    It is called with scores of any shape, and has what scikit-learn asks of a fitted step of a
    pipeline. Scores are in [0, 1]; NaN stays NaN; anything else raises ValueError.
    """

    map: CalibrationMap
    provenance: Json
    sha256: str

    @property
    def method(self) -> Method:
        """Its family."""
        return self.map.method

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Honest probabilities, shape as given."""
        score = np.asarray(scores, dtype=np.float64)
        if ((score < 0) | (score > 1)).any():
            msg = f"scores must lie within 0 and 1, not {np.nanmin(score)} to {np.nanmax(score)}"
            raise ValueError(msg)
        return np.asarray(self.map(score))

    __call__ = apply

    def predict(self, T: ArrayLike) -> NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        """Probabilities of class 1, (n,); T: scores (n,) or (n, 1), or predict_proba's (n, 2).

        Of two columns the second is meant, as everywhere in scikit-learn.
        """
        return self.apply(_of_class_1(np.asarray(T, dtype=np.float64)))

    def predict_proba(self, T: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Probabilities of both classes, shape (n, 2); T as for `predict`."""
        honest = self.predict(T)
        return np.column_stack([1 - honest, honest])

    def transform(self, T: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """As T is: (n,) and (n, 1) as they are, two columns as `predict_proba`."""
        given = np.asarray(T, dtype=np.float64)
        two = given.ndim == 2 and given.shape[1] == 2  # noqa: PLR2004  # both classes
        return self.predict_proba(given) if two else self.apply(given)

    def fit(self, X: object = None, y: object = None) -> Self:  # noqa: ARG002, N803
        """Nothing: it was fitted by calmon, on labels that it names."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Self:
        """Itself: it never changes."""
        return self

    def __sklearn_tags__(self) -> SimpleNamespace:
        """What scikit-learn asks of a step, without importing it."""
        return SimpleNamespace(
            estimator_type=None,
            target_tags=SimpleNamespace(required=False),
            input_tags=SimpleNamespace(pairwise=False, sparse=False, allow_nan=True),
            transformer_tags=None,
            classifier_tags=None,
            regressor_tags=None,
            requires_fit=False,
            array_api_support=False,
            no_validation=False,
            non_deterministic=False,
            _skip_test=False,
        )


def recalibrator(map_: CalibrationMap, provenance: Json) -> Recalibrator:
    """A map and its provenance, plain JSON values, hashed together."""
    # As a reader will have it: tuples are lists, times are text.
    provenance = cast("Json", json.loads(_canonical(provenance)))
    return Recalibrator(map_, provenance, _hash(_body(map_, provenance)))


def dumps(artifact: Recalibrator) -> str:
    """The file's content; `loads` gives an equal recalibrator."""
    body = _body(artifact.map, artifact.provenance) | {"sha256": artifact.sha256}
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


def load(path: str | PathLike[str]) -> Recalibrator:
    """The recalibrator of a file; raises ArtifactError, or OSError where it cannot be read."""
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    return loads(content)


def loads(content: str | bytes) -> Recalibrator:
    """The recalibrator that a text holds, at most 1 MiB; raises ArtifactError for anything else."""
    try:
        return _checked(content)
    except (ValueError, RecursionError, OverflowError) as error:
        msg = f"not a recalibrator of calmon: {error or type(error).__name__}"
        raise ArtifactError(msg) from None


def _checked(content: str | bytes) -> Recalibrator:
    data = content if isinstance(content, bytes) else content.encode()
    _require(len(data) <= MAX_BYTES, f"longer than {MAX_BYTES} bytes")
    raw = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant)
    _require(isinstance(raw, dict) and raw.get("format") == FORMAT, f"no format {FORMAT!r}")
    version = raw.get("format_version")
    _require(
        type(version) is int and version == FORMAT_VERSION,
        f"format_version {version!r}; this calmon reads {FORMAT_VERSION}",
    )
    _require(set(raw) == KEYS, f"keys must be {', '.join(sorted(KEYS))}")
    told = raw.pop("sha256")
    _require(told == _hash(raw), "sha256 is not that of the content: it was changed")
    provenance = raw["provenance"]
    _require(isinstance(provenance, dict), "provenance must be an object")
    return Recalibrator(_map(raw["method"], raw["parameters"]), provenance, str(told))


def _map(name: object, parameters: object) -> CalibrationMap:
    _require(name in list(Method), f"no method {name!r}")
    method = Method(str(name))
    needed = NEEDED[method]
    if not isinstance(parameters, dict) or set(parameters) != set(needed):
        msg = f"parameters of {method} are {', '.join(needed)}"
        raise ValueError(msg)
    if method is Method.ISOTONIC:
        return Isotonic(*(_numbers(parameters[each]) for each in needed))
    values = [_number(parameters[each]) for each in needed]
    return Beta(*values) if method is Method.BETA else LogitLine(method, *values)


def _numbers(values: object) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) > MAX_KNOTS:
        msg = f"knots must be lists of at most {MAX_KNOTS} numbers"
        raise ValueError(msg)
    return tuple(_number(each) for each in values)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        msg = f"{str(value)[:40]!r} is not a finite number"
        raise ValueError(msg)
    return float(value)


def _body(map_: CalibrationMap, provenance: Json) -> Json:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "method": str(map_.method),
        "formula": FORMULAS[map_.method],
        "parameters": map_.parameters(),
        "provenance": provenance,
    }


def _canonical(value: object) -> str:
    """Keys sorted, no spaces, ASCII, floats in their shortest form that reads back the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(body: Json) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _of_class_1(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if scores.ndim == 2 and scores.shape[1] in {1, 2}:  # noqa: PLR2004  # one column or both classes
        return scores[:, -1]
    if scores.ndim != 1:
        msg = f"scores must be (n,), (n, 1) or (n, 2), not of shape {scores.shape}"
        raise ValueError(msg)
    return scores


def _once(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    _require(len(found) == len(pairs), "a key stands twice")
    return found


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not a number of JSON"
    raise ValueError(msg)


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001  # a condition
    if not holds:
        raise ValueError(otherwise)
