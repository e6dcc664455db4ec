"""`calmon report F` as a page: one file, safe with any name, readable by everyone."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.cli.root import app
from monitor.core.bins import BinCounts
from monitor.core.claims import Series
from monitor.core.report.kinds_report import MOST_SHOWN, KindsReport, parts
from monitor.core.report.quick_report import quick_report
from monitor.core.report.reports import series_report
from monitor.pictures import PictureError, bins_svg
from monitor.printing.report_page import html_page

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<img src=x onerror=alert(1)>\"&'</title><script>.csv"
VOID = {"meta"}


class Page(HTMLParser):
    """Elements of a page, its text by element, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@cache
def made(name: str = "labels.csv") -> str:
    rng = np.random.default_rng(4)
    score = rng.random(300)
    found = quick_report(name, [BinCounts.from_rows(score, rng.random(300) < score**2)])
    return html_page(found, bins_svg(found.bins))


def test_the_page_is_well_formed_and_can_be_read_by_ear() -> None:
    page = Page(made())
    assert page.open == []
    assert dict(page.elements)["html"] == {"lang": "en"}
    assert page.of("title") == page.of("h1") == ["labels.csv: Overconfident"]
    assert page.of("h2")[0] == "Verdict"
    assert len(page.of("h2")) == 6
    [picture] = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert picture["role"] == "img"
    assert "promised 0.5" in str(picture["aria-label"])
    scopes = [attributes.get("scope") for tag, attributes in page.elements if tag == "th"]
    assert set(scopes) == {"col", "row"}


def test_the_page_asks_nothing_of_the_network_and_runs_nothing() -> None:
    page = Page(made())
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "image", "use", "object", "a"}
    attributes = [key for _, each in page.elements for key in each]
    assert not {"src", "href", "xlink:href"} & set(attributes)
    assert not [key for key in attributes if key.startswith("on")]
    addresses = set(re.findall(r"https?://[^\"' ]+", made()))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", made())
    assert "@import" not in made()


def test_it_has_a_dark_mode_and_a_printed_form() -> None:
    assert "prefers-color-scheme: dark" in made()
    assert "@media print" in made()


def test_a_hostile_name_stays_text() -> None:
    page = Page(made(HOSTILE))
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in Page(made()).elements}
    assert "".join(page.of("h1")) == "".join(page.of("title")) == f"{HOSTILE}: Overconfident"


def test_a_picture_needs_a_label() -> None:
    found = quick_report("f", [BinCounts.empty()])
    with pytest.raises(PictureError, match="no bin holds a label"):
        bins_svg(found.bins)
    assert "<svg" not in html_page(found, None)
    assert Page(html_page(found, None)).open == []


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    score = rng.random(300).round(4)
    rows = [f"{s},{int(rng.random() < s)}" for s in score]
    path = tmp_path / "my <labels>.csv"
    path.write_text("\n".join(["score,label", *rows]))
    return path


def test_one_command_gives_page_markdown_or_json(labels: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(labels), "--markdown", "--html", str(page)])
    assert done.exit_code == 0
    assert done.stdout.startswith("# my \\<labels\\>.csv: Honest within the interval\n\n## Verdict")
    assert done.stderr == f"Honest within the interval: {page}\n"
    text = page.read_text(encoding="utf-8")
    assert Page(text).of("h1") == ["my <labels>.csv: Honest within the interval"]
    assert str(tmp_path) not in text
    found = json.loads(CliRunner().invoke(app, ["report", str(labels), "--json"]).stdout)
    assert [one["n"] for one in found["more_labels"]] == [300, 600, 1200, 3000]
    assert found["series"][0]["model"] == str(labels)
    assert set(found["repair"]) >= {"method", "proposed", "tried", "changes", "words"}


def test_models_of_one_file_are_pooled_and_counted(tmp_path: Path) -> None:
    rows = [f"0.{k % 9 + 1},{k % 2},m{k % 3}" for k in range(90)]
    file = tmp_path / "three.csv"
    file.write_text("\n".join(["score,label,model", *rows]))
    said = CliRunner().invoke(app, ["report", str(file), "--markdown"]).stdout
    assert "The file names 3 models or versions, pooled here" in said
    assert "| labels " in said
    assert "| 90 " in said


def test_without_an_option_the_text_is_as_ever(labels: Path) -> None:
    said = CliRunner().invoke(app, ["report", str(labels)]).stdout
    assert said.startswith("### ")
    assert "| ECE, debiased" in said


def test_a_page_that_cannot_be_written_is_said(labels: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(labels), "--html", str(tmp_path / "no" / "p")])
    assert re.search(r"cannot be written: No such file", str(done.exception))


def test_a_page_does_not_overwrite_the_file_that_is_read(labels: Path) -> None:
    before = labels.read_bytes()
    done = CliRunner().invoke(app, ["report", str(labels), "--html", str(labels)])
    assert "is the file that is read; give another one to write" in str(done.exception)
    assert labels.read_bytes() == before


def sources(n: int = 400) -> str:
    """Answers of a model with an honest judge and words that are always too sure."""
    rng = np.random.default_rng(6)
    judge = rng.beta(2, 1, n).round(3)
    right = rng.random(n) < judge
    rows = [f"{j},0.9{k % 9},{int(r)}" for k, (j, r) in enumerate(zip(judge, right, strict=True))]
    return "\n".join(["confidence_judge,confidence_verbalized,label", *rows])


def classes(n: int = 400) -> str:
    rng = np.random.default_rng(7)
    p = rng.dirichlet([2, 1, 1], n).round(4)
    p[:, 2] = (1 - p[:, 0] - p[:, 1]).round(4)
    names = ["a", "b", "<c>|`[x](y)`"]
    rows = [f"{x},{y},{z},{names[rng.choice(3, p=q / q.sum())]}" for q in p for x, y, z in [q]]
    return "\n".join(["p_a,p_b,p_<c>|`[x](y)`,label", *rows])


def levels(n: int = 400) -> str:
    """Quantiles of a unit normal for labels that are twice as wide."""
    label = 2 * np.random.default_rng(8).normal(size=n)
    return "\n".join(["q_0.1,q_0.5,q_0.9,label", *(f"-1.28,0,1.28,{y:.4f}" for y in label)])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, str]]:
    """By kind what is printed as markdown, what is said, and the page."""
    there = tmp_path_factory.mktemp("kinds")
    found = {}
    for kind, rows in {"sources": sources(), "classes": classes(), "levels": levels()}.items():
        file, page = there / f"{kind}.csv", there / f"{kind}.html"
        file.write_text(rows)
        done = CliRunner().invoke(app, ["report", str(file), "--markdown", "--html", str(page)])
        assert done.exit_code == 0, done.exception
        assert str(there) not in done.stdout + page.read_text()
        found[kind] = done.stdout, done.stderr, page.read_text()
    return found


Pages = dict[str, tuple[str, str, str]]


@pytest.mark.parametrize(
    ("kind", "said", "pictures"),
    [
        ("sources", "1 of 2 claims is shown to be off", 2),
        ("classes", "No claim is shown to be off", 4),
        ("levels", "3 of 4 claims are shown to be off", 2),
    ],
)
def test_a_page_of_other_kinds_has_a_picture_a_claim(
    pages: Pages, kind: str, said: str, pictures: int
) -> None:
    text, told, html = pages[kind]
    page = Page(html)
    assert page.open == []
    assert page.of("h1") == [f"{kind}.csv: {said}"]
    assert told.startswith(f"{said}: ")
    drawn = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawn) == pictures
    assert all("observed" in str(each["aria-label"]) for each in drawn)
    assert page.of("h2")[0] == "Verdicts"
    assert page.of("h2")[-2:] == ["What more labels would buy", "What this cannot say"]
    assert [f"## {title}" for title in page.of("h2")] == [
        line.replace("\\", "") for line in text.splitlines() if line.startswith("## ")
    ]
    assert "nan" not in text


def test_sources_stand_side_by_side_with_what_they_have_in_common(pages: Pages) -> None:
    text = pages["sources"][0]
    assert "## Sources of confidence side by side" in text
    assert "verbalized is weak evidence" in text
    assert "judge and verbalized agree on" in text
    assert "| confidence:verbalized | 400    | Overconfident " in text
    assert "`calmon recalibrate sources.csv --claim confidence:verbalized`" in text


def test_levels_are_told_as_coverage(pages: Pages) -> None:
    text = pages["levels"][0]
    assert re.search(r"\| interval:0.8 +\| 400 +\| Too narrow", text)
    assert re.search(r"of the labels, promised 0.8\.", text)
    assert re.search(r"\| quantile:0.5 +\| ± 0.049 \(0.070\) +\| ± 0.035 \(0.050\)", text)
    assert "calmon recalibrate" not in text


def test_hostile_names_of_classes_are_no_markup(pages: Pages) -> None:
    text, _, html = pages["classes"]
    assert "temperature" in text
    assert "<c>" not in html
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any("\\<c\\>\\|`\\[x\\](y)`" in line for line in tables)


def test_of_many_claims_those_furthest_off_are_drawn() -> None:
    rng = np.random.default_rng(9)
    claims = []
    for k in range(20):
        score = rng.random(60)
        counts = BinCounts.from_rows(score, rng.random(60) < score ** (1 + k))
        claims.append(
            (series_report(Series("m", "", f"class:{k:02}"), counts, pooled=True), counts)
        )
    found = KindsReport("f", tuple(claims))
    drawn = [part for part in parts(found) if part.picture is not None]
    assert len(drawn) == MOST_SHOWN
    shown = [part.section.title for part in drawn]
    least = [report["metrics"]["ece_debiased_low"] or 0.0 for report, _ in claims]
    worst = claims[int(np.argmax(least))][0]["claim"]
    assert shown[0] == f"The claim {worst}"
    assert "The claim class:00" not in shown
    assert "12 have a picture" in " ".join(parts(found)[0].section.paragraphs)


def test_two_files_of_several_models_have_a_part_for_each(tmp_path: Path) -> None:
    rows = [(f"i{k}", f"m{k % 2}", k % 9 / 10, k % 3 % 2) for k in range(200)]
    given, told = tmp_path / "p.csv", tmp_path / "l.csv"
    given.write_text(
        "\n".join(
            [
                "prediction_id,model,version,ts,score",
                *(f"{i},{m},1,2026-01-01T00:00:00Z,{s}" for i, m, s, _ in rows),
            ]
        )
    )
    told.write_text(
        "\n".join(
            ["prediction_id,ts,label", *(f"{i},2026-01-02T00:00:00Z,{y}" for i, _, _, y in rows)]
        )
    )
    done = CliRunner().invoke(app, ["report", str(given), str(told), "--markdown"])
    assert done.exit_code == 0, done.exception
    titles = [line for line in done.stdout.splitlines() if line.startswith("## ")]
    assert titles[0] == "## m0: Verdicts"
    assert "## m1: The scores" in titles
    refused = CliRunner().invoke(app, ["report", str(given), str(told), "--html", str(told)])
    assert "is the file that is read" in str(refused.exception)
