"""What every contestant does alike: its task, its clock and its answer.

Guarantees: each contestant is a process of its own that reads one task and prints one line of
JSON; the clock runs from the first record received to what the contestant calls done. Must never:
import anything but the standard library, for contestants of other environments import it too. They
all call the product's `tune_memory`, so that collector and allocator are set alike.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field, fields

BATCH_EVENTS = 20_000
GIVE_UP_S = 900
"""A contestant that is not done by then has lost events, and says so."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to read, and where to put it.

    api_version: as in monitor.demo.embedded.KafkaServer; label_horizon_s and segments: of every
    model's policy; n_events: messages in both topics together; state_dir: a directory to use up.
    """

    bootstrap: str
    api_version: tuple[int, int] | None
    predictions: str
    labels: str
    changes: str
    group: str
    n_events: int
    label_horizon_s: int
    segments: tuple[str, ...]
    database_url: str
    state_dir: str
    options: dict[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Task:
        """The task on the command line."""
        found = json.loads(sys.argv[1])
        version = found["api_version"]
        found["api_version"] = None if version is None else tuple(version)
        found["segments"] = tuple(found["segments"])
        return cls(**{f.name: found[f.name] for f in fields(cls)})

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def kafka(self) -> dict[str, object]:
        """Connection settings of kafka-python."""
        version = {} if self.api_version is None else {"api_version": self.api_version}
        return {"bootstrap_servers": [self.bootstrap], **version}


@dataclass(slots=True)
class Stopwatch:
    """Seconds from the first record received."""

    started: float | None = None
    _made: float = field(default_factory=time.perf_counter)

    def received(self) -> None:
        """Note that a record is here; only the first counts."""
        if self.started is None:
            self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the first record; raises RuntimeError when the contestant takes for ever."""
        now = time.perf_counter()
        if now - self._made > GIVE_UP_S:
            msg = f"not done after {GIVE_UP_S} s"
            raise RuntimeError(msg)
        return 0.0 if self.started is None else now - self.started


def answer(**found: object) -> None:
    """Print the result, the last line of stdout."""
    print(json.dumps(found), flush=True)  # noqa: T201  # it is what the process is for
