"""What a recalibration's file says of where it came from.

Guarantees: the same labels give the same provenance, so the same file and hash. Must never: look
at a clock: a proposal is of the event time that its labels were judged at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from monitor.core.claims import POSITIVE
from monitor.core.recalibration.recalibration_words import proposal_json
from monitor.core.verdicts import rfc3339

if TYPE_CHECKING:
    from monitor.core.claims import Series
    from monitor.core.recalibration.recalibrating import Proposal
    from monitor.core.report.threshold_advice import Observed

Json = dict[str, object]
LONGEST_NAME = 100
OF_PROPOSAL = (
    *("fitted", "held_out", "in_time", "shock", "level", "log_evidence", "changes", "use"),
)


def provenance(series: Series, observed: Observed, proposal: Proposal, calmon: str) -> Json:
    """Series, times, labels and what was seen on held-out ones; calmon: its version."""
    said = proposal_json(proposal)
    start, end = observed.window or (None, None)
    return {
        "model": series.model,
        "version": series.version or None,
        "claim": series.claim,
        "segment": series.segment or None,
        "window_start_at": None if start is None else rfc3339(start),
        "window_end_at": None if end is None else rfc3339(end),
        "as_of_at": None if observed.as_of is None else rfc3339(observed.as_of),
        "calmon_version": calmon,
        **{name: said[name] for name in OF_PROPOSAL},
    }


def file_name(series: Series) -> str:
    """`fraud-7.recalibrator.json`, of plain characters alone."""
    model = re.sub(r"\.(csv|jsonl|parquet)$", "", series.model)
    claim = "" if series.claim == POSITIVE else series.claim
    parts = [model, series.version, claim, series.segment]
    name = re.sub(r"[^A-Za-z0-9._=-]+", "_", "-".join(part for part in parts if part))
    return f"{name[:LONGEST_NAME].lstrip('.') or 'model'}.recalibrator.json"
