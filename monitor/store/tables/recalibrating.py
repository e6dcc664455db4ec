"""Maps that were proposed to make scores honest, and what people decided about them.

Guarantees: a map is kept as it was written, under the hash it holds of itself.
Must never: have a row changed; all are insert-only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, UniqueConstraint

from monitor.store.tables.columns import at, identity, metadata, recorded, series_identity, text
from monitor.store.tables.judging import evaluation

recalibration_proposal = Table(
    "recalibration_proposal",
    metadata,
    identity("proposal_id", "Number"),
    *series_identity(),
    text("method", "temperature, platt, beta or isotonic"),
    text("sha256", "Hash that the artifact holds of its own content"),
    text("artifact", "The file as it was written: JSON with formula, parameters and provenance"),
    at("window_start_at", "Start of the prediction time of its labels"),
    at("window_end_at", "End of the prediction time of its labels, exclusive"),
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.evaluation_id),
        nullable=False,
        comment="Verdict on whose window it was made",
    ),
    recorded(),
    UniqueConstraint("sha256"),
    Index("ix_recalibration_proposal_model", "model"),
    comment="Maps that were proposed to make scores honest, shown to help on held-out labels",
)

recalibration_decision = Table(
    "recalibration_decision",
    metadata,
    identity("decision_id", "Number"),
    Column(
        "proposal_id",
        BigInteger,
        ForeignKey(recalibration_proposal.c.proposal_id),
        nullable=False,
        comment="Proposal",
    ),
    text("decision", "approved or rejected"),
    text("author", "Who decided"),
    text("reason", "Why, in the person's words"),
    recorded(),
    Index("ix_recalibration_decision_proposal_id", "proposal_id"),
    comment="What people decided about proposed maps; the newest of a proposal counts",
)
