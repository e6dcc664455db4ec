"""Verdicts to render in tests: seeded rows of a model that has drifted, mixed or recovered.

The numbers belong together (bins, ECE and repair are of the same rows), so that a message or a
picture made from them can be judged by eye; intervals of ECE are only roughly right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.claims import Series
from monitor.core.episode.episodes import (
    AlertKind,
    EpisodeState,
    Member,
    Severity,
    episode_id,
    group_id,
)
from monitor.core.episode.notices import Ack, AlertNotice, RecentChange
from monitor.core.verdicts import (
    BinEstimate,
    Cause,
    Direction,
    Evidence,
    Metrics,
    Repair,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 15
NOW = datetime(2026, 3, 14, tzinfo=UTC)
SERIES = Series("fraud", "7")
RUNBOOK = "https://runbooks.example.com/fraud?tab=drift&v=7"
Z = 1.959963984540054


@dataclass(frozen=True)
class Rows:
    """Scores in [0, 1] and the outcomes that came, 0 or 1, of one span."""

    score: Floats
    outcome: Floats


def rows(seed: int, n: int, slope: float, intercept: float, centre: float = -0.6) -> Rows:
    """Labelled rows whose true logit is slope * logit(score) + intercept."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(centre, 1.6, n)
    truth = 1 / (1 + np.exp(-(slope * logit + intercept)))
    return Rows(1 / (1 + np.exp(-logit)), (rng.random(n) < truth).astype(np.float64))


def bins(of: Rows) -> tuple[BinEstimate, ...]:
    """Equal-width right-closed bins that hold rows, with Wilson (1927) intervals."""
    owner = np.clip(np.ceil(of.score * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for k in range(BINS):
        mine = owner == k
        n = int(mine.sum())
        if not n:
            continue
        p = float(of.outcome[mine].mean())
        centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        low, high = max(0.0, centre - half), min(1.0, centre + half)
        mean = float(of.score[mine].mean())
        found.append(BinEstimate(k / BINS, (k + 1) / BINS, n, mean, p, low, high))
    return tuple(found)


def ece(of: Rows) -> float:
    """ECE over the bins above."""
    return sum(b.n * abs(b.observed - b.mean_score) for b in bins(of)) / len(of.score)


def metrics(of: Rows) -> Metrics:
    """ECE, Brier and gap of the rows; the rest unknown, as when rows do not decide it."""
    values = dict.fromkeys(
        (name for name in Metrics.__dataclass_fields__ if name != "n"), float("nan")
    )
    measured = ece(of)
    gap = float(of.score.mean() - of.outcome.mean())
    values |= {"ece_15": measured, "ece_debiased": measured * 0.95, "auroc": 0.78, "gap": gap}
    values |= {"ece_debiased_low": measured * 0.7, "ece_debiased_high": measured * 1.25}
    values |= {"brier": float(np.mean((of.score - of.outcome) ** 2))}
    return Metrics(n=len(of.score), **values)


BASELINE = rows(1, 4000, 1.0, 0.0)
WINDOW = rows(2, 2300, 0.55, -0.25)
RECOVERED = rows(3, 2100, 1.0, 0.0)
REPAIR = Repair(
    method="platt",
    slope=0.56,
    intercept=-0.24,
    n_fitted=1150,
    n_held_out=1150,
    ece_before=0.094,
    ece_after=0.021,
    auroc_before=0.781,
    auroc_after=0.781,
)


def made(window: Rows, status: Status, series: Series = SERIES, *, now: datetime = NOW) -> Verdict:
    """Verdict over the rows, against BASELINE, with no repair and no cause."""
    found = bins(window)
    worst = sorted(found, key=lambda b: -b.n * abs(b.observed - b.mean_score))[:3]
    return Verdict(
        series=series,
        status=status,
        reason="the e-detector passed its threshold, and the change passes the tolerance",
        evaluated_at=now,
        window_start_at=now - timedelta(days=9),
        window_end_at=now - timedelta(days=2),
        evidence=Evidence(
            e_value=2_314_000.0,
            alarm_at=1e6,
            labels_seen=8400,
            drift_since_at=now - timedelta(days=7),
            sigma=0.1,
            coverage=0.934,
            direction=None,
            cause=None,
            shift=0.062,
            shift_low=0.048,
            shift_high=0.075,
            gap_shift=-0.041,
            map_part=0.061,
            mix_part=0.008,
            baseline=metrics(BASELINE),
            window=metrics(window),
            bins=found,
            baseline_bins=bins(BASELINE),
            worst_bins=tuple(worst),
            repair=None,
        ),
    )


def with_evidence(verdict: Verdict, **changes: object) -> Verdict:
    """The verdict with some fields of its evidence replaced."""
    return replace(verdict, evidence=replace(verdict.evidence, **changes))  # type: ignore[arg-type]  # fields by name


DRIFTED = with_evidence(
    made(WINDOW, Status.DRIFTED),
    direction=Direction.OVERCONFIDENT,
    cause=Cause.MAP,
    repair=REPAIR,
)
MIXED = with_evidence(DRIFTED, cause=Cause.MIX, map_part=0.006, mix_part=0.063, repair=None)
OK = with_evidence(
    made(RECOVERED, Status.OK, now=NOW + timedelta(days=6)),
    e_value=0.0,
    shift=0.006,
    shift_low=0.0,
    shift_high=0.014,
    drift_since_at=None,
)


CHANGE = RecentChange("deploy", "7", "new feature store", NOW - timedelta(days=8))


def member(
    verdict: Verdict = DRIFTED,
    state: EpisodeState = EpisodeState.FIRING,
    severity: Severity = Severity.WARNING,
) -> Member:
    """The verdict's series as a member of a group."""
    return Member(
        series=verdict.series,
        episode_id=episode_id(verdict.series, NOW),
        state=state,
        severity=severity,
        fired_at=NOW,
        resolved_at=NOW + timedelta(days=6) if state is EpisodeState.RESOLVED else None,
        shift=verdict.evidence.shift,
    )


def fired(verdict: Verdict = DRIFTED, runbook_url: str | None = RUNBOOK) -> AlertNotice:
    """Notice that an episode fires with this verdict."""
    return AlertNotice(
        kind=AlertKind.FIRED,
        group_id=group_id(None, verdict.series.model, NOW),
        members=(member(verdict),),
        severity=Severity.WARNING,
        team=None,
        what="drifted: a new episode fires",
        episode_id=episode_id(verdict.series, NOW),
        verdict=verdict,
        fired_at=NOW,
        resolved_at=None,
        evidence_id="evaluation 4711",
        runbook_url=runbook_url,
    )


def resolved(verdict: Verdict = OK) -> AlertNotice:
    """Notice that the episode of `fired` is over with this verdict."""
    return replace(
        fired(verdict),
        kind=AlertKind.RESOLVED,
        members=(member(verdict, EpisodeState.RESOLVED),),
        what="back to its baseline: resolved",
        resolved_at=NOW + timedelta(days=6),
        evidence_id="evaluation 4890",
    )


def changed() -> AlertNotice:
    """Notice that someone took the group of `fired` on."""
    return replace(
        fired(),
        kind=AlertKind.CHANGED,
        ack=Ack("ana", "looking at the feature store", NOW + timedelta(minutes=5)),
        what="acked by ana: looking at the feature store",
    )


def reminded() -> AlertNotice:
    """Notice that the group of `fired` still fires."""
    return replace(fired(), kind=AlertKind.REMINDED, what="still firing: a reminder")


def grouped(n: int = 3, severity: Severity = Severity.CRITICAL) -> AlertNotice:
    """Notice of so many segments of one broken model, for a team, after a deploy."""
    members = [
        replace(
            member(severity=severity if k == 0 else Severity.WARNING),
            series=replace(SERIES, segment=f"country={name}"),
            episode_id=episode_id(replace(SERIES, segment=f"country={name}"), NOW),
            shift=0.062 - 0.01 * k / n,
        )
        for k, name in enumerate(f"C{k}" for k in range(n))
    ]
    worst = replace(DRIFTED, series=members[0].series)
    return replace(
        fired(worst),
        members=tuple(members),
        severity=severity,
        team="payments",
        group_id=group_id("payments", SERIES.model, NOW),
        recent_change=RecentChange(
            "deploy", "7", "new feature store", NOW - timedelta(days=7, hours=3)
        ),
        url="https://calmon.example.com/groups/60d488dd",
    )
