"""Episodes with all their states, groups of them, silences and acknowledgements.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SERIES = (
    ("model", "Model name, as in the events"),
    ("version", "Model version, as in the prediction events"),
    ("claim", "Kind of confidence: `positive` for a binary score"),
    ("segment", "`dimension=value`, or empty for all traffic of the version"),
)
EPISODES = "Every change of every alert episode; the newest row of a series is its episode"
ALERTS = "What was decided to be told about groups of alert episodes"
SILENCES = "Silences: alerts of which no notification is sent meanwhile"
EXPIRIES = "Ends of silences"
ACKS = "Who has taken on which group of alerts; the newest of a group counts"
NOTIFICATIONS = """
    SELECT n.notification_id, {group}, n.kind, n.route, n.target, n.payload,
           n.recorded_at AS created_at, a.attempted_at, a.outcome, a.detail, a.receipt,
           a.next_attempt_at{more}
    FROM calmon.notification n LEFT JOIN calmon.notification_attempt a USING (notification_id)
"""
OLD_ALERTS = """
    CREATE VIEW audit.alerts AS
    SELECT alert_event_id, episode_id, fingerprint, kind, model, version, claim, segment,
           fired_at, happened_at, direction, cause, evaluation_id, recorded_at
    FROM calmon.alert_event
"""
NEW_COMMENTS = {
    ("alert_event", "episode_id"): "Episode of the worst member",
    ("alert_event", "fingerprint"): "SHA-256 of the worst member's identity",
    ("alert_event", "kind"): "fired, changed, reminded or resolved",
    ("alert_event", "fired_at"): "Event time at which the worst member fired",
    ("notification", "notification_id"): "Group, number, route and target",
    ("notification", "route"): "Kind of receiver, as slack or console",
    ("notification", "group_id"): "Group",
    ("notification", "kind"): "fired, changed, reminded or resolved, as this receiver sees it",
    ("notification", "payload"): "What is told: verdict, members, times and addressee",
    ("notification_attempt", "outcome"): "delivered, retry, rejected, suppressed or superseded",
}
OLD_COMMENTS = {
    ("alert_event", "episode_id"): "Episode; one Slack thread",
    ("alert_event", "fingerprint"): "SHA-256 of the series' identity",
    ("alert_event", "kind"): "fired or resolved",
    ("alert_event", "fired_at"): "Event time at which the episode began",
    ("notification", "notification_id"): "Episode, kind, route and target",
    ("notification", "route"): "slack or console",
    ("notification", "episode_id"): "Episode",
    ("notification", "kind"): "fired or resolved",
    ("notification", "payload"): "What is told: verdict, times and addressee",
    ("notification_attempt", "outcome"): "delivered, retry or rejected",
}


def upgrade() -> None:
    """Apply."""
    op.execute("DROP VIEW audit.alerts")
    op.execute("DROP VIEW audit.notifications")
    _episodes()
    _groups()
    _people()
    _comments(NEW_COMMENTS)
    for table in ("episode_event", "silence", "silence_expiry", "acknowledgement"):
        op.execute(
            f"CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON calmon.{table} "
            "FOR EACH ROW EXECUTE FUNCTION calmon.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON calmon.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION calmon.refuse_change()"
        )
    _view("episodes", "episode_event", EPISODES)
    _view("alerts", "alert_event", ALERTS)
    _view("silences", "silence", SILENCES)
    _view("silence_expiries", "silence_expiry", EXPIRIES)
    _view("acknowledgements", "acknowledgement", ACKS)
    _notifications(NOTIFICATIONS.format(group="n.group_id", more=", n.sequence, n.prompted_by"))


def _episodes() -> None:
    op.create_table(
        "episode_event",
        _number("episode_event_id"),
        _text("episode_id", "Episode: one time that a series drifted, or had no data, to its end"),
        _text("fingerprint", "SHA-256 of the series' identity"),
        *(_text(name, comment) for name, comment in SERIES),
        _text("state", "pending, firing, recovering, no_data or resolved"),
        _at("began_at", "Event time at which it was first found"),
        _at("since_at", "Event time since when it is so, or since when its delay runs"),
        _at("fired_at", "Event time at which it last began to fire; null before", nullable=True),
        _at("resolved_at", "Event time at which it was over; null before", nullable=True),
        _text("direction", "overconfident, underconfident or improved", nullable=True),
        _text("cause", "map or mix", nullable=True),
        _text("severity", "warning or critical; it never falls"),
        sa.Column("shift", sa.Double(), comment="Size of the effect as mean shift of probability"),
        sa.Column(
            "is_drift", sa.Boolean(), nullable=False, comment="False: nothing but a lack of data"
        ),
        sa.Column(
            "flaps",
            sa.Integer(),
            nullable=False,
            comment="Times it drifted again after it was ok",
        ),
        _at("silent_since_at", "Event time since when there is nothing to judge by", nullable=True),
        _at("happened_at", "Event time of this event"),
        _text("reason", "Why it is so, in one sentence"),
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False, comment="Verdict behind it"),
        _recorded(),
        sa.PrimaryKeyConstraint("episode_event_id", name=op.f("pk_episode_event")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["calmon.evaluation.evaluation_id"],
            name=op.f("fk_episode_event_evaluation_id"),
        ),
        schema="calmon",
        comment=EPISODES,
    )
    op.create_index(
        "ix_episode_event_series", "episode_event", [name for name, _ in SERIES], schema="calmon"
    )
    op.execute(
        """
        INSERT INTO calmon.episode_event (episode_id, fingerprint, model, version, claim, segment,
            state, began_at, since_at, fired_at, resolved_at, direction, cause, severity, is_drift,
            flaps, happened_at, reason, evaluation_id)
        SELECT episode_id, fingerprint, model, version, claim, segment,
            CASE kind WHEN 'fired' THEN 'firing' ELSE kind END, fired_at, happened_at, fired_at,
            CASE kind WHEN 'resolved' THEN happened_at END, direction, cause, 'warning', true,
            0, happened_at, 'as recorded before revision 0008', evaluation_id
        FROM calmon.alert_event ORDER BY alert_event_id
        """
    )


def _groups() -> None:
    """Every episode that was told alone becomes a group of one, under its own name."""
    op.drop_constraint("uq_alert_event_episode_id_kind", "alert_event", schema="calmon")
    for column in (
        _text("group_id", "Group of episodes of one model; one message at a receiver"),
        sa.Column(
            "sequence", sa.Integer(), nullable=False, comment="Number within the group, from 1"
        ),
        _text("team", "Team of the policy when the group was opened", nullable=True),
        _text("severity", "warning or critical: the group's worst member's"),
        sa.Column(
            "members",
            JSONB(),
            nullable=False,
            comment="Episodes of the group after this event, the worst first",
        ),
        _text("reason", "Why this is told, in one sentence"),
        _at("opened_at", "Event time at which the group was opened"),
        _at("rung_at", "Event time at which people were last called, not only kept informed"),
    ):
        wanted, column.nullable = column.nullable, True
        op.add_column("alert_event", column, schema="calmon")
        column.nullable = wanted
    # The rows stay what they were; only what is new about them is filled in.
    op.execute("ALTER TABLE calmon.alert_event DISABLE TRIGGER insert_only")
    op.execute(
        """
        UPDATE calmon.alert_event SET group_id = episode_id,
            sequence = CASE kind WHEN 'fired' THEN 1 ELSE 2 END, severity = 'warning',
            reason = 'as recorded before revision 0008', opened_at = fired_at, rung_at = fired_at,
            members = jsonb_build_array(jsonb_build_object(
                'series', jsonb_build_object(
                    'model', model, 'version', version, 'claim', claim, 'segment', segment),
                'episode_id', episode_id,
                'state', CASE kind WHEN 'fired' THEN 'firing' ELSE 'resolved' END,
                'severity', 'warning', 'fired_at', fired_at,
                'resolved_at', CASE kind WHEN 'resolved' THEN happened_at END, 'shift', null))
        """
    )
    op.execute("ALTER TABLE calmon.alert_event ENABLE TRIGGER insert_only")
    for name in ("group_id", "sequence", "severity", "members", "reason", "opened_at", "rung_at"):
        op.alter_column("alert_event", name, nullable=False, schema="calmon")
    op.create_unique_constraint(
        op.f("uq_alert_event_group_id_sequence"),
        "alert_event",
        ["group_id", "sequence"],
        schema="calmon",
    )
    op.create_index("ix_alert_event_model", "alert_event", ["model"], schema="calmon")
    op.create_table_comment("alert_event", ALERTS, schema="calmon")
    op.alter_column("notification", "episode_id", new_column_name="group_id", schema="calmon")
    op.add_column(
        "notification",
        sa.Column(
            "sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order"
        ),
        schema="calmon",
    )
    op.add_column(
        "notification",
        sa.Column(
            "prompted_by",
            sa.Text(),
            nullable=False,
            server_default="alert",
            comment="alert, acknowledgement, silence or silence_end",
        ),
        schema="calmon",
    )
    op.alter_column("notification", "prompted_by", server_default=None, schema="calmon")
    op.create_index("ix_notification_group_id", "notification", ["group_id"], schema="calmon")


def _people() -> None:
    op.create_table(
        "silence",
        _number("silence_id"),
        _json("matchers", "Conditions that must all be met: label, value, is_regex"),
        _text("author", "Who asked for it"),
        _text("reason", "Why"),
        _at("starts_at", "From when on it holds, wall clock"),
        _at("ends_at", "When it ends by itself, wall clock, exclusive"),
        _recorded(),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silence")),
        schema="calmon",
        comment=SILENCES,
    )
    op.create_table(
        "silence_expiry",
        _number("expiry_id"),
        sa.Column("silence_id", sa.BigInteger(), nullable=False, comment="Silence"),
        _text("author", "Who ended it; `calmon` where its time was over"),
        _text("reason", "Why"),
        _at("expired_at", "When it ended, wall clock"),
        _recorded(),
        sa.PrimaryKeyConstraint("expiry_id", name=op.f("pk_silence_expiry")),
        sa.UniqueConstraint("silence_id", name=op.f("uq_silence_expiry_silence_id")),
        sa.ForeignKeyConstraint(
            ["silence_id"],
            ["calmon.silence.silence_id"],
            name=op.f("fk_silence_expiry_silence_id"),
        ),
        schema="calmon",
        comment=EXPIRIES,
    )
    op.create_table(
        "acknowledgement",
        _number("acknowledgement_id"),
        _text("group_id", "Group that was taken on"),
        _text("author", "Who took it on"),
        _text("reason", "Why, or what is done"),
        _at("acknowledged_at", "When, wall clock"),
        _text("severity", "Severity of the group then; it holds until that rises"),
        _json("fingerprints", "Members then, by fingerprint; it holds until another one joins"),
        _recorded(),
        sa.PrimaryKeyConstraint("acknowledgement_id", name=op.f("pk_acknowledgement")),
        schema="calmon",
        comment=ACKS,
    )
    op.create_index("ix_acknowledgement_group_id", "acknowledgement", ["group_id"], schema="calmon")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number"
    )


def _text(name: str, comment: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _at(name: str, comment: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, comment=comment)


def _json(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), nullable=False, comment=comment)


def _recorded() -> sa.Column[object]:
    return sa.Column(
        "recorded_at",
        sa.TIMESTAMP(timezone=True),
        server_default=sa.text("clock_timestamp()"),
        nullable=False,
        comment="When this row was written, by the database's clock",
    )


def _comments(found: dict[tuple[str, str], str]) -> None:
    for (table, column), comment in found.items():
        op.execute(f"COMMENT ON COLUMN calmon.{table}.{column} IS {_quoted(comment)}")


def _view(view: str, table: str, comment: str) -> None:
    """A view of the whole table, with its comments."""
    op.execute(f"CREATE VIEW audit.{view} AS SELECT * FROM calmon.{table}")  # noqa: S608  # own names
    op.execute(f"COMMENT ON VIEW audit.{view} IS {_quoted(comment)}")
    _say_as(view, table)


def _notifications(query: str) -> None:
    op.execute(f"CREATE VIEW audit.notifications AS {query}")
    op.execute(
        "COMMENT ON VIEW audit.notifications IS "
        "'What was told to whom, and what came of every attempt'"
    )
    op.execute(
        "COMMENT ON COLUMN audit.notifications.created_at IS "
        "'When it was written, by the database''s clock'"
    )
    _say_as("notifications", "notification_attempt")
    _say_as("notifications", "notification")


def _say_as(view: str, table: str) -> None:
    """Comment a view's columns as the table's of the same name."""
    op.execute(
        f"""
        DO $$ DECLARE c record; BEGIN
            FOR c IN
                SELECT a.attname, col_description(a.attrelid, a.attnum) AS description
                FROM pg_attribute a
                JOIN pg_attribute v
                  ON v.attrelid = 'audit.{view}'::regclass AND v.attname = a.attname
                WHERE a.attrelid = 'calmon.{table}'::regclass AND a.attnum > 0
                  AND NOT a.attisdropped
            LOOP
                EXECUTE format('COMMENT ON COLUMN audit.{view}.%I IS %L',
                               c.attname, c.description);
            END LOOP;
        END $$
        """  # noqa: S608  # the names are this migration's own
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def downgrade() -> None:
    """Undo; refused by a constraint where a group was told twice in the same way."""
    for view in ("acknowledgements", "silence_expiries", "silences", "episodes", "alerts"):
        op.execute(f"DROP VIEW audit.{view}")
    op.execute("DROP VIEW audit.notifications")
    for table in ("acknowledgement", "silence_expiry", "silence", "episode_event"):
        op.drop_table(table, schema="calmon")
    op.drop_index("ix_notification_group_id", "notification", schema="calmon")
    op.drop_column("notification", "prompted_by", schema="calmon")
    op.drop_column("notification", "sequence", schema="calmon")
    op.alter_column("notification", "group_id", new_column_name="episode_id", schema="calmon")
    op.drop_index("ix_alert_event_model", "alert_event", schema="calmon")
    op.drop_constraint("uq_alert_event_group_id_sequence", "alert_event", schema="calmon")
    for name in (
        "group_id", "sequence", "team", "severity", "members", "reason", "opened_at", "rung_at",
    ):  # fmt: skip
        op.drop_column("alert_event", name, schema="calmon")
    op.create_unique_constraint(
        op.f("uq_alert_event_episode_id_kind"),
        "alert_event",
        ["episode_id", "kind"],
        schema="calmon",
    )
    op.create_table_comment("alert_event", "Beginning and end of alert episodes", schema="calmon")
    _comments(OLD_COMMENTS)
    op.execute(OLD_ALERTS)
    op.execute("COMMENT ON VIEW audit.alerts IS 'Beginning and end of every alert episode'")
    _say_as("alerts", "alert_event")
    _notifications(NOTIFICATIONS.format(group="n.episode_id", more=""))
