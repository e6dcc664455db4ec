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
from monitor.core.quick_report import quick_report
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


@pytest.mark.parametrize("option", [["--markdown"], ["--html", "page.html"]])
def test_a_page_is_of_one_file(labels: Path, option: list[str]) -> None:
    done = CliRunner().invoke(app, ["report", str(labels), str(labels), *option])
    assert "one file with columns score and label" in str(done.exception)


def test_a_page_that_cannot_be_written_is_said(labels: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(labels), "--html", str(tmp_path / "no" / "p")])
    assert re.search(r"cannot be written: No such file", str(done.exception))


def test_a_page_does_not_overwrite_the_file_that_is_read(labels: Path) -> None:
    before = labels.read_bytes()
    done = CliRunner().invoke(app, ["report", str(labels), "--html", str(labels)])
    assert "is the file that is read; give another one to write" in str(done.exception)
    assert labels.read_bytes() == before
