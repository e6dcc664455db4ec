"""`calmon deadletter`: look at messages that could not be used, replay them, or drop them.

Guarantees: what a message holds reaches a terminal escaped, whatever it is; nothing is replayed
or dropped that was not selected. Must never: hold logic of its own beyond words and tables.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from monitor.cli.database import database
from monitor.cli.options import AsJson, ConfigPath
from monitor.cli.signed import this_user
from monitor.config import Settings, load
from monitor.config.times import parse_moment, parse_span
from monitor.core.verdicts import rfc3339
from monitor.ingest.replayable import cannot_replay
from monitor.printing.dead_letters import (
    escaped,
    letter_json,
    letter_text,
    letters_text,
    print_letters,
    replayed_json,
    replayed_text,
    whole_json,
)
from monitor.store.dead_letters import DeadLetterStore, Place, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.store.dead_letters import WholeLetter

app = typer.Typer(help="Messages that could not be used.", no_args_is_help=True)

TopicOption = Annotated[str | None, typer.Option("--topic", help="Letters of this topic.")]
PartitionOption = Annotated[
    int | None, typer.Option("--partition", min=0, help="Letters of this partition of --topic.")
]
OffsetOption = Annotated[
    int | None, typer.Option("--offset", min=0, help="The letter at this offset of --partition.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Letters with this reason.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Letters recorded since a time, or within a span such as 2h."),
]
Everything = Annotated[bool, typer.Option("--all", help="All letters that wait.")]


@app.command("list")
def list_letters(  # noqa: PLR0913  # one parameter an option
    *,
    topic: TopicOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most letters to show.")] = 50,
    resolved: Annotated[bool, typer.Option("--all", help="Replayed and dropped ones too.")] = False,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List letters that wait, the newest first, and count them by topic and reason."""
    selection = Selection(topic=topic, reason=reason, since=_since(since), resolved=resolved)
    with _store(_load(config_path)) as store:
        letters, counts = store.find(selection, limit), store.counts(selection)
    if as_json:
        counted = [{"topic": t, "reason": r, "letters": n} for t, r, n in counts]
        shown = {"letters": [letter_json(letter) for letter in letters], "counts": counted}
        typer.echo(json.dumps(shown | {"total": sum(n for _, _, n in counts)}))
    else:
        print_letters(Console(), letters, counts, resolved=resolved)


@app.command()
def show(
    topic: str,
    partition: int,
    offset: int,
    *,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print all that is known of one letter, its key and value included."""
    with _store(_load(config_path)) as store:
        found = _existing(store, Place(topic, partition, offset))
    if as_json:
        typer.echo(json.dumps(whole_json(found)))
    else:
        typer.echo(letter_text(found))


@app.command()
def replay(  # noqa: PLR0913  # one parameter an option
    *,
    topic: TopicOption = None,
    partition: PartitionOption = None,
    offset: OffsetOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    everything: Everything = False,
    author: Annotated[
        str | None, typer.Option(help="Who replays; default: the user of this process.")
    ] = None,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Publish letters again to where they came from, once what was wrong is mended."""
    from monitor.ingest.dead_letter_replay import (  # noqa: PLC0415  # Kafka; here alone
        replay_letters,
        replay_producer,
    )

    selection = _selection(topic, partition, offset, reason, since, everything=everything)
    by = _named(author or this_user(), "--author")
    settings = _load(config_path)
    with _store(settings) as store:
        if offset is not None:
            _require_replayable(store, selection)
        with replay_producer(_kafka(settings)) as kafka:
            done = replay_letters(store, kafka, selection, by=by, now=_now)
    typer.echo(json.dumps(replayed_json(done)) if as_json else replayed_text(done))


@app.command()
def drop(  # noqa: PLR0913  # one parameter an option
    *,
    author: Annotated[str, typer.Option(help="Who drops them; history keeps it.")],
    because: Annotated[str, typer.Option(help="Why; history keeps it.")],
    topic: TopicOption = None,
    partition: PartitionOption = None,
    offset: OffsetOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    everything: Everything = False,
    config_path: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give letters up: their key and value are emptied for good, the rest stays as history.

    With --offset also of a letter that was replayed already.
    """
    selection = _selection(topic, partition, offset, reason, since, everything=everything)
    by, why = _named(author, "--author"), _named(because, "--because")
    with _store(_load(config_path)) as store:
        if offset is not None:
            _existing(store, _place_of(selection))
        dropped = store.drop(selection, by=by, because=why, at=_now())
    typer.echo(json.dumps({"dropped": dropped}) if as_json else f"dropped {letters_text(dropped)}")


def _selection(  # noqa: PLR0913  # one parameter an option
    topic: str | None,
    partition: int | None,
    offset: int | None,
    reason: str | None,
    since: str | None,
    *,
    everything: bool,
) -> Selection:
    """What the options select; refuses to take no option for all."""
    given = any(value is not None for value in (topic, partition, offset, reason, since))
    if given == everything:
        message = (
            "--all goes with no other selection; leave one of them out"
            if everything
            else "nothing is selected; give --topic, --partition, --offset, --reason, --since "
            "or --all"
        )
        raise ValueError(message)
    if partition is not None and topic is None:
        message = "--partition is of a topic; give --topic too"
        raise ValueError(message)
    if offset is not None and partition is None:
        message = "--offset is of a partition; give --topic and --partition too"
        raise ValueError(message)
    # A replayed letter can be named to be dropped, but is in no selection by its kind.
    exactly = offset is not None
    return Selection(topic, partition, offset, reason, _since(since), resolved=exactly)


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text) if "-" in text else _now() - parse_span(text)
    except ValueError as error:
        message = f"--since: {error}"
        raise ValueError(message) from None


def _named(text: str, option: str) -> str:
    if not text.strip() or "\x00" in text:
        message = f"{option} is empty; history must say who and why"
        raise ValueError(message)
    return text.strip()


def _place_of(selection: Selection) -> Place:
    return Place(selection.topic or "", selection.partition or 0, selection.offset or 0)


def _existing(store: DeadLetterStore, place: Place) -> WholeLetter:
    found = store.get(place)
    if found is None:
        message = f"no dead letter at {escaped(str(place))}; `calmon deadletter list` shows them"
        raise ValueError(message)
    return found


def _require_replayable(store: DeadLetterStore, selection: Selection) -> None:
    letter = _existing(store, _place_of(selection)).letter
    why = cannot_replay(letter.reason, letter.key_bytes, letter.value_bytes)
    if letter.resolution is not None:
        why = f"it was {letter.resolution.outcome} {rfc3339(letter.resolution.at)}"
    if why is not None:
        message = f"{escaped(str(letter.place))} cannot be replayed: {why}"
        raise ValueError(message)


def _load(path: Path | None) -> Settings:
    return load(path, os.environ)


@contextmanager
def _store(settings: Settings) -> Iterator[DeadLetterStore]:
    engine = database(settings, "deadletter")
    try:
        yield DeadLetterStore(engine)
    finally:
        engine.dispose()


def _kafka(settings: Settings) -> dict[str, Any]:
    options = settings.connections.kafka_options()
    if "bootstrap_servers" not in options:
        message = "no Kafka: set CALMON_KAFKA_BOOTSTRAP, like kafka-1:9092,kafka-2:9092"
        raise ValueError(message)
    return options


def _now() -> datetime:
    return datetime.now(UTC)
