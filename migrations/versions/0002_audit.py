"""Audit: history that refuses change, and commented views for auditors.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSERT_ONLY = (
    "policy", "sealed_pane", "baseline", "evaluation", "alert_event", "notification",
    "notification_attempt", "change_event",
)  # fmt: skip

# view: (what it shows, select list and source, {column: what it holds, unless the table says so})
VIEWS = {
    "policies": (
        "Every policy a verdict was given under",
        "SELECT fingerprint, body, recorded_at FROM calmon.policy",
        {},
    ),
    "panes": (
        "Sealed panes of prediction time and their later revisions; revision 0 was judged",
        """
        SELECT s.model, s.version, s.claim, s.segment, p.pane_at,
               p.pane_at + make_interval(secs => s.pane_s) AS pane_end_at, p.revision, p.sealed_at,
               (SELECT sum(n) FROM unnest(p.n_predicted) n)::bigint AS predictions,
               (SELECT sum(n) FROM unnest(p.n_labelled) n)::bigint AS labels,
               (SELECT sum(n) FROM unnest(p.n_positive) n)::bigint AS positives,
               (SELECT sum(n) FROM unnest(p.score_sum) n) / 1e9 AS score_sum,
               p.recorded_at
        FROM calmon.sealed_pane p JOIN calmon.series s USING (series_id)
        """,
        {
            "pane_end_at": "End of the pane, exclusive",
            "predictions": "Predictions made in the pane",
            "labels": "Predictions whose label was known at this revision",
            "positives": "Labelled predictions whose claim came true",
            "score_sum": "Sum of the scores of the labelled predictions",
        },
    ),
    "baselines": (
        "Pinned baselines; the newest of a series holds",
        """
        SELECT baseline_id, model, version, claim, segment, source, start_at, end_at, n_labelled,
               pinned_at, author, recorded_at
        FROM calmon.baseline
        """,
        {},
    ),
    "evaluations": (
        "Every verdict, with the figures behind it",
        """
        SELECT evaluation_id, model, version, claim, segment, status, reason, evaluated_at,
               window_start_at, window_end_at, (evidence #>> '{window,n}')::bigint AS labels,
               (evidence ->> 'coverage')::float8 AS coverage,
               (evidence #>> '{window,ece_15}')::float8 AS ece_15,
               (evidence #>> '{window,ece_debiased}')::float8 AS ece_debiased,
               (evidence #>> '{window,ece_debiased_low}')::float8 AS ece_debiased_low,
               (evidence #>> '{window,ece_debiased_high}')::float8 AS ece_debiased_high,
               (evidence #>> '{window,brier}')::float8 AS brier,
               (evidence #>> '{window,gap}')::float8 AS gap,
               (evidence ->> 'e_value')::float8 AS e_value,
               (evidence ->> 'alarm_at')::float8 AS alarm_at,
               evidence ->> 'direction' AS direction, evidence ->> 'cause' AS cause,
               evidence, policy_fingerprint, recorded_at
        FROM calmon.evaluation
        """,
        {
            "labels": "Labelled predictions in the window",
            "coverage": "Share of the window's predictions that have a label",
            "ece_15": "Expected calibration error of 15 equal-width bins",
            "ece_debiased": "Calibration error less its expected value for an honest model",
            "ece_debiased_low": "Lower end of its 95 % interval",
            "ece_debiased_high": "Upper end of its 95 % interval",
            "brier": "Mean squared difference of score and outcome",
            "gap": "Mean score less observed rate; above 0 scores promise too much",
            "e_value": "Evidence of change since the baseline, in labels",
            "alarm_at": "Evidence at which an alarm is raised, in labels",
            "direction": "overconfident, underconfident or improved",
            "cause": "map: scores mean something else now; mix: traffic moved",
        },
    ),
    "alerts": (
        "Beginning and end of every alert episode",
        """
        SELECT alert_event_id, episode_id, fingerprint, kind, model, version, claim, segment,
               fired_at, happened_at, direction, cause, evaluation_id, recorded_at
        FROM calmon.alert_event
        """,
        {},
    ),
    "notifications": (
        "What was told to whom, and what came of every attempt",
        """
        SELECT n.notification_id, n.episode_id, n.kind, n.route, n.target, n.payload,
               n.recorded_at AS created_at, a.attempted_at, a.outcome, a.detail, a.receipt,
               a.next_attempt_at
        FROM calmon.notification n LEFT JOIN calmon.notification_attempt a USING (notification_id)
        """,
        {"created_at": "When it was written, by the database's clock"},
    ),
    "changes": (
        "Changes around models, as announced",
        """
        SELECT change_id, model, version, kind, description, happened_at, recorded_at
        FROM calmon.change_event
        """,
        {},
    ),
    "dead_letters": (
        "Messages that could not be used, and why",
        """
        SELECT topic, partition, "offset", reason, detail, key, value, published_at, recorded_at
        FROM calmon.dead_letter
        """,
        {},
    ),
}


def upgrade() -> None:
    """Apply."""
    op.execute(
        """
        CREATE FUNCTION calmon.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is history: rows are only added, never changed (%)',
                TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    for table in INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.{table} "
            "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
        )
    op.execute("CREATE SCHEMA audit")
    op.execute("COMMENT ON SCHEMA audit IS 'Read-only views of the history, for auditors'")
    for view, (comment, query, columns) in VIEWS.items():
        op.execute(f"CREATE VIEW audit.{view} AS {query}")
        op.execute(f"COMMENT ON VIEW audit.{view} IS {_quoted(comment)}")
        for column, text in columns.items():
            op.execute(f"COMMENT ON COLUMN audit.{view}.{column} IS {_quoted(text)}")
    # A view's column says what its table's column says, where it has the same name.
    op.execute(
        """
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT DISTINCT ON (v.table_name, v.column_name) v.table_name, v.column_name,
                       d.description
                FROM information_schema.columns v
                JOIN information_schema.view_column_usage u
                  ON u.view_schema = v.table_schema AND u.view_name = v.table_name
                 AND u.column_name = v.column_name
                JOIN pg_attribute a
                  ON a.attrelid = format('%I.%I', u.table_schema, u.table_name)::regclass
                 AND a.attname = u.column_name
                JOIN pg_description d ON d.objoid = a.attrelid AND d.objsubid = a.attnum
                WHERE v.table_schema = 'audit' AND col_description(
                    format('%I.%I', v.table_schema, v.table_name)::regclass, v.ordinal_position
                ) IS NULL
                ORDER BY v.table_name, v.column_name, u.table_name
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.%I.%I IS %L',
                               c.table_name, c.column_name, c.description);
            END LOOP;
        END $$
        """
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def downgrade() -> None:
    """Undo."""
    op.execute("DROP SCHEMA audit CASCADE")
    for table in INSERT_ONLY:
        op.execute(f"DROP TRIGGER insert_only ON calmon.{table}")
        op.execute(f"DROP TRIGGER no_truncate ON calmon.{table}")
    op.execute("DROP FUNCTION calmon.refuse_change()")
