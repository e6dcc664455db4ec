from __future__ import annotations

import json
import re
import struct
from functools import cache
from typing import Any

import pytest
import vl_convert

from monitor.charts import (
    BASELINE,
    FEW_LABELS,
    WINDOW,
    reliability_chart,
)
from monitor.core.claims import Series
from monitor.core.verdicts import BinEstimate, Direction, Status, Verdict
from monitor.pictures import SCALE, PictureError, reliability_png
from tests.notify import verdict_samples as samples

LONG = Series("card-not-present-fraud-detector-eu-west", "2026-02-11-retrained", segment="c=DE")
NO_BASELINE = samples.with_evidence(samples.DRIFTED, baseline=None, baseline_bins=())
RARE = samples.with_evidence(
    samples.made(samples.rows(5, 3000, 1.0, 0.7, -6.5), Status.DRIFTED, LONG),
    direction=Direction.UNDERCONFIDENT,
    baseline_bins=samples.bins(samples.rows(6, 9000, 1.0, 0.0, -6.5)),
)


@cache
def spec(verdict: Verdict) -> dict[str, Any]:
    """Vega-Lite definition, validated against its schema by Altair."""
    return dict(reliability_chart(verdict).to_dict())


def drawn(verdict: Verdict, trace: str) -> list[dict[str, Any]]:
    """Rows of a trace."""
    return list(spec(verdict)["datasets"][trace])


def words(verdict: Verdict) -> str:
    """All text of the picture."""
    svg = vl_convert.vegalite_to_svg(spec(verdict))
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg, flags=re.DOTALL)
    return " | ".join(re.sub(r"<[^>]*>", " | ", text) for text in texts)


@pytest.mark.parametrize("verdict", [samples.DRIFTED, samples.OK, NO_BASELINE, RARE])
def test_every_bin_that_holds_labels_is_drawn_with_its_interval(verdict: Verdict) -> None:
    for trace, bins in (
        (WINDOW, verdict.evidence.bins),
        (BASELINE, verdict.evidence.baseline_bins),
    ):
        shown = [
            (row["claimed"], row["observed"], row["low"], row["high"], row["n"])
            for row in drawn(verdict, trace)
        ]
        pale = [row["joined"] is None for row in drawn(verdict, trace)]
        assert pale == [b.n < FEW_LABELS for b in bins]
        assert shown == [(b.mean_score, b.observed, b.ci_low, b.ci_high, b.n) for b in bins]


def test_a_bin_without_labels_is_not_drawn() -> None:
    empty = BinEstimate(0.9, 1.0, 0, float("nan"), float("nan"), 0.0, 1.0)
    verdict = samples.with_evidence(samples.DRIFTED, bins=(*samples.DRIFTED.evidence.bins, empty))
    assert drawn(verdict, WINDOW) == drawn(samples.DRIFTED, WINDOW)


def test_the_picture_of_a_stored_row_is_the_picture_of_the_verdict() -> None:
    stored = json.loads(json.dumps(samples.DRIFTED.as_json()))
    png = reliability_png(stored)
    assert png == reliability_png(samples.DRIFTED)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    # Twice the 400 px panel and its surroundings; small enough that Slack shows it whole.
    assert 400 * SCALE < width < 700 * SCALE
    assert width < height < 800 * SCALE


def test_the_picture_says_who_what_how_much_and_on_what() -> None:
    said = words(samples.DRIFTED)
    for text in (
        "fraud v7 is overconfident",
        "ECE 0.078 (0.057 to 0.102), in the baseline 0.023 (0.017 to 0.030)",
        "5 Mar 2026 to 12 Mar 2026, 2,300 labels, 93% of predictions labelled",
        "claimed probability",
        "observed frequency",
        "this window, with 95% intervals",
        "baseline",
        "claimed = observed",
    ):
        assert text in said
    assert said.count("claimed probability") == 1


def test_a_resolved_picture_says_so_and_a_missing_baseline_is_not_named() -> None:
    assert "fraud v7 is not shown to differ from its baseline" in words(samples.OK)
    said = words(NO_BASELINE)
    assert "in the baseline unknown" in said
    assert "| baseline |" not in said


def test_a_long_name_is_wrapped_and_never_costs_the_direction() -> None:
    title = spec(RARE)["title"]["text"]
    assert title == [
        "card-not-present-fraud-detector-eu-west",
        "2026-02-11-retrained, segment c=DE",
        "is underconfident",
    ]
    endless = samples.made(samples.WINDOW, Status.DRIFTED, Series("m" * 300, "1"))
    text = spec(endless)["title"]["text"]
    assert text[-1] == "no longer matches its baseline"
    assert max(map(len, text)) <= 52


def one_bin(lower: float, upper: float, observed: float) -> Verdict:
    middle = (lower + upper) / 2
    only = BinEstimate(lower, upper, 50, middle, observed, 0.0, 1.0)
    return samples.with_evidence(samples.DRIFTED, bins=(only,), baseline_bins=())


@pytest.mark.parametrize(
    ("verdict", "domain"),
    [
        (samples.DRIFTED, [0.0, 1.0]),
        (one_bin(0.0, 0.05, 0.02), [0.0, 0.2]),
        (one_bin(0.95, 1.0, 0.99), [0.8, 1.0]),
        (one_bin(0.4, 0.5, 0.45), [0.4, 0.6]),
        (one_bin(0.6, 0.7, 0.3), [0.3, 0.7]),
        (one_bin(0.1, 0.2, 0.75), [0.1, 0.8]),
    ],
)
def test_both_axes_show_the_part_of_the_square_that_is_used(
    verdict: Verdict, domain: list[float]
) -> None:
    upper, strip = spec(verdict)["vconcat"]
    encodings = [inner["encoding"] for layer in upper["layer"] for inner in layer["layer"]]
    domains = [e[axis]["scale"]["domain"] for e in encodings for axis in ("x", "y")]
    domains.append(strip["encoding"]["x"]["scale"]["domain"])
    for shown in domains:
        assert shown == pytest.approx(domain)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"series": {}}, "model must be a string"),
        (one_bin(0, 1, 0.5).as_json() | {"evidence": None}, "evidence must be an object"),
        (
            samples.with_evidence(samples.OK, bins=(), baseline_bins=()).as_json(),
            "no bin holds a label",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(raw: dict[str, object], complaint: str) -> None:
    with pytest.raises(PictureError, match=f"could not be drawn: .*{complaint}"):
        reliability_png(raw)
