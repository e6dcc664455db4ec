"""Baselines from validation files, of every kind of claim."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.cli.event_files import read_labelled
from monitor.core.bins import BinCounts
from monitor.core.judging.series_state import moment
from monitor.core.kinds import ClaimSet
from monitor.core.policies import Policy
from monitor.watch.baselines import baseline_from, baselines_from
from monitor.watch.counting import Events

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.judging.series_state import Baseline

N = 300
DAY_MS = 86_400_000
MATCH = Policy(claims=ClaimSet(classes=("a", "b")), min_labels=200)
ANSWERS = Policy(claims=ClaimSet(sources=("judge", "votes")), min_labels=200)
DEMAND = Policy(claims=ClaimSet(quantiles=(0.1, 0.9)), min_labels=200)


def read(path: Path, header: str, rows: list[str]) -> Events:
    path.write_text("\n".join([header, *rows]))
    found = read_labelled(path)
    assert isinstance(found, Events)
    return found


@pytest.fixture
def match(tmp_path: Path) -> Events:
    rows = [
        f"{k % 7 / 10},{1 - k % 7 / 10},{'ab'[k % 2]},{10**12 + k * DAY_MS // 10}" for k in range(N)
    ]
    return read(tmp_path / "match.csv", "p_a,p_b,label,ts", rows)


def by_claim(found: list[Baseline]) -> dict[str, Baseline]:
    return {each.series.claim: each for each in found}


def test_classes_have_a_baseline_each_and_one_of_the_top_label(match: Events) -> None:
    found, holds_from = baselines_from("m", "1", match, MATCH)
    pinned = by_claim(found)
    assert set(pinned) == {"top_label", "class:a", "class:b"}
    p = np.arange(N) % 7 / 10
    expected = BinCounts.from_rows(p, np.arange(N) % 2 == 0)
    assert np.array_equal(pinned["class:a"].counts.sums, expected.sums)
    top = pinned["top_label"].counts
    is_a = np.where(p >= 1 - p, np.arange(N) % 2 == 0, np.arange(N) % 2 == 1)
    assert (top.n_labelled, top.n_positive) == (N, int(is_a.sum()))
    # Ten rows a day: whole days are cohorts, and it holds from the end of the last one.
    assert {len(each.cohorts) for each in found} == {len(np.unique(match.ts_ms // DAY_MS))}
    assert holds_from == moment(int(match.ts_ms.max() // DAY_MS + 1) * 86_400)


def test_a_source_with_few_labels_is_left_out(tmp_path: Path) -> None:
    rows = [f"0.{k % 9},{'' if k % 3 else 0.5},{k % 2},{10**12 + k * DAY_MS}" for k in range(N)]
    events = read(tmp_path / "f.csv", "confidence_judge,confidence_votes,label,ts", rows)
    found, _ = baselines_from("m", "1", events, ANSWERS)
    assert set(by_claim(found)) == {"confidence:judge"}
    with pytest.raises(
        ValueError, match=f"{N} labelled rows; the policy's min_labels asks for 999"
    ):
        baselines_from("m", "1", events, replace(ANSWERS, min_labels=999))


def test_quantiles_are_covered_or_not(tmp_path: Path) -> None:
    rows = [f"-1,1,{k % 4 - 1.5},{10**12 + k * DAY_MS}" for k in range(N)]
    events = read(tmp_path / "f.csv", "q_0.1,q_0.9,label,ts", rows)
    pinned = by_claim(baselines_from("m", "1", events, DEMAND)[0])
    shares = {claim: each.counts.n_positive / N for claim, each in pinned.items()}
    assert shares == {"quantile:0.1": 0.25, "quantile:0.9": 0.75, "interval:0.8": 0.5}


def test_what_would_be_compared_with_nothing_is_refused(match: Events) -> None:
    with pytest.raises(ValueError, match="declares no claims, so none of p_a, p_b"):
        baselines_from("m", "1", match, Policy())
    with pytest.raises(ValueError, match="declares llm claims, but the file has no column"):
        baselines_from("m", "1", match, ANSWERS)
    undated = replace(match, ts_ms=np.zeros(N, dtype=np.int64))
    with pytest.raises(ValueError, match="needs a column ts"):
        baselines_from("m", "1", undated, MATCH)
    score = np.full(N, 0.5)
    with pytest.raises(ValueError, match="make the claims top_label, class:a, class:b; give"):
        baseline_from("m", "1", score, score, match.ts_ms, MATCH)
