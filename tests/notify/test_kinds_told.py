"""What an alert says of a claim that is no probability of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.claims import Series
from monitor.notify.advice_paragraphs import in_short, what_to_do
from monitor.notify.bin_paragraphs import headline_bin
from tests.notify.verdict_samples import DRIFTED


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("interval:0.8", "labels 0.59 are within the interval, 0.77 is promised (0.78 in"),
        ("quantile:0.8", "labels 0.59 are at or below the quantile, 0.77 is promised (0.78 in"),
        ("top_label", "says 0.77 and is right 0.59"),
        ("positive", "says 0.77 and is right 0.59"),
    ],
)
def test_an_interval_is_not_right_but_covers(claim: str, said: str) -> None:
    verdict = replace(DRIFTED, series=Series("fraud", "7", claim))
    assert said in headline_bin(verdict)


def test_intervals_are_fitted_anew_and_not_mapped() -> None:
    unrepaired = replace(DRIFTED.evidence, repair=None)
    verdict = replace(DRIFTED, series=Series("fraud", "7", "interval:0.8"), evidence=unrepaired)
    assert "fit the quantiles or intervals anew" in what_to_do(verdict)
    assert "fit the intervals anew" in in_short(verdict)
    assert "recalibrator" in in_short(DRIFTED)
