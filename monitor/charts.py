"""Charts: one Altair definition a picture, for the alert, the report and pages alike.

Guarantees: a picture is a function of a verdict or of bins alone, so it can be drawn from a row
written earlier; it needs no network and no display; colours are told apart by colour-blind readers
(Okabe and Ito 2008) and by shape. Must never: hide a bin that holds labels, or draw an estimate
without its interval.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from monitor.core.verdicts import Status
from monitor.core.wording import amount, day, direction_words, interval, series_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.verdicts import BinEstimate, Metrics, Verdict

WINDOW_COLOUR = "#D55E00"
BASELINE_COLOUR = "#8FB8DE"
INK = "#333333"
GRID = "#E6E6E6"
SIDE_PX = 400
STRIP_PX = 70

WINDOW, BASELINE = "this window, with 95% intervals", "baseline"
_DIAGONAL = "diagonal"
_Row = dict[str, Any]
FEW_LABELS = 10
"""Bins with fewer labels are drawn pale and are not joined to their neighbours."""
_TITLE_CHARACTERS = 52


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is shown: the part of [0, 1] on both axes, and the traces that the legend names.

    Without a legend it is told beside the picture what the one trace is.
    """

    low: float
    high: float
    traces: tuple[str, ...]
    legend: bool

    @property
    def domain(self) -> list[float]:
        return [self.low, self.high]


def reliability_chart(verdict: Verdict) -> alt.VConcatChart:
    """Observed frequency against claimed probability, window over baseline, labels below.

    Raises ValueError when neither the window nor the baseline has a bin with labels.
    """
    evidence = verdict.evidence
    chart = _diagram(evidence.bins, evidence.baseline_bins, legend=True)
    return chart.properties(title=_title(verdict))


def bins_chart(bins: Sequence[BinEstimate]) -> alt.VConcatChart:
    """As `reliability_chart`, of bins alone: no baseline, no title, no legend.

    Raises ValueError when no bin has labels.
    """
    return _diagram(bins, (), legend=False)


def _diagram(
    bins: Sequence[BinEstimate], before: Sequence[BinEstimate], *, legend: bool
) -> alt.VConcatChart:
    window = [_row(one) for one in bins if one.n]
    baseline = [_row(one) for one in before if one.n]
    if not window and not baseline:
        msg = "no bin holds a label"
        raise ValueError(msg)
    frame = _frame(window, baseline, legend=legend)
    traces = [_trace(BASELINE, frame), _trace(WINDOW, frame)]
    upper = alt.LayerChart(layer=[_diagonal(frame), *traces], width=SIDE_PX, height=SIDE_PX)
    # Rows stand beside the charts, by name: Altair copies what is in them at every step.
    rows = {WINDOW: window, BASELINE: baseline, _DIAGONAL: [{"at": at} for at in frame.domain]}
    return alt.VConcatChart(
        vconcat=[upper, _strip(frame)],
        spacing=8,
        datasets={name: [{**row, "trace": name} for row in of] for name, of in rows.items()},
        background="white",
        padding=14,
        config=_config(),
    )


def _row(one: BinEstimate) -> _Row:
    return {
        "lower": one.lower,
        "upper": one.upper,
        "n": one.n,
        "claimed": one.mean_score,
        "observed": one.observed,
        "joined": one.observed if one.n >= FEW_LABELS else None,
        "low": one.ci_low,
        "high": one.ci_high,
    }


def _frame(window: list[_Row], baseline: list[_Row], *, legend: bool) -> _Frame:
    """Tenths around everything drawn but the intervals, at least .2 wide, within [0, 1].

    A rare-event model claims .00 to .10: on the whole square its picture would be one dot.
    """
    drawn = [*window, *baseline]
    low = min(min(one["lower"], one["observed"]) for one in drawn)
    high = max(max(one["upper"], one["observed"]) for one in drawn)
    low, high = math.floor(low * 10 + 1e-9) / 10, math.ceil(high * 10 - 1e-9) / 10
    high = min(1.0, max(high, low + 0.2))
    low = max(0.0, min(low, high - 0.2))
    named = ((WINDOW, window), (BASELINE, baseline))
    return _Frame(low, high, tuple(trace for trace, rows in named if rows), legend)


def _x(field: str, frame: _Frame, axis: alt.Axis | None = None) -> alt.X:
    """Horizontal position; the upper panel's ticks and title are those of the strip below it."""
    grid_only = alt.Axis(title=None, labels=False, ticks=False, tickCount=6)
    scale = alt.Scale(domain=frame.domain, nice=False)
    return alt.X(field, type="quantitative", scale=scale, axis=axis or grid_only)


def _y(field: str, frame: _Frame) -> alt.Y:
    axis = alt.Axis(title="observed frequency", format=".2~f", tickCount=6)
    scale = alt.Scale(domain=frame.domain, nice=False)
    return alt.Y(field, type="quantitative", scale=scale, axis=axis)


def _diagonal(frame: _Frame) -> alt.LayerChart:
    ends = alt.Chart(alt.NamedData(_DIAGONAL))
    line = ends.mark_line(color="#777777", strokeDash=[5, 4], strokeWidth=1.2).encode(
        x=_x("at", frame), y=_y("at", frame)
    )
    corner = ends.transform_filter(f"datum.at == {frame.high}")
    name = corner.mark_text(
        text="claimed = observed", align="right", baseline="bottom", dy=-5, color="#777777"
    ).encode(x=_x("at", frame), y=_y("at", frame))
    return alt.LayerChart(layer=[line, name])


def _trace(trace: str, frame: _Frame) -> alt.LayerChart:
    """Points with their intervals, joined where enough labels stand behind them.

    The baseline stands 3 px to the left, lest the window's intervals lie on top of its own.
    """
    strong = trace == WINDOW
    shift = 0 if strong else -3
    of = alt.Chart(alt.NamedData(trace))
    opacity = alt.condition(f"datum.n >= {FEW_LABELS}", alt.value(1), alt.value(0.35))
    colour, shape = _legend(frame)
    line = of.mark_line(
        strokeWidth=1.2, strokeOpacity=0.55, xOffset=shift, invalid="break-paths-show-path-domains"
    ).encode(x=_x("claimed", frame), y=_y("joined", frame), color=colour)
    rule = of.mark_rule(strokeWidth=2 if strong else 1.4, clip=True, xOffset=shift).encode(
        x=_x("claimed", frame), y=_y("low", frame), y2="high", color=colour, opacity=opacity
    )
    point = of.mark_point(filled=True, size=80 if strong else 55, xOffset=shift).encode(
        x=_x("claimed", frame),
        y=_y("observed", frame),
        color=colour,
        shape=shape,
        opacity=opacity,
    )
    return alt.LayerChart(layer=[line, rule, point])


def _legend(frame: _Frame) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape of the traces, told in one legend."""
    shown = alt.Legend(title=None, orient="top", symbolOpacity=1, offset=6, labelLimit=0)
    legend = shown if frame.legend else None
    colours = {WINDOW: WINDOW_COLOUR, BASELINE: BASELINE_COLOUR}
    shapes = {WINDOW: "circle", BASELINE: "diamond"}
    names = list(frame.traces)
    colour = alt.Scale(domain=names, range=[colours[name] for name in names])
    shape = alt.Scale(domain=names, range=[shapes[name] for name in names])
    return (
        alt.Color("trace", type="nominal", scale=colour, legend=legend),
        alt.Shape("trace", type="nominal", scale=shape, legend=legend),
    )


def _strip(frame: _Frame) -> alt.Chart:
    below = alt.Axis(title="claimed probability", format=".2~f", tickCount=6, labelFlush=False)
    beside = alt.Axis(
        title="labels", tickCount=2, tickMinStep=1, labelExpr="format(datum.value, '~s')"
    )
    strip: alt.Chart = (
        alt.Chart(alt.NamedData(WINDOW))
        .mark_bar(color=WINDOW_COLOUR, opacity=0.45, stroke="white", strokeWidth=1)
        .encode(
            x=_x("lower", frame, below),
            x2="upper",
            y=alt.Y("n", type="quantitative", axis=beside),
            y2=alt.datum(0),
        )
        .properties(width=SIDE_PX, height=STRIP_PX)
    )
    return strip


def _title(verdict: Verdict) -> alt.Title:
    evidence = verdict.evidence
    said = direction_words(evidence.direction)
    if verdict.status is Status.OK:
        said = "is not shown to differ from its baseline"
    window = f"{day(verdict.window_start_at)} to {day(verdict.window_end_at)}"
    labels = amount(sum(one.n for one in evidence.bins))
    lines = [
        f"ECE {_ece(evidence.window)}, in the baseline {_ece(evidence.baseline)}",
        f"{window}, {labels} labels, {evidence.coverage:.0%} of predictions labelled",
    ]
    return alt.Title(
        text=_headline(series_name(verdict.series), said),
        subtitle=lines,
        anchor="start",
        frame="bounds",
    )


def _ece(metrics: Metrics | None) -> str:
    if metrics is None:
        return "unknown"
    return interval(metrics.ece_debiased, metrics.ece_debiased_low, metrics.ece_debiased_high)


def _headline(name: str, said: str) -> list[str]:
    """Title: one line where it fits; otherwise the name in one or two, cut at that, and the rest.

    What is said of the model is never cut.
    """
    if len(name) + 1 + len(said) <= _TITLE_CHARACTERS:
        return [f"{name} {said}"]
    lines = textwrap.wrap(name, _TITLE_CHARACTERS, max_lines=2, placeholder=" …")
    return [*lines, said]


def _config() -> alt.Config:
    return alt.Config(
        font="Helvetica, Arial, Liberation Sans, sans-serif",
        view=alt.ViewConfig(stroke="#BBBBBB"),
        axis=alt.AxisConfig(
            gridColor=GRID,
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
        ),
        title=alt.TitleConfig(
            fontSize=17, subtitleFontSize=13, subtitleColor="#555555", color=INK, offset=12
        ),
        legend=alt.LegendConfig(labelFontSize=12, labelColor=INK, symbolSize=90),
    )
