"""The report of files as an HTML page, with style and pictures in it, and as markdown.

Guarantees: no script and no remote asset; every text is escaped; it reads with and without a dark
mode, on paper, and by ear (the picture has its words). Must never: compute, or say what the
report's sections do not.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from monitor import __version__
from monitor.core.report import kinds_report
from monitor.core.report.quick_report import picture_words, sections, title
from monitor.core.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.report.kinds_report import KindsReport, Picture
    from monitor.core.report.quick_report import QuickReport, Row, Section
    from monitor.core.verdicts import BinEstimate

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --line: #ccc; --soft: #666; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181b; --line: #44484d; --soft: #a3a8ae; }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 46rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
main > section:first-of-type > p:first-of-type { font-weight: 600; }
figure { margin: 1.5rem 0; }
figure svg { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption, footer { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
code { white-space: pre-wrap; }
td code { white-space: pre; background: color-mix(in srgb, var(--ink) 8%, transparent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td:nth-child(-n+3) { white-space: nowrap; }
td:last-child { white-space: normal; padding-right: 0; }
@media print {
  :root { --ink: #000; --paper: #fff; --line: #999; --soft: #444; }
  body { margin: 0; max-width: none; font-size: 10pt; }
  h2 { margin-top: 1rem; break-after: avoid; }
  figure svg { width: auto; height: 10.5cm; }
  figure, section { break-inside: avoid; }
}
""".strip()
_CAPTION = (
    "Above: how often the outcome came, against what the scores claimed, with 95 % intervals; on "
    "the dashed line the two agree, below it the scores claim too much. Below: labels by score. "
    "Bins with few labels are pale."
)


def html_page(found: QuickReport, svg: str | None) -> str:
    """The page as text; svg: the picture, an SVG element drawn by `pictures`, if there is one."""
    first, *rest = [_section(section) for section in sections(found)]
    figure = "" if svg is None else _figure(svg, picture_words(found), _CAPTION)
    return _document(f"{one_line(found.report['model'])}: {title(found)}", [first, figure, *rest])


def kinds_page(found: KindsReport, draw: Callable[[Sequence[BinEstimate]], str]) -> str:
    """The page of several claims; draw: gives an SVG element, as `pictures.bins_svg`."""
    body = [
        _section(part.section, _drawn(part.picture, draw)) for part in kinds_report.parts(found)
    ]
    return _document(f"{one_line(found.name)}: {kinds_report.title(found)}", body)


def _drawn(picture: Picture | None, draw: Callable[[Sequence[BinEstimate]], str]) -> str:
    return "" if picture is None else _figure(draw(picture.bins), picture.words, picture.caption)


def _document(said: str, body: Sequence[str]) -> str:
    heading = escape(said)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{heading}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{heading}</h1>",
        *body,
        "</main>",
        f"<footer>calmon {escape(__version__)}, calmon report</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _figure(svg: str, words: str, caption: str) -> str:
    """The picture as one image for a screen reader, with its words."""
    named = f'<svg role="img" aria-label="{escape(words)}" '
    return (
        f"<figure>{svg.replace('<svg ', named, 1)}<figcaption>{escape(caption)}</figcaption>"
        "</figure>"
    )


def _section(section: Section, figure: str = "") -> str:
    paragraphs = [f"<p>{_code(escape(each))}</p>" for each in section.paragraphs]
    table = _table(section) if section.rows else ""
    parts = [f"<h2>{escape(section.title)}</h2>", *paragraphs, figure, table]
    return "\n".join(["<section>", *(part for part in parts if part), "</section>"])


def _code(escaped: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escaped)


def _table(section: Section) -> str:
    """Rows whose first cell names them."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in section.header)
    body = "\n".join(_row(row) for row in section.rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _row(row: Row) -> str:
    first, *rest = (_code(escape(cell)) for cell in row)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'


def markdown(found: QuickReport) -> str:
    """The report as markdown, without the picture."""
    return _markdown(f"{_plain(found.report['model'])}: {title(found)}", sections(found))


def kinds_markdown(found: KindsReport) -> str:
    """The report of several claims as markdown, without the pictures."""
    parts = [part.section for part in kinds_report.parts(found)]
    return _markdown(f"{_plain(found.name)}: {kinds_report.title(found)}", parts)


def _markdown(heading: str, parts: Sequence[Section]) -> str:
    lines = [f"# {heading}", ""]
    for section in parts:
        lines += [f"## {_no_markup(section.title)}", ""]
        for paragraph in section.paragraphs:
            lines += [_no_markup(paragraph), ""]
        if section.rows:
            lines += [*_markdown_table(section), ""]
    return "\n".join(lines)


def _markdown_table(section: Section) -> list[str]:
    rows = [tuple(map(_no_markup, row)) for row in (section.header, *section.rows)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, wide, strict=True))} |"
        for row in rows
    ]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in wide)}|", *lines[1:]]


def _plain(name: str) -> str:
    """A name on one line, with what markdown would read as markup escaped."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!&" else c for c in one_line(name))


def _no_markup(said: str) -> str:
    """A sentence or cell with what would make a name in it markup escaped; backticks are ours."""
    return "".join(f"\\{c}" if c in "[]<>|" else c for c in said)
