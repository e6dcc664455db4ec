"""Predictions of other kinds than binary, and their labels: a row for each claim.

Guarantees: of an event either every claim is counted, or it is one dead letter, or sampled out.
Must never: touch a binary prediction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.core.counting.tallies import TallyKind, count_by_model
from monitor.core.events import LabelColumns, PredictionColumns
from monitor.core.kinds import BINARY, claims_made, crossed, salt
from monitor.ingest.formats import Refusal, refused_time, times_ms
from monitor.ingest.records import dead_letter
from monitor.ingest.series_book import other_kind
from monitor.ingest.stated import label_number, numbers_stated

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.core.counting.tallies import Tally
    from monitor.core.kinds import ClaimColumns, ClaimSet
    from monitor.ingest.formats import LabelEvent, LabelOfAnyKind, PredictionOfAnyKind
    from monitor.ingest.records import Record
    from monitor.ingest.series_book import SeriesBook
    from monitor.store.ingest import DeadLetter


class OtherKinds:
    """Decoder of what is not binary.

    keys: of prediction ids and their models' numbers; latest_ms: time that an event may have.
    """

    def __init__(
        self,
        book: SeriesBook,
        keys: Callable[[Sequence[str], NDArray[np.int32]], NDArray[np.uint64]],
        latest_ms: Callable[[Record], int],
    ) -> None:
        self._book = book
        self._keys = keys
        self._latest_ms = latest_ms

    def predictions(
        self,
        stated: Sequence[tuple[Record, PredictionOfAnyKind]],
        dead: list[DeadLetter],
        tallies: Counter[Tally],
    ) -> PredictionColumns:
        """Predictions, model by model."""
        by_model: dict[str, list[tuple[Record, PredictionOfAnyKind]]] = {}
        for pair in stated:
            by_model.setdefault(pair[1].model, []).append(pair)
        numbers = self._book.models(list(by_model)).tolist()
        # A code below zero holds until the next batch is looked up, so it is read at once.
        refusals = {n: self._book.refusal(n) for n in numbers if n < 0}
        parts = [PredictionColumns.empty()]
        for number, (name, mine) in zip(numbers, by_model.items(), strict=True):
            claims = self._book.claims.get(number)
            if claims is None:
                refusal = refusals.get(number) or other_kind(name, BINARY)
                dead.extend(dead_letter(r, self._untimely(r, e) or refusal) for r, e in mine)
            else:
                readable, values = self._readable(mine, name, claims, dead)
                made = list(claims_made(claims, values))
                is_crossed = _crossed(claims, values)
                parts.append(self._claims(readable, made, number, dead, tallies, is_crossed))
        return PredictionColumns.concatenated(parts)

    def labels(
        self,
        given: Sequence[tuple[Record, LabelEvent | LabelOfAnyKind]],
        model: NDArray[np.int32],
        dead: list[DeadLetter],
        tallies: Counter[Tally],
    ) -> list[LabelColumns]:
        """Labels: a row for each claim that they decide."""
        kept: list[int] = []
        label: list[float] = []
        for i, (record, event) in enumerate(given):
            found = label_number(event, self._book.claims[int(model[i])])
            found = self._untimely(record, event) or found
            if isinstance(found, Refusal):
                dead.append(dead_letter(record, found))
            else:
                kept.append(i)
                label.append(found)
        model = model[kept]
        columns = LabelColumns(
            self._keys([given[i][1].prediction_id for i in kept], model),
            np.array([given[i][0].partition for i in kept], dtype=np.int32),
            model,
            times_ms([given[i][1].ts for i in kept]),
            np.array(label, dtype=np.float64),
        )
        unsampled = columns.key > self._book.sample_limit(model)
        count_by_model(tallies, TallyKind.UNSAMPLED_LABEL, model[unsampled])
        columns = columns.take(~unsampled)
        of_model = {n: columns.take(columns.model == n) for n in np.unique(columns.model).tolist()}
        return [
            replace(mine, key=mine.key ^ each)
            for number, mine in of_model.items()
            for each in self._book.claims[number].salts
        ]

    def _untimely(
        self, record: Record, event: PredictionOfAnyKind | LabelEvent | LabelOfAnyKind
    ) -> Refusal | None:
        """Of several faults the time's is told first, as where records are decoded singly."""
        return refused_time(event.ts, self._latest_ms(record))

    def _readable(
        self,
        mine: Sequence[tuple[Record, PredictionOfAnyKind]],
        model: str,
        claims: ClaimSet,
        dead: list[DeadLetter],
    ) -> tuple[list[tuple[Record, PredictionOfAnyKind]], NDArray[np.float64]]:
        """The predictions of one model that fit its claims, and their numbers."""
        readable: list[tuple[Record, PredictionOfAnyKind]] = []
        rows: list[list[float]] = []
        for record, event in mine:
            found = numbers_stated(event, claims)
            if found is None:
                found = other_kind(model, claims)
            found = self._untimely(record, event) or found
            if isinstance(found, Refusal):
                dead.append(dead_letter(record, found))
            else:
                readable.append((record, event))
                rows.append(found)
        return readable, np.array(rows, dtype=np.float64).reshape(len(rows), len(claims.columns))

    def _claims(  # noqa: PLR0913, PLR0917  # what one model's predictions state, and what is told
        self,
        mine: Sequence[tuple[Record, PredictionOfAnyKind]],
        made: Sequence[ClaimColumns],
        number: int,
        dead: list[DeadLetter],
        tallies: Counter[Tally],
        is_crossed: NDArray[np.bool_],
    ) -> PredictionColumns:
        """A row for each claim of each prediction of one model; all of them, or a dead letter.

        In the order of the predictions: what is too late is told by what came before it.
        """
        model = np.full(len(mine), number, dtype=np.int32)
        key = self._keys([event.prediction_id for _, event in mine], model)
        series = self._series(mine, made)
        refused = np.zeros(len(mine), dtype=np.int32)
        for m, found in zip(made, series, strict=True):
            refused[m.row] = np.where(found < 0, found, refused[m.row])
        dead.extend(
            dead_letter(mine[i][0], self._book.refusal(int(refused[i])))
            for i in np.flatnonzero(refused).tolist()
        )
        unsampled = (refused == 0) & (key > self._book.sample_limit(model))
        count_by_model(tallies, TallyKind.UNSAMPLED_PREDICTION, model[unsampled])
        kept = (refused == 0) & ~unsampled
        count_by_model(tallies, TallyKind.CROSSED_QUANTILES, model[kept & is_crossed])
        shard = np.array([record.partition for record, _ in mine], dtype=np.int32)
        ts_ms = times_ms([event.ts for _, event in mine])
        columns = [
            PredictionColumns(
                key[m.row] ^ np.uint64(salt(m.name)),
                shard[m.row],
                found,
                ts_ms[m.row],
                m.score,
                m.refs,
            )
            for m, found in zip(made, series, strict=True)
        ]
        row = np.concatenate([m.row for m in made])
        order = np.argsort(row, kind="stable")
        return PredictionColumns.concatenated(columns).take(order[kept[row[order]]])

    def _series(
        self,
        mine: Sequence[tuple[Record, PredictionOfAnyKind]],
        made: Sequence[ClaimColumns],
    ) -> list[NDArray[np.int32]]:
        """Series of each claim's rows, looked up at once, so that all refusals hold."""
        whose = [(event.model, event.version, bytes(event.segments)) for _, event in mine]
        found = self._book.series(
            [
                (*whose[i], m.name, m.rule, low)
                for m in made
                for i, low in zip(m.row.tolist(), m.low.tolist(), strict=True)
            ]
        )
        ends = np.cumsum([len(m.row) for m in made])
        return np.split(found, ends[:-1])


def _crossed(claims: ClaimSet, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each prediction, whether its quantiles cross."""
    if not claims.quantiles:
        return np.zeros(len(values), dtype=np.bool_)
    # The columns of quantiles come first, in the order of their levels.
    return crossed(dict(zip(claims.quantiles, values.T, strict=False)))
