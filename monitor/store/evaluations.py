"""Verdicts on their way into the history: those of a slice in one statement.

Guarantees: rows are numbered in the order given; evidence stands there as `Verdict.as_json` says
it. Must never: commit, or change a row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from sqlalchemy import ARRAY, TIMESTAMP, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from monitor.core.verdicts import as_plain
from monitor.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from monitor.core.policies import Policy
    from monitor.core.verdicts import Evidence, Verdict

POLICIES_KEPT = 10_000
ROWS_AT_ONCE = 1000
"""Of some 10 KB each: a statement's parameters may take 1 GB at the most."""

_BETWEEN = "\x1e"
"""Record separator, which stands in no JSON but escaped: the driver quotes arrays of as much text
slowly."""
_TIMES = ("evaluated_at", "window_start_at", "window_end_at")
_TEXTS = ("model", "version", "claim", "segment", "status", "reason", "policy_fingerprint")
_COLUMNS = ", ".join((*_TEXTS, *_TIMES, "evidence"))
_INSERT = text(
    f"""
    INSERT INTO calmon.evaluation ({_COLUMNS})
    SELECT {", ".join((*_TEXTS, *_TIMES))}, CAST(evidence AS jsonb)
    FROM unnest({", ".join(f":{name}" for name in (*_TEXTS, *_TIMES))},
                string_to_array(:evidence, chr({ord(_BETWEEN)}))) AS n({_COLUMNS})
    RETURNING evaluation_id
    """  # noqa: S608  # the names are this program's own
).bindparams(
    bindparam("evidence", type_=Text),
    *(bindparam(name, type_=ARRAY(Text)) for name in _TEXTS),
    *(bindparam(name, type_=ARRAY(TIMESTAMP(timezone=True))) for name in _TIMES),
)


def insert_policies(connection: Connection, policies: Iterable[Policy]) -> None:
    """Add the policies that are not there yet."""
    asked = {fingerprint(policy): policy for policy in policies}
    if not asked:
        return
    of_these = select(t.policy.c.fingerprint).where(t.policy.c.fingerprint.in_(asked))
    known = set(connection.execute(of_these).scalars())
    new = [
        {"fingerprint": name, "body": policy.as_json()}
        for name, policy in asked.items()
        if name not in known
    ]
    if new:
        connection.execute(upsert(t.policy).on_conflict_do_nothing(), new)


def insert_evaluations(
    connection: Connection, judged: Sequence[tuple[Verdict, Policy]]
) -> list[int]:
    """Add verdicts, whose policies are there; their numbers, in the same order."""
    numbers: list[int] = []
    for first in range(0, len(judged), ROWS_AT_ONCE):
        some = judged[first : first + ROWS_AT_ONCE]
        rows = zip(*(_row(verdict, policy) for verdict, policy in some), strict=True)
        columns = dict(zip((*_TEXTS, *_TIMES), map(list, rows), strict=True))
        evidence = _BETWEEN.join(evidence_json(verdict.evidence) for verdict, _ in some)
        numbers += connection.execute(_INSERT, {**columns, "evidence": evidence}).scalars()
    return numbers


@lru_cache(POLICIES_KEPT)
def fingerprint(policy: Policy) -> str:
    """`Policy.fingerprint`, which a fleet asks for every verdict."""
    return policy.fingerprint


def evidence_json(evidence: Evidence) -> str:
    """The JSON of `as_plain(evidence)`, without the detour over it where the encoder says the same.

    Times of a restart may have milliseconds, which the encoder writes with six digits.
    """
    value = evidence if evidence.restart is None else as_plain(evidence)
    return _encoder.encode(value).decode()


def _row(verdict: Verdict, policy: Policy) -> tuple[object, ...]:
    """All but the evidence, in the order of the columns."""
    series = verdict.series
    return (
        series.model,
        series.version,
        series.claim,
        series.segment,
        str(verdict.status),
        verdict.reason,
        fingerprint(policy),
        verdict.evaluated_at,
        verdict.window_start_at,
        verdict.window_end_at,
    )


def _number(value: object) -> float:
    """A float of NumPy's; anything else is a fault."""
    if isinstance(value, np.floating):
        return float(value)
    msg = f"{type(value).__name__} in evidence"
    raise TypeError(msg)


_encoder = msgspec.json.Encoder(enc_hook=_number)
