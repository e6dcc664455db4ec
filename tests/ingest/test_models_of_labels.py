from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.files import (
    FileError,
    LabelFile,
    PredictionFile,
    with_models,
)


def objects(values: list[str]) -> np.ndarray[Any, np.dtype[np.object_]]:
    return np.array(values, dtype=np.object_)


ids = st.sampled_from("abcdef")


@settings(deadline=None)
@given(
    predicted=st.lists(st.tuples(ids, st.sampled_from(["m1", "m2", "m3"])), min_size=1),
    labelled=st.lists(st.tuples(ids, st.sampled_from([0.0, 1.0])), min_size=1),
)
def test_models_are_resolved_as_a_dictionary_would(
    predicted: list[tuple[str, str]], labelled: list[tuple[str, float]]
) -> None:
    n = len(predicted)
    predictions = PredictionFile(
        "p",
        objects([name for name, _ in predicted]),
        objects([model for _, model in predicted]),
        objects(["1"] * n),
        np.zeros(n, dtype=np.int64),
        np.zeros(n),
        {},
    )
    labels = LabelFile(
        "l",
        objects([name for name, _ in labelled]),
        None,
        np.arange(len(labelled)),
        np.array([label for _, label in labelled]),
    )
    first_rows = list(dict.fromkeys(model for _, model in predicted))
    expected = [
        (name, model, row, label)
        for row, (name, label) in enumerate(labelled)
        for model in [m for m in first_rows if (name, m) in predicted] or [""]
    ]
    if all(model == "" for _, model, _, _ in expected):
        with pytest.raises(FileError, match="give the label file of these predictions"):
            with_models(labels, predictions)
        return

    resolved = with_models(labels, predictions)

    assert resolved.model is not None
    got = zip(resolved.prediction_id, resolved.model, resolved.ts_ms, resolved.label, strict=True)
    assert list(got) == expected
    assert resolved.unmatched == sum(model == "" for _, model, _, _ in expected)
    assert with_models(resolved, predictions) is resolved
