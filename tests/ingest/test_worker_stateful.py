"""The worker against a naive model, under every interleaving that hypothesis can think of.

The worker, its store and the database are the product's own and real; Kafka is in memory, and the
driver's connections break where a rule says so. A rule is something the world may do: messages
come, a worker steps or dies or hangs, partitions move, the watcher folds. Whatever was done, once
all is read the counts, tallies, dead letters and changes are those of the naive model: `==`.

SOAK=1 goes on with one seed after another, from a new one, until SOAK_MINUTES (30) have passed;
FAULT_SEED=n repeats a seed. Commits go on in a thread of the worker's, so a rare failure may need
more than one run of its seed.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, Phase, currently_in_test_context, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from kafka import TopicPartition
from kafka.errors import NodeNotReadyError

from monitor.core.counting.tallies import TallyKind
from monitor.store.engine import DatabaseUnavailable
from monitor.store.positions import Fenced
from tests.faulty_postgres import Breakage, Fault, Faults
from tests.ingest.messages import BAD, messages
from tests.ingest.worker_world import PARTITIONS, TOPICS, Member, World

if TYPE_CHECKING:
    from collections.abc import Callable

SOAK = os.environ.get("SOAK") == "1"
SEED = int(os.environ.get("FAULT_SEED") or (secrets.randbits(32) if SOAK else 20_261_124))
EXAMPLES, STEPS = (20, 60) if SOAK else (45, 40)
SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink][: 1 if os.environ.get("NO_SHRINK") else 2],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
MAX_ROUNDS_STILL = 40
"""Rounds without faults in which nothing more is counted; a batch may be of one message."""
MET: set[str] = {
    kind for kind in TallyKind if "unsampled" not in kind and kind != TallyKind.CROSSED_QUANTILES
}
MET |= {"no database", "Kafka away", "fenced", "overtaken", "fold failed"}
MET |= {"ended while partitions moved"}
MET |= {"forgotten row", "dropped block", "late cell", "late delay"}
MET |= {reason for *_, reason in BAD} if SOAK else set()

_all = [
    TopicPartition(t, p) for t in (TOPICS.predictions, TOPICS.labels) for p in range(PARTITIONS)
]
_all.append(TopicPartition(TOPICS.changes, 0))
_which = st.integers(0, 2)
# What one poll brings of each partition, in the order of _all; None: everything.
_portions = st.none() | st.lists(
    st.sampled_from([0, 1, 1, 2, 3, 50]), min_size=len(_all), max_size=len(_all)
)
_at_commits = st.builds(Fault, st.sampled_from(Breakage), st.integers(0, 2), st.just(value=True))
_at_calls = st.builds(Fault, st.sampled_from(Breakage), st.integers(0, 12), st.just(value=False))
_faults = st.none() | _at_commits | _at_calls
# Which of a worker's next polls fail: at once, or after a poll that brought something.
_polls_that_fail = st.sampled_from([[], [], [], [True], [False, True], [False, False, True]])


class Workers(RuleBasedStateMachine):
    """Up to three workers of one group, and what befalls them."""

    url: str
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.url)
        self.members: list[Member] = []
        self.started = 0

    @initialize()
    def first_worker(self) -> None:
        self.start_worker(20_000, 0.0, None)

    @rule(sent=st.lists(messages, min_size=1, max_size=6))
    def publish(self, sent: list[object]) -> None:
        for message in sent:
            self.world.publish(message)  # type: ignore[arg-type]  # a list of a union

    @rule(sent=st.lists(messages, min_size=2, max_size=8), portions=_portions)
    def serve(self, sent: list[object], portions: list[int] | None) -> None:
        """Messages come, and every worker takes a step."""
        self.publish(sent)
        for member in list(self.members):
            self._limit(member, portions)
            member.faults.arm(None)
            self._do(member, member.worker.step)

    @rule(sent=st.lists(messages, min_size=2, max_size=4), which=_which, evict=st.booleans())
    def serve_and_flush(self, sent: list[object], which: int, evict: bool) -> None:
        self.serve(sent, None)
        self.flush(which, evict, None)

    @rule(
        models=st.sampled_from([["m0"], ["m1"], ["m0", "m1"], ["m0", "m1"]]),
        by_ms=st.sampled_from([300_000, 1_000_001, 1_300_000]),
        which=_which,
        evict=st.booleans(),
    )
    def time_passes(self, models: list[str], by_ms: int, which: int, evict: bool) -> None:
        self.world.pass_time(models, by_ms)
        self.serve([], None)
        self.flush(which, evict, None)

    @rule(tp=st.sampled_from(_all))
    def an_offset_is_used_up(self, tp: TopicPartition) -> None:
        self.world.kafka.skip(tp.topic, tp.partition)

    @rule(
        which=_which,
        portions=_portions,
        fault=_faults,
        away=_polls_that_fail,
        steps=st.integers(1, 3),
    )
    def step(
        self,
        which: int,
        portions: list[int] | None,
        fault: Fault | None,
        away: list[bool],
        steps: int,
    ) -> None:
        for member in self._chosen(which):
            self._limit(member, portions)
            member.faults.arm(fault)
            member.consumer.failing = [NodeNotReadyError() if fails else None for fails in away]
            for _ in range(steps):
                if not self._do(member, member.worker.step):
                    break
            self.seen["Kafka away"] += any(away) and not member.consumer.failing
            member.consumer.failing = []

    @rule(which=_which, evict=st.booleans(), fault=_faults)
    def flush(self, which: int, evict: bool, fault: Fault | None) -> None:
        for member in self._chosen(which):
            member.faults.arm(fault)
            # A process whose last flush failed ends; the loop never flushes outside of a step.
            if not self._do(member, partial(member.worker.flush, evict=evict)):
                self._bury(member)

    @precondition(lambda self: len(self.members) < 3)
    @rule(batch=st.sampled_from([1, 3, 20_000]), every_s=st.sampled_from([0.0, 1e6]), fault=_faults)
    def start_worker(self, batch: int, every_s: float, fault: Fault | None) -> None:
        self.started += 1
        faults = Faults()
        faults.arm(fault)
        try:
            member = self.world.start(f"worker-{self.started}", batch, every_s, faults)
        except DatabaseUnavailable:
            assert faults.struck, "no database at a start, and no fault"
            faults.cut()
        else:
            self.members.append(member)

    @rule(which=_which, noticed=st.booleans())
    def crash(self, which: int, noticed: bool) -> None:
        for member in self._chosen(which):
            self.members.remove(member)
            member.die()
            if noticed:
                self.world.kafka.group.remove(member.consumer)

    @rule(which=_which)
    def leave(self, which: int) -> None:
        """A worker ends in order, and leaves nothing of what it holds and owns unflushed."""
        for member in self._chosen(which):
            member.faults.arm(None)
            is_loaded = member.worker.rows and not member.faults.struck
            held = {tp.partition for tp in member.consumer.assignment() if is_loaded}
            moving = self.world.kafka.group.is_waiting(member.consumer)
            if self._do(member, member.end):
                self._bury(member)
                others = {tp.partition for tp, owner in self.world.owners().items()
                          if owner != member.name}  # fmt: skip
                missed = self.world.unflushed_shards() & held
                # Its flush is refused whole if another has taken over a part.
                assert not missed or held & others, f"{member.name} missed its last flush"
                self.seen["ended while partitions moved"] += moving and bool(held)

    @rule(sent=st.lists(messages, min_size=2, max_size=5), which=_which)
    def leave_amid_a_rebalance(self, sent: list[object], which: int) -> None:
        """Partitions move, and a worker that has heard of it ends before it knows where to."""
        if len(self.members) < 2:
            self.start_worker(20_000, 1e6, None)
        self.serve(sent, None)
        self.world.kafka.group.rebalance()
        for member in self._chosen(which):
            member.consumer.limits = None
            member.faults.arm(None)
            if self._do(member, member.worker.step):
                self.leave(which)

    @rule()
    def rebalance(self) -> None:
        self.world.kafka.group.rebalance()

    @rule(which=_which)
    def fall_silent(self, which: int) -> None:
        """A worker hangs, or its network does; later its partitions go to others."""
        for member in self._chosen(which):
            member.consumer.is_silent = member.was_silent = True

    @rule()
    def sessions_end(self) -> None:
        for consumer in list(self.world.kafka.group.members.values()):
            if consumer.is_silent:
                self.world.kafka.group.remove(consumer)

    @rule(which=_which)
    def wake(self, which: int) -> None:
        """What hung talks to the group again."""
        for member in self._chosen(which):
            member.consumer.is_silent = False

    @rule(sent=st.lists(messages, min_size=2, max_size=5), which=_which, evict=st.booleans())
    def overtaken(self, sent: list[object], which: int, evict: bool) -> None:
        """A worker hangs between its poll and its commit, and meanwhile the others take over."""
        if len(self.members) < 2:
            self.start_worker(20_000, 0.0, None)
        for _ in range(3):
            self.serve([], None)
        for member in self._chosen(which):
            # One that is about to take over would own its partitions again after it wakes.
            is_settled = self._do(member, member.worker.step) and member.consumer.is_settled
            self.publish(sent)
            taken: list[int] = []
            self._limit(member, None)
            member.consumer.fetched = partial(self._overtake, member, taken)
            went_on = self._do(member, member.worker.step) and self._do(
                member, partial(member.worker.flush, evict=evict)
            )
            member.consumer.fetched = None
            if taken and is_settled:
                assert not went_on, "a worker went on after its partitions moved"
                assert self.world.moves() == taken[0], "a fenced worker wrote something"
                self.seen["overtaken"] += 1

    def _overtake(self, member: Member, taken: list[int]) -> None:
        """Others take a member's partitions; `taken` gets what was written until then."""
        member.consumer.is_silent = member.was_silent = True
        self.world.kafka.group.remove(member.consumer)
        for _ in range(3):
            for other in [m for m in self.members if m is not member]:
                other.faults.arm(None)
                self._do(other, other.worker.step)
        # Their own commits must have ended, for what is written now to be the sleeper's.
        for other in [m for m in self.members if m is not member]:
            self._do(other, other.worker.flush)
        if self._lost(member):
            taken.append(self.world.moves())

    @rule(fault=_faults)
    def fold(self, fault: Fault | None) -> None:
        self.world.watcher_faults.arm(fault)
        try:
            self.world.watcher.fold()
        except DatabaseUnavailable:
            assert self.world.watcher_faults.struck
            self.seen["fold failed"] += 1

    @rule()
    def drain_and_compare(self) -> None:
        """Everything is read at last, and counted as the naive model counts it."""
        self._end_of_trouble()
        for member in self.members:
            assert self._do(member, member.worker.flush), "a healthy worker could not flush"
        while self.world.watcher.fold():
            pass
        cells, delays, tallies = self.world.expected()
        assert self.world.known_cells() == cells
        assert self.world.known_delays() == delays
        assert self.world.known_tallies() == tallies
        assert self.world.known_dead_letters() == self.world.dead_letters
        assert self.world.known_changes() == self.world.changes
        self.seen.update(kind for kind, _, _ in tallies)
        self.seen.update(reason for *_, reason in self.world.dead_letters)
        self.seen["forgotten row"] += self.world.forgotten
        self.seen["dropped block"] += self.world.dropped_blocks()
        self.seen["late cell"] += sum(late for _, _, late, _ in cells)
        self.seen["late delay"] += sum(late for _, _, late, _, _ in delays)

    def teardown(self) -> None:
        try:
            if sys.exception() is None:  # else a step has failed, and its failure is to be seen
                self.drain_and_compare()
        finally:
            for member in self.members:
                member.die()
            self.world.close()

    def _end_of_trouble(self) -> None:
        """No more faults; what hangs dies, at least one worker lives, and all is read."""
        self.world.watcher_faults.arm(None)
        for member in list(self.members):
            member.faults.arm(None)
            member.consumer.limits = None
            if member.consumer.is_silent:
                self.members.remove(member)
                member.die()
        self.sessions_end()
        idle = still = left = 0
        while still < MAX_ROUNDS_STILL:
            if not self.members:
                self.start_worker(20_000, 0.0, None)
            # A flush waits for the commit under way, which a step does not.
            goes_on = [
                self._do(member, member.worker.step) and self._do(member, member.worker.flush)
                for member in list(self.members)
            ]
            is_settled = not self.world.kafka.group.is_joining and not self.world.unread()
            idle = idle + 1 if is_settled and all(goes_on) else 0
            if idle == 2:
                return
            before, left = left, self.world.messages_unread()
            still = still + 1 if left == before else 0
        pytest.fail(f"not all is read: {self.world.unread()}")

    def _chosen(self, which: int) -> list[Member]:
        """One of the workers, if there is any."""
        return [self.members[which % len(self.members)]] if self.members else []

    def _limit(self, member: Member, portions: list[int] | None) -> None:
        member.consumer.limits = (
            None if portions is None else dict(zip(_all, portions, strict=True))
        )

    def _do(self, member: Member, action: Callable[[], object]) -> bool:
        """Whether a worker did it; only what a fault or a lost partition explains may stop it."""
        take_overs = self.world.take_overs()
        try:
            action()
            if self.world.kafka.group.is_waiting(member.consumer):
                assert self.world.take_overs() == take_overs, "it took what may be another's"
        except DatabaseUnavailable:
            assert member.faults.struck, "no database, and no fault"
            _note(f"  {member.name}: no database")
            self.seen["no database"] += 1
            return False
        except Fenced:
            lost = self._lost(member)
            assert lost, f"{member.name} was fenced, and holds all its partitions"
            group = self.world.kafka.group
            is_steady = member.consumer.member_id in group.members and not group.is_joining
            takers = [taker for taker in self.members if taker.name in lost.values()]
            is_healthy = is_steady and not member.was_silent
            assert not is_healthy or any(taker.was_silent for taker in takers) or not takers, (
                f"{member.name} is healthy, and was fenced by {lost}"
            )
            _note(f"  {member.name}: fenced")
            self.seen["fenced"] += 1
            self._bury(member)
            return False
        return True

    def _lost(self, member: Member) -> dict[TopicPartition, str]:
        """Partitions that the worker thinks are its own, and who took them."""
        owners = self.world.owners()
        held = member.consumer.assignment()
        return {tp: owners[tp] for tp in held if tp in owners and owners[tp] != member.name}

    def _bury(self, member: Member) -> None:
        """The process ends in order: it closes its consumer."""
        if member in self.members:
            self.members.remove(member)
        member.consumer.close(autocommit=False)
        member.die()


def _note(text: str) -> None:
    if currently_in_test_context():
        note(text)


@pytest.mark.timeout(5400 if SOAK else 900)  # a failure is shrunk for up to five minutes
def test_every_interleaving_counts_as_the_naive_model_does(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()
    runs: type[Workers] = type("Run", (Workers,), {"url": postgres_url, "seen": seen})
    until_s = time.monotonic() + SOAK_MINUTES * 60
    for number in count(SEED):
        with capsys.disabled():
            sys.stdout.write(f"\nFAULT_SEED={number}, {EXAMPLES} runs of up to {STEPS} steps\n")
        # Thousands of lines about assignments would hide the steps of a failure.
        with structlog.testing.capture_logs():
            run_state_machine_as_test(seed(number)(type("Run", (runs,), {})), settings=SETTINGS)
        if not SOAK or time.monotonic() > until_s:
            break
    with capsys.disabled():
        sys.stdout.write(f"met: {dict(sorted(seen.items()))}\n")
    # A test that never meets what it is about would show nothing.
    assert set(+seen) >= MET, f"never met: {MET - set(+seen)}"
