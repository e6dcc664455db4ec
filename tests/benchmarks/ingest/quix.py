"""Contestant `quix`: a Quix Streams application that joins by key in RocksDB and counts bins.

Guarantees: it is written to win. State per key holds a prediction until its label comes, or a label
until its prediction comes, and nothing after; at-least-once; no changelog topics; the bins are a
dictionary of this process that a crash would lose; the clock stops at the last event counted,
before the last checkpoint. So it does less than the product: duplicates, corrections and
retractions are not told from first labels, and nothing is in a database. Must never: import more
of the product than its memory settings; it runs in an environment of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any

from quixstreams import Application  # type: ignore[import-not-found]  # see rival_environment

from monitor.daemon.memory import tune_memory
from tests.benchmarks.ingest.contest import Stopwatch, Task, answer

if TYPE_CHECKING:
    from quixstreams import State

HOUR_MS = 3_600_000
EDGES = [i / 60 for i in range(1, 61)]


class Calibration:
    """Counts of (model, version, country, hour, bin, label) from a stream of both topics."""

    def __init__(self, app: Application, n_events: int, watch: Stopwatch) -> None:
        self._app = app
        self._left = n_events
        self._watch = watch
        self.n_predicted = 0
        self.labelled: Counter[tuple[Any, ...]] = Counter()
        self.seconds = 0.0

    def event(self, value: dict[str, Any], state: State) -> None:
        """Take one prediction or label."""
        self._watch.received()
        if "score" in value:
            self._prediction(value, state)
        else:
            self._label(value, state)
        self._left -= 1
        if not self._left:
            self.seconds = self._watch.seconds
            self._app.stop()

    def _prediction(self, value: dict[str, Any], state: State) -> None:
        self.n_predicted += 1
        cell = [
            value["model"],
            value["version"],
            value["segments"]["country"],
            value["ts"] // HOUR_MS,
            bisect_left(EDGES, value["score"]),
        ]
        label = state.get("label")
        if label is None:
            state.set("prediction", cell)
        else:
            self.labelled[(*cell, label)] += 1
            state.delete("label")

    def _label(self, value: dict[str, Any], state: State) -> None:
        cell = state.get("prediction")
        if cell is None:
            state.set("label", value["label"])
        else:
            self.labelled[(*cell, value["label"])] += 1
            state.delete("prediction")


def main() -> None:
    task = Task.read()
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        state_dir=task.state_dir,
        loglevel="WARNING",
        use_changelog_topics=False,  # on by default; without them a lost disk loses the state
    )
    calibration = Calibration(app, task.n_events, Stopwatch())
    predictions, labels = (
        app.dataframe(app.topic(name, value_deserializer="json"))
        for name in (task.predictions, task.labels)
    )
    predictions.concat(labels).update(calibration.event, stateful=True)
    tune_memory()
    app.run()
    labelled = calibration.labelled
    positive = sum(n for cell, n in labelled.items() if cell[-1] == 1)
    answer(
        seconds=calibration.seconds,
        counts=[calibration.n_predicted, labelled.total(), positive],
    )


if __name__ == "__main__":
    main()
