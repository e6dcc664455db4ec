"""Verdicts read back from the JSON that `Verdict.as_json` wrote, perhaps years ago.

Guarantees: what as_json wrote comes back equal, but for infinities, which JSON holds as null and
which come back as NaN (or None where that is allowed); a field that was added since then reads as
unknown. Must never: invent a value: a missing field that cannot be unknown raises ValueError
with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TypeVar

from monitor.core.claims import Series
from monitor.core.decision.decision_evidence import DecisionEvidence
from monitor.core.detector.score_shift import ScoreShift
from monitor.core.detector.selection import Selection
from monitor.core.measures.estimates import Estimates, Ranking
from monitor.core.verdicts import (
    BinEstimate,
    BudgetShare,
    Cause,
    Correction,
    DelayEvidence,
    Direction,
    Evidence,
    Metrics,
    Opinion,
    Repair,
    Restart,
    Status,
    Verdict,
    WobbleFound,
    WrongBin,
)

Json = Mapping[str, object]
Flat = TypeVar("Flat")

_METRICS = tuple(field.name for field in fields(Metrics) if field.name != "n")


def verdict_from_json(raw: Json) -> Verdict:
    """Read the verdict back; raises ValueError naming the field that is missing or wrong."""
    series = _mapping(raw, "series")
    return Verdict(
        series=Series(
            _text(series, "model"),
            _text(series, "version"),
            _text(series, "claim"),
            _text(series, "segment"),
        ),
        status=Status(_text(raw, "status")),
        reason=_text(raw, "reason"),
        evaluated_at=_time(raw, "evaluated_at"),
        window_start_at=_time(raw, "window_start_at"),
        window_end_at=_time(raw, "window_end_at"),
        evidence=evidence_from_json(_mapping(raw, "evidence")),
    )


def evidence_from_json(raw: Json) -> Evidence:
    """Read a verdict's evidence back; raises ValueError as verdict_from_json does."""
    direction, cause, since = (raw.get(name) for name in ("direction", "cause", "drift_since_at"))
    baseline, window, repair = (raw.get(name) for name in ("baseline", "window", "repair"))
    return Evidence(
        e_value=_maybe(raw, "e_value"),
        alarm_at=_number(raw, "alarm_at"),
        labels_seen=_count(raw, "labels_seen"),
        drift_since_at=_time(raw, "drift_since_at") if since else None,
        sigma=_maybe(raw, "sigma"),
        coverage=_number(raw, "coverage"),
        direction=Direction(_text(raw, "direction")) if direction else None,
        cause=Cause(_text(raw, "cause")) if cause else None,
        shift=_maybe(raw, "shift"),
        shift_low=_maybe(raw, "shift_low"),
        shift_high=_maybe(raw, "shift_high"),
        gap_shift=_maybe(raw, "gap_shift"),
        map_part=_maybe(raw, "map_part"),
        mix_part=_maybe(raw, "mix_part"),
        baseline=_metrics(_mapping(raw, "baseline")) if baseline else None,
        window=_metrics(_mapping(raw, "window")) if window else None,
        bins=_bins(raw, "bins"),
        baseline_bins=_bins(raw, "baseline_bins"),
        worst_bins=_bins(raw, "worst_bins"),
        repair=_repair(_mapping(raw, "repair")) if repair else None,
        sample_rate=_number(raw, "sample_rate") if "sample_rate" in raw else 1.0,
        delays=_delays(_mapping(raw, "delays")) if raw.get("delays") else None,
        restart=restart_from_json(_mapping(raw, "restart")) if raw.get("restart") else None,
        budget=share_from_json(_mapping(raw, "budget")) if raw.get("budget") else None,
        raised_by=_text(raw, "raised_by") if raw.get("raised_by") else None,
        opinions=tuple(_opinion(row) for row in _rows(raw, "opinions")),
        score_shift=_maybe_flat(raw, "score_shift", ScoreShift),
        selection=_maybe_flat(raw, "selection", Selection),
        ranking=_maybe_flat(raw, "ranking", Ranking),
        wobble=_maybe_flat(raw, "wobble", WobbleFound),
        decision=_maybe_flat(raw, "decision", DecisionEvidence),
        estimates=_maybe_flat(raw, "estimates", Estimates),
        wrong_bins=tuple(
            WrongBin(
                lower=_number(row, "lower"),
                upper=_number(row, "upper"),
                direction=Direction(_text(row, "direction")),
                misplaced=_number(row, "misplaced"),
                p_value=_number(row, "p_value"),
            )
            for row in _rows(raw, "wrong_bins")
        ),
    )


def share_from_json(raw: Json) -> BudgetShare:
    """Read a part of a budget back; raises ValueError as verdict_from_json does."""
    return BudgetShare(
        budget=_text(raw, "budget"),
        rule=_text(raw, "rule"),
        series=_count(raw, "series"),
        labels_per_month=_number(raw, "labels_per_month"),
        false_alarms_per_month=_number(raw, "false_alarms_per_month"),
        since_at=_time(raw, "since_at"),
    )


def restart_from_json(raw: Json) -> Restart:
    """Read a restart back; raises ValueError as verdict_from_json does."""
    return Restart(
        kind=_text(raw, "kind"),
        happened_at=_time(raw, "happened_at"),
        since_at=_time(raw, "since_at"),
        taken_at=_time(raw, "taken_at"),
        reason=_text(raw, "reason"),
        author=_text(raw, "author"),
    )


def _metrics(raw: Json) -> Metrics:
    return Metrics(n=_count(raw, "n"), **{name: _number(raw, name) for name in _METRICS})


def _maybe_flat(raw: Json, name: str, kind: Callable[..., Flat]) -> Flat | None:
    """A dataclass of numbers, texts and booleans, if it is there; null numbers are NaN."""
    if not raw.get(name):
        return None
    row = _mapping(raw, name)
    return kind(**{field.name: _PLAIN[str(field.type)](row, field.name) for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass


def _opinion(raw: Json) -> Opinion:
    return Opinion(
        name=_text(raw, "name"),
        findings=_count(raw, "findings"),
        labels_fed=_count(raw, "labels_fed"),
        drifted_at=_time(raw, "drifted_at") if raw.get("drifted_at") else None,
    )


def _bins(raw: Json, name: str) -> tuple[BinEstimate, ...]:
    return tuple(
        BinEstimate(
            lower=_number(row, "lower"),
            upper=_number(row, "upper"),
            n=_count(row, "n"),
            mean_score=_number(row, "mean_score"),
            observed=_number(row, "observed"),
            ci_low=_number(row, "ci_low"),
            ci_high=_number(row, "ci_high"),
        )
        for row in _rows(raw, name)
    )


def _repair(raw: Json) -> Repair:
    return Repair(
        method=_text(raw, "method"),
        slope=_number(raw, "slope"),
        intercept=_number(raw, "intercept"),
        n_fitted=_count(raw, "n_fitted"),
        n_held_out=_count(raw, "n_held_out"),
        ece_before=_number(raw, "ece_before"),
        ece_after=_number(raw, "ece_after"),
        auroc_before=_number(raw, "auroc_before"),
        auroc_after=_number(raw, "auroc_after"),
    )


def _rows(raw: Json, name: str) -> Sequence[Json]:
    rows = raw.get(name) or ()
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise _wrong(raw, name, "a list of objects")
    return rows


def _delays(raw: Json) -> DelayEvidence:
    correction, status, reason = (raw.get(name) for name in ("correction", "status", "reason"))
    return DelayEvidence(
        unlabelled=_text(raw, "unlabelled"),
        correction=Correction(_text(raw, "correction")) if correction else None,
        on_time_positive=_maybe(raw, "on_time_positive"),
        on_time_negative=_maybe(raw, "on_time_negative"),
        offset=_maybe(raw, "offset"),
        offset_se=_maybe(raw, "offset_se"),
        gap_all_labels=_maybe(raw, "gap_all_labels"),
        status=_text(raw, "status") if status else None,
        p_value=_maybe(raw, "p_value"),
        move=_maybe(raw, "move"),
        offset_change=_maybe(raw, "offset_change"),
        reason=_text(raw, "reason") if reason else None,
    )


def _mapping(raw: Json, name: str) -> Json:
    value = raw.get(name)
    if not isinstance(value, Mapping):
        raise _wrong(raw, name, "an object")
    return value


def _text(raw: Json, name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise _wrong(raw, name, "a string")
    return value


def _time(raw: Json, name: str) -> datetime:
    moment = datetime.fromisoformat(_text(raw, name))
    if moment.tzinfo is None:
        raise _wrong(raw, name, "a time with its zone")
    return moment


def _count(raw: Json, name: str) -> int:
    value = raw.get(name)
    if not isinstance(value, int):
        raise _wrong(raw, name, "an integer")
    return value


def _number(raw: Json, name: str) -> float:
    value = raw.get(name)
    if value is not None and not isinstance(value, int | float):
        raise _wrong(raw, name, "a number or null")
    return float("nan") if value is None else float(value)


def _maybe(raw: Json, name: str) -> float | None:
    return None if raw.get(name) is None else _number(raw, name)


def _boolean(raw: Json, name: str) -> bool:
    value = raw.get(name)
    if not isinstance(value, bool):
        raise _wrong(raw, name, "true or false")
    return value


def _maybe_text(raw: Json, name: str) -> str | None:
    return None if raw.get(name) is None else _text(raw, name)


def _wrong(raw: Json, name: str, expected: str) -> ValueError:
    return ValueError(f"a verdict's {name} must be {expected}, not {raw.get(name)!r}")


_PLAIN: dict[str, Callable[[Json, str], object]] = {
    "float": _number,
    "int": _count,
    "bool": _boolean,
    "str": _text,
    "str | None": _maybe_text,
}
"""How a field is read back, by its type as its dataclass writes it."""
