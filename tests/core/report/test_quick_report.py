"""What is said of one file, by its state."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.bins import BinCounts
from monitor.core.measures.logistic import logit, sigmoid
from monitor.core.report.quick_report import quick_report, sections, title
from monitor.printing.report_page import markdown

TITLES = [
    "Verdict",
    "Numbers",
    "Worst bins",
    "What a repair would bring",
    "What more labels would buy",
    "What this cannot say",
]


def drawn(n: int, *, shift: float = 0.0, slope: float = 1.0) -> BinCounts:
    rng = np.random.default_rng([n, 1])
    score = sigmoid(rng.normal(0.0, 1.5, n))
    return BinCounts.from_rows(score, rng.random(n) < sigmoid(shift + slope * logit(score)))


NEVER_WRONG = BinCounts.from_rows(np.repeat([0.0, 1.0], 150), np.repeat([False, True], 150))
CONSTANT = BinCounts.from_rows(np.full(400, 0.25), np.arange(400) % 4 == 0)


@pytest.mark.parametrize(
    ("counts", "named", "said"),
    [
        (drawn(400), "Honest within the interval", "None of them is shown to help"),
        (drawn(400, shift=-1.0), "Overconfident", "too high overall"),
        (drawn(400, shift=1.0), "Underconfident", "too low overall"),
        (drawn(260, slope=0.6), "Overconfident", "More labels may show it"),
        (drawn(400, slope=0.3), "Overconfident", "is shown to help: log loss"),
        (drawn(1200, slope=0.3), "Overconfident", "is shown to help: log loss"),
        (drawn(30), "Too few labels to tell", "it takes about 200 labels and 20 of either outcome"),
        (CONSTANT, "Honest within the interval, but useless", "a constant would do as well"),
        (
            BinCounts.from_rows(np.full(400, 0.75), np.arange(400) % 4 == 0),
            "Overconfident, and useless",
            "a constant would do as well",
        ),
        (drawn(10), "Too few labels to tell", "label a hundred more"),
        (
            BinCounts.from_rows(np.ones(1), np.ones(1, dtype=bool)),
            "Too few labels to tell",
            "here are 1",
        ),
        (drawn(400, slope=-1.0), "The wrong way round", "Nothing is proposed"),
        (NEVER_WRONG, "Honest within the interval", "no spread to foretell"),
    ],
)
def test_the_state_is_named_and_so_is_what_follows(
    counts: BinCounts, named: str, said: str
) -> None:
    found = quick_report("labels.csv", [counts])
    assert title(found) == named
    assert said in markdown(found)
    assert "nan" not in markdown(found)
    assert [section.title for section in sections(found)] == TITLES


def test_worst_bins_are_those_with_most_outcomes_missed() -> None:
    score = np.repeat([0.1, 0.5, 0.9], 100)
    outcome = np.concatenate([np.arange(100) < k for k in (10, 20, 85)])
    worst = sections(quick_report("f", [BinCounts.from_rows(score, outcome)]))[2]
    assert worst.paragraphs == ("1 of 3 bins is shown to be wrong, all tested together at 5 %.",)
    assert [row[0] for row in worst.rows] == ["0.47 to 0.53", "0.87 to 0.93", "0.07 to 0.13"]
    assert worst.rows[0][1:3] == ("100", "0.50")
    assert worst.rows[0][4:] == ("+0.300", "too high")
    assert worst.rows[1][5] == "may be chance"


def test_what_a_file_cannot_know_points_to_what_does() -> None:
    said = " ".join(sections(quick_report("f", [CONSTANT], models=3))[-1].paragraphs)
    assert all(command in said for command in ("calmon backtest", "calmon run", "calmon threshold"))


def test_several_models_in_one_file_are_said_to_be_pooled() -> None:
    assert "names 3 models or versions, pooled here" in markdown(
        quick_report("f", [CONSTANT], models=3)
    )
    assert "pooled here" not in markdown(quick_report("f", [CONSTANT], models=1))


def test_a_name_from_outside_is_no_markup_in_markdown() -> None:
    text = markdown(quick_report("a\n# [b](javascript:c) | <i>.csv", [CONSTANT]))
    assert text.splitlines()[0].startswith("# a \\# \\[b\\](javascript:c) \\| \\<i\\>.csv: ")


def test_markdown_tables_have_as_many_cells_in_every_row() -> None:
    lines = markdown(quick_report("f", [drawn(400)])).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4, 5, 7}
