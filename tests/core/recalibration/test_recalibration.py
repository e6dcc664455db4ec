"""Artifacts: what is written is read back equal, what was touched is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from monitor.core.recalibration.artifact import (
    MAX_BYTES,
    ArtifactError,
    Recalibrator,
    dumps,
    load,
    loads,
    recalibrator,
)
from monitor.core.recalibration.recalibrators import (
    Beta,
    CalibrationMap,
    Isotonic,
    LogitLine,
    Method,
)

PROVENANCE: dict[str, object] = {"model": "fraud", "version": "7", "labels": 1200, "share": 0.1}
PLATT = LogitLine(Method.PLATT, 0.8, -0.25)
STEPS = Isotonic((0.1, 0.4, 0.9), (0.0, 0.5, 0.5))
SCORES = np.array([0.0, 1e-7, 0.1, 0.3, 0.5, 0.77, 1.0])

finite = st.floats(1e-3, 100)
maps = st.one_of(
    st.builds(lambda slope: LogitLine(Method.TEMPERATURE, slope), finite),
    st.builds(lambda a, b: LogitLine(Method.PLATT, a, b), finite, st.floats(-50, 50)),
    st.builds(Beta, finite, finite, st.floats(-50, 50)),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40).map(
        lambda knots: (sorted({x for x, _ in knots}), sorted(y for _, y in knots))
    ).filter(lambda knots: len(knots[0]) > 1).map(
        lambda knots: Isotonic(tuple(knots[0]), tuple(knots[1][: len(knots[0])]))
    ),
)  # fmt: skip


@given(maps, st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)))
@settings(deadline=None)
def test_what_is_written_is_read_back_to_the_bit(
    map_: CalibrationMap, provenance: dict[str, object]
) -> None:
    made = recalibrator(map_, provenance)
    read = loads(dumps(made))
    assert read == made
    assert read(SCORES).tolist() == map_(SCORES).tolist()


def test_the_hash_is_that_of_the_canonical_content_without_it() -> None:
    raw = json.loads(dumps(recalibrator(PLATT, PROVENANCE)))
    told = raw.pop("sha256")
    canonical = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    assert told == hashlib.sha256(canonical.encode()).hexdigest()
    assert raw["formula"] == (
        "p = 1 / (1 + exp(-(intercept + slope * ln(s / (1 - s))))), "
        "s = score clipped to [1e-6, 1 - 1e-6]"
    )


def test_a_file_is_loaded_and_one_that_is_no_longer_as_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fraud.json"
    made = recalibrator(STEPS, PROVENANCE)
    file.write_text(dumps(made), encoding="utf-8")
    assert load(file) == load(str(file)) == made
    file.write_text(dumps(made).replace("1200", "1201"), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^not a recalibrator of calmon: sha256 is not that"):
        load(file)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


def signed(**changed: object) -> str:
    """An artifact with some keys changed, and the right hash for them."""
    raw = json.loads(dumps(recalibrator(PLATT, PROVENANCE))) | changed
    del raw["sha256"]
    canonical = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return json.dumps(raw | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()})


def isotonic(score: list[Any], probability: list[Any]) -> str:
    return signed(method="isotonic", parameters={"score": score, "probability": probability})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("", "Expecting value", id="empty"),
        pytest.param("[]", "no format", id="no object"),
        pytest.param('{"a": 1, "a": 2}', "a key stands twice", id="a key twice"),
        pytest.param('{"format": NaN}', "NaN is not a number", id="NaN"),
        pytest.param(b"\xff\xfe", "decode", id="no text"),
        pytest.param(" " * (MAX_BYTES + 1), "longer than", id="too long"),
        pytest.param("[" * 100_000, "recursion", id="too deep"),
        pytest.param('{"format": ' + "9" * 5000 + "}", "digits", id="a huge number"),
        pytest.param(signed(format="other"), "no format", id="another format"),
        pytest.param(signed(format_version=2), "this calmon reads 1", id="newer"),
        pytest.param(signed(format_version=True), "this calmon reads 1", id="a version of true"),
        pytest.param(signed(more=1), "keys must be", id="one key more"),
        pytest.param(signed(method="neural"), "no method 'neural'", id="unknown method"),
        pytest.param(signed(method=["platt"]), "no method", id="a method that is a list"),
        pytest.param(signed(provenance=[]), "provenance", id="no provenance"),
        pytest.param(signed(parameters={"slope": 1.0}), "parameters of platt", id="no intercept"),
        pytest.param(signed(parameters=[]), "parameters of platt", id="no parameters"),
        pytest.param(
            signed(parameters={"slope": -1.0, "intercept": 0.0}), "above 0", id="falling line"
        ),
        pytest.param(
            signed(parameters={"slope": True, "intercept": 0.0}), "finite number", id="a boolean"
        ),
        pytest.param(
            signed(parameters={"slope": 1.0, "intercept": 0.0}).replace("1.0", "1e999"),
            "JSON compliant",
            id="beyond doubles",
        ),
        pytest.param(
            signed(parameters={"slope": 10**400, "intercept": 0.0}),
            "too large",
            id="an integer beyond doubles",
        ),
        pytest.param(isotonic([0.1, 0.2], [0.5, 0.4]), "never fall", id="falling steps"),
        pytest.param(isotonic([0.2, 0.1], [0.4, 0.5]), "must rise", id="scores out of order"),
        pytest.param(isotonic([0.1, 0.2], [0.5, 1.5]), "within 0 and 1", id="above 1"),
        pytest.param(isotonic([0.1, "0.2"], [0.5, 0.6]), "finite number", id="text"),
        pytest.param(isotonic([0.5] * 2001, [0.5] * 2001), "at most 2000", id="too many knots"),
    ],
)  # fmt: skip
def test_anything_else_is_one_clear_error(content: str | bytes, why: str) -> None:
    with pytest.raises(ArtifactError, match=r"^not a recalibrator of calmon: ") as refused:
        loads(content)
    assert why in str(refused.value)


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(deadline=None)
def test_no_input_raises_another_error(content: str | bytes) -> None:
    with pytest.raises(ArtifactError):
        loads(content)


@given(st.data())
@settings(deadline=None)
def test_a_changed_character_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    written = dumps(recalibrator(PLATT, PROVENANCE))
    at = data.draw(st.integers(0, len(written) - 1))
    changed = written[:at] + data.draw(st.characters(codec="ascii")) + written[at + 1 :]
    try:
        read = loads(changed)
    except ArtifactError:
        return
    # Space between tokens, or another spelling of the same number.
    assert read == loads(written)


def test_shapes_are_kept_and_scores_are_checked() -> None:
    made = recalibrator(PLATT, PROVENANCE)
    assert made.apply(0.5).shape == ()
    assert made.apply([[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)
    assert np.isnan(made([0.5, np.nan])).tolist() == [False, True]
    for wrong in (-0.1, 1.1, np.inf):
        with pytest.raises(ValueError, match="within 0 and 1"):
            made([0.5, wrong])
    with pytest.raises(ValueError, match=r"not of shape \(1, 3\)"):
        made.predict([[0.1, 0.2, 0.7]])


def test_scikit_learns_interface() -> None:
    made = recalibrator(PLATT, PROVENANCE)
    honest = made(SCORES)
    both = np.column_stack([1 - SCORES, SCORES])
    assert made.fit(both, SCORES > 0) is made
    assert made.predict(SCORES).tolist() == honest.tolist()
    assert made.predict(SCORES[:, None]).tolist() == honest.tolist()
    assert made.predict(both).tolist() == honest.tolist()
    assert made.predict_proba(both)[:, 1].tolist() == honest.tolist()
    assert made.predict_proba(both).sum(axis=1) == pytest.approx(1)
    assert made.transform(SCORES).tolist() == honest.tolist()
    assert made.transform(SCORES[:, None]).tolist() == honest[:, None].tolist()
    assert made.transform(both).tolist() == made.predict_proba(both).tolist()
    assert clone(made) is made


@pytest.mark.parametrize("map_", [PLATT, STEPS])
def test_it_is_a_step_of_a_pipeline(map_: CalibrationMap) -> None:
    made: Recalibrator = recalibrator(map_, PROVENANCE)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] + rng.normal(size=200) > 0).astype(int)
    model = LogisticRegression().fit(x, y)
    last = make_pipeline(FunctionTransformer(model.predict_proba), made).fit(x, y)
    honest = made(model.predict_proba(x)[:, 1])
    assert last.predict(x).tolist() == honest.tolist()
    assert last.predict_proba(x)[:, 1].tolist() == honest.tolist()
    middle = make_pipeline(FunctionTransformer(model.predict_proba), made, LogisticRegression())
    assert cross_val_predict(middle, x, y, cv=2).shape == (200,)


PROGRAM = """
import sys
from monitor.core.recalibration.artifact import load
print(load(sys.argv[1])([0.5]))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"scipy", "sklearn", "river"}))
"""


def test_numpy_is_all_that_it_takes(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(dumps(recalibrator(PLATT, PROVENANCE)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], capture_output=True, check=True, text=True
    )
    assert done.stdout.splitlines()[1] == "[]"


def test_only_load_reads_a_file_in_the_core() -> None:
    core = Path(__file__).parents[3] / "monitor" / "core"
    words = (".open(", " open(", "read_text", "read_bytes")
    text = {file.name: file.read_text("utf-8") for file in core.rglob("*.py")}
    reading = [name for name in text if any(word in text[name] for word in words)]
    assert reading == ["artifact.py"]
