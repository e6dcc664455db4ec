"""The sample of labelled predictions: written with the counts, read for what needs whole rows.

Guarantees: it is written in the transaction that moves the offsets, by the owner of its partition
alone; what is beyond its size or its days is gone when that transaction ends; of one version all
rows that are read were chosen with the same chance. Must never: take part in a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Double, Integer, bindparam, text

from monitor.core.counting.labelled_sample import GROUP, KEPT_DAYS
from monitor.core.recalibration.class_temperature import MOST_ROWS
from monitor.store.engine import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from sqlalchemy import Connection, Engine

    from monitor.core.counting.labelled_sample import LabelledClaims

_HALF = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class SampledPrediction:
    """One prediction of the sample: score and outcome (1, 0, None: retracted) by claim."""

    version: str
    predicted_on: date
    claims: Mapping[str, tuple[float, int | None]]


def write_sample(connection: Connection, rows: LabelledClaims) -> None:
    """Put claims into the sample and take out what is beyond it, in the caller's transaction.

    rows: as `drawn`, of partitions that the caller owns.
    """
    if not len(rows):
        return
    columns: dict[str, object] = {
        "model_id": rows.model.tolist(),
        "shard": rows.shard.tolist(),
        "day": rows.day.tolist(),
        "series_id": rows.series.tolist(),
        "key": (rows.key ^ _HALF).view(np.int64).tolist(),  # in the same order, with a sign
        "size": rows.size.tolist(),
        "score": rows.score.tolist(),
        "outcome": [None if np.isnan(y) else int(y) for y in rows.outcome.tolist()],
    }
    connection.execute(_WRITE, columns)
    one_each = rows.take(~rows.repeats(GROUP))
    groups = {
        "model_id": one_each.model.tolist(),
        "shard": one_each.shard.tolist(),
        "day": one_each.day.tolist(),
        "series_id": one_each.series.tolist(),
        "size": one_each.size.tolist(),
    }
    of_partitions = {name: groups[name] for name in ("model_id", "shard")}
    connection.execute(_DROP_OLD, of_partitions | {"days": KEPT_DAYS})
    connection.execute(_DROP_LARGE, groups)


class LabelledSampleStore:
    """Postgres as those who ask for labelled rows see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def drawn(self, model: str, most: int = MOST_ROWS) -> list[SampledPrediction]:
        """A uniform sample of each version of a model, those of the smallest hashes, by hash.

        A day or partition of much traffic is cut at the same hash as one of little.
        """
        with transaction(self._engine) as connection:
            rows = connection.execute(_DRAWN, {"model": model, "most": most})
            return [
                SampledPrediction(
                    row.version,
                    row.predicted_on,
                    {claim: (float(score), y) for claim, (score, y) in row.claims.items()},
                )
                for row in rows
            ]


_PLACE = "model_id, shard, predicted_on, version, key"
_EPOCH = "DATE '1970-01-01'"
_NUMBERS = tuple(
    bindparam(name, type_=ARRAY(Integer)) for name in ("model_id", "shard", "day", "series_id")
)
_SIZE = bindparam("size", type_=ARRAY(Integer))

_WRITE = text(
    f"""
    INSERT INTO calmon.labelled_sample AS held ({_PLACE}, size, claims)
    SELECT r.model_id, r.shard, {_EPOCH} + r.day, s.version, r.key, max(r.size),
           jsonb_object_agg(s.claim, jsonb_build_array(r.score, r.outcome) ORDER BY s.series_id)
    FROM unnest(:model_id, :shard, :day, :series_id, :key, :size, :score, :outcome)
         AS r(model_id, shard, day, series_id, key, size, score, outcome)
    JOIN calmon.series s USING (series_id)
    GROUP BY r.model_id, r.shard, r.day, s.version, r.key
    ON CONFLICT ({_PLACE}) DO UPDATE
    SET claims = held.claims || excluded.claims, size = excluded.size
    """  # noqa: S608  # the names are this program's own
).bindparams(
    *_NUMBERS,
    _SIZE,
    bindparam("key", type_=ARRAY(BigInteger)),
    bindparam("score", type_=ARRAY(Double)),
    bindparam("outcome", type_=ARRAY(Integer)),
)

_DROP_OLD = text(
    """
    DELETE FROM calmon.labelled_sample l
    USING (SELECT DISTINCT * FROM unnest(:model_id, :shard)) AS g(model_id, shard)
    WHERE l.model_id = g.model_id AND l.shard = g.shard
      AND l.predicted_on <= (
          SELECT max(n.predicted_on) FROM calmon.labelled_sample n
          WHERE n.model_id = g.model_id AND n.shard = g.shard
      ) - :days
    """
).bindparams(*_NUMBERS[:2], bindparam("days", type_=Integer))

_DROP_LARGE = text(
    f"""
    DELETE FROM calmon.labelled_sample l
    USING (
        SELECT h.model_id, h.shard, h.predicted_on, h.version, h.key, g.size,
               row_number() OVER (
                   PARTITION BY h.model_id, h.shard, h.predicted_on, h.version ORDER BY h.key
               ) AS place
        FROM unnest(:model_id, :shard, :day, :series_id, :size)
             AS g(model_id, shard, day, series_id, size)
        JOIN calmon.series s USING (series_id)
        JOIN calmon.labelled_sample h
          ON h.model_id = g.model_id AND h.shard = g.shard
         AND h.predicted_on = {_EPOCH} + g.day AND h.version = s.version
    ) found
    WHERE found.place > found.size
      AND (l.model_id, l.shard, l.predicted_on, l.version, l.key)
        = (found.model_id, found.shard, found.predicted_on, found.version, found.key)
    """  # noqa: S608  # the names are this program's own
).bindparams(*_NUMBERS, _SIZE)

# Where a group is full, only what is below its largest hash is held whole.
_DRAWN = text(
    """
    WITH held AS (
        SELECT l.* FROM calmon.labelled_sample l JOIN calmon.model m USING (model_id)
        WHERE m.name = :model
    ), full_group AS (
        SELECT version, max(key) AS largest FROM held
        GROUP BY version, shard, predicted_on HAVING count(*) >= max(size)
    ), cut AS (
        SELECT version, min(largest) AS largest FROM full_group GROUP BY version
    )
    SELECT version, predicted_on, claims
    FROM (
        SELECT h.version, h.predicted_on, h.key, h.claims,
               row_number() OVER (PARTITION BY h.version ORDER BY h.key, h.shard, h.predicted_on)
                   AS place
        FROM held h LEFT JOIN cut c USING (version)
        WHERE c.largest IS NULL OR h.key <= c.largest
    ) below
    WHERE place <= :most
    ORDER BY version, place
    """
)
