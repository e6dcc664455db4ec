"""Settings: what the file and the environment together say, or every problem they have.

Guarantees: a Settings value is immutable and possible; anything else is one ConfigError that
names all problems found, each with its file, line, key and mend. Must never: stop at the first
problem, read os.environ itself, or raise anything but ConfigError for what a person wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from monitor.config.document import MAX_BYTES, Document, read_document
from monitor.config.environment import FILE, read_environment, variable
from monitor.config.fleets import fleet_faults, fleet_of
from monitor.config.key_faults import (
    CHANNEL,
    WHOLE_BLOCKS,
    broken_rules,
    channel_faults,
    same_topics,
    touched,
)
from monitor.config.keys import FileKeys
from monitor.config.messages import blank_value, explain, place
from monitor.config.policy_keys import PolicyKeys
from monitor.config.problems import ConfigError, KeyPath, Problem, key_text, printable
from monitor.config.routing import (
    Route,
    every_route,
    missing_secrets,
    routes_of,
    routing_faults,
    stray_secrets,
)
from monitor.core.policies import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from monitor.config.environment import Connections
    from monitor.config.process_keys import HttpKeys, IngestKeys, TopicKeys
    from monitor.config.routing_keys import RoutingKeys
    from monitor.core.episode.episodes import Severity
    from monitor.core.judging.fleet import Fleet

_ABSENT = object()
_NULLABLE: tuple[KeyPath, ...] = (
    CHANNEL,
    ("http", "address"),
    ("http", "public_url"),
    ("fleet", "false_alarms"),
)
TEXT_NAME = "calmon.yaml"
"""Name that problems give to a text that came from no file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `declared` holds each declared model's policy, defaults filled in.

    file: path of the file read, or None when there was none and all is default. unready: what
    the environment still lacks before alerts can be sent; files can be judged without.
    """

    file: Path | None
    topics: TopicKeys
    auto_register: bool
    clock: Literal["wall", "event"]
    tick_every: timedelta
    ingest: IngestKeys
    http: HttpKeys
    routing: RoutingKeys
    fleet: Fleet | None
    defaults: Policy
    declared: Mapping[str, Policy]
    connections: Connections
    unready: tuple[Problem, ...] = ()

    def require_receivers(self) -> None:
        """Raise ConfigError with what is missing before alerts can be sent, if anything is."""
        if self.unready:
            raise ConfigError(self.unready)

    def routes(self, model: str, team: str | None, severity: Severity) -> list[Route]:
        """Where an alert goes, at least to the console."""
        return routes_of(self.routing, self._slack(model), model, team, severity)

    def every_route(self) -> list[Route]:
        """Everything that an alert can go to."""
        policies = [*self.declared.values(), *([self.defaults] if self.auto_register else [])]
        used = {policy.slack_channel or self.routing.slack.channel for policy in policies}
        slack = used if self.connections.slack_token is not None else set()
        return every_route(self.routing, {channel for channel in slack if channel is not None})

    def _slack(self, model: str) -> str | None:
        """Channel of a model's alerts, where there is a token to post with."""
        return self.slack_channel_for(model) if self.connections.slack_token is not None else None

    def policy_for(self, model: str) -> Policy | None:
        """Policy of a model; None when it is not declared and auto_register is false."""
        return self.declared.get(model, self.defaults if self.auto_register else None)

    def slack_channel_for(self, model: str) -> str | None:
        """Channel of a model's alerts: its policy's, else the routing's.

        With a Slack token it is a channel id for every model that is monitored, unless a rule
        takes every alert.
        """
        policy = self.policy_for(model)
        return (policy.slack_channel if policy else None) or self.routing.slack.channel


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings of the file at `path`, else at CALMON_CONFIG, else of no file: all defaults.

    Raises ConfigError with every problem of the file and of the environment.
    """
    connections, problems = read_environment(environ)
    path = path if path is not None else connections.config
    if path is None:
        return _settings(None, FileKeys(), connections, problems + _no_channel(connections))
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError([_unreadable(path, error), *problems]) from error
    keys, found, unready = _check(text, printable(str(path)), connections)
    return _settings(path, keys, connections, found + problems, unready)


def parse(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a YAML text; problems call it `calmon.yaml`. Raises ConfigError."""
    connections, problems = read_environment(environ or {})
    keys, found, unready = _check(text, TEXT_NAME, connections)
    return _settings(None, keys, connections, found + problems, unready)


def _settings(
    file: Path | None,
    keys: FileKeys,
    connections: Connections,
    problems: list[Problem],
    unready: Sequence[Problem] = (),
) -> Settings:
    if problems:
        raise ConfigError(problems)
    defaults = keys.defaults.over(Policy())
    return Settings(
        file=file,
        topics=keys.topics,
        auto_register=keys.auto_register,
        clock=keys.clock,
        tick_every=keys.tick_every,
        ingest=keys.ingest,
        http=keys.http,
        routing=keys.routing,
        fleet=fleet_of(keys),
        defaults=defaults,
        declared=MappingProxyType({name: own.over(defaults) for name, own in keys.models.items()}),
        connections=connections,
        unready=(*unready, *stray_secrets(keys.routing, connections)),
    )


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return Problem(printable(str(path)), line, "", "not UTF-8 text; save the file as UTF-8")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    message = f"cannot be read: {reason}; name a readable file, or none for all defaults"
    return Problem(printable(str(path)), None, "", message)


def _check(
    text: str, file: str, connections: Connections
) -> tuple[FileKeys, list[Problem], list[Problem]]:
    """The keys that are sound, a problem for each that is not, in the order of the lines.

    And what the environment lacks before alerts can be sent.
    """
    document = read_document(text)
    keys, faults = _validated(document)
    faulty = {fault.path for fault in document.faults if fault.path} | set(faults)
    faults |= same_topics(keys, faulty) | broken_rules(keys, faulty)
    compared = fleet_faults(keys) | routing_faults(keys.routing)
    faults |= {p: m for p, m in compared.items() if not touched(p, faulty)}
    if connections.slack_token is not None:
        faults |= channel_faults(keys, faulty)
    found = [(fault.line, fault.path, fault.message) for fault in document.faults]
    found += [(document.line(path), path, message) for path, message in faults.items()]
    found.sort(key=lambda fault: fault[0] or 0)
    lacking = [
        Problem(file, document.line(path), key_text(path), message)
        for path, message in missing_secrets(keys.routing, connections)
    ]
    problems = [Problem(file, line, key_text(path), message) for line, path, message in found]
    return keys, problems, lacking


def _validated(document: Document) -> tuple[FileKeys, dict[KeyPath, str]]:
    """Keys without the faulty values, which are taken out of the document, and their faults."""
    nullable = {
        path
        for path in document.blanks
        if _policy_key(path) or _alert_key(path) or path in _NULLABLE
    }
    faults = {path: blank_value(path) for path in nullable}
    for path in faults:
        _prune(document.data, path)
    while True:
        try:
            return FileKeys.model_validate(document.data), faults
        except ValidationError as error:
            pruned = False
            for detail in error.errors(include_url=False):
                path = place(detail)
                blank = path in document.blanks and detail["type"] != "extra_forbidden"
                faults.setdefault(path, blank_value(path) if blank else explain(detail))
                pruned |= _prune(document.data, path)
            if not pruned:  # a place that pydantic names otherwise than we do must not hang us
                document.data.clear()


def _policy_key(path: KeyPath) -> str | None:
    """The key of a policy, under `defaults` or under a model, that the path is of, if it is."""
    depth = {"defaults": 2, "models": 3}.get(str(path[0]))
    key = path[-1]
    return str(key) if len(path) == depth and key in PolicyKeys.model_fields else None


def _alert_key(path: KeyPath) -> bool:
    """Whether the path is of a key under `alerts` of a policy."""
    return len(path) > 1 and _policy_key(path[:-1]) == "alerts"


def _prune(data: dict[str, Any], path: KeyPath) -> bool:
    """Take out the value, or the smallest thing around it that may be missing; False if absent."""
    inner: dict[Any, Any] = data
    for position, part in enumerate(path):
        child = inner.get(part)
        here = path[: position + 1]
        # Keys that are required together go whole; so does a list.
        if here == path or not isinstance(child, dict) or _policy_key(here) in WHOLE_BLOCKS:
            return inner.pop(part, _ABSENT) is not _ABSENT
        inner = child
    return False


def _no_channel(connections: Connections) -> list[Problem]:
    """A token without a file: nothing can name the channel."""
    if connections.slack_token is None:
        return []
    message = (
        f"is set, but no file names a channel; give {key_text(CHANNEL)} in a file and name the "
        f"file by --config or {variable('config')}, or unset the token"
    )
    return [Problem(FILE, None, variable("slack_token"), message)]
