"""Connections and secrets from environment variables.

Guarantees: every CALMON_* variable is known or named as a problem, with the nearest known name;
an empty value counts as unset, as compose files write it. Must never: read os.environ itself, or
show a value, since any of them may hold a password.
"""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003  # pydantic reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from monitor.config.problems import Problem, nearest, printable
from monitor.config.values import WebAddress, receiver_name, web_address

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "CALMON_"
FILE = "environment"
_KUBERNETES = re.compile(
    r"CALMON_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?"
    r"|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PORT|PROTO|ADDR))?)?)"
)
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")


def _database_url(text: str) -> SecretStr:
    if not re.match(r"postgres(ql)?(\+psycopg)?://\S", text):
        message = "no PostgreSQL URL; write postgresql://user:password@host:5432/database"
        raise ValueError(message)
    return SecretStr(text)


def _servers(text: str) -> tuple[str, ...]:
    servers = tuple(part.strip() for part in text.split(","))
    for server in servers:
        match = _SERVER.fullmatch(server)
        if not match or not 0 < int(match[2]) < 1 << 16:
            message = "no list of servers; write host:port, with commas between several"
            raise ValueError(message)
    return servers


def _version(text: str) -> tuple[int, ...]:
    if not _VERSION.fullmatch(text):
        message = "no version of the broker's API; write it as 2.3"
        raise ValueError(message)
    return tuple(int(part) for part in text.split("."))


def _token(text: str) -> SecretStr:
    if not text.isascii() or not text.isprintable() or " " in text:
        message = "no token; it holds spaces or characters that no token has"
        raise ValueError(message)
    return SecretStr(text)


def _heartbeat(text: str) -> SecretStr:
    return SecretStr(web_address(text))


def _secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    secrets: dict[str, SecretStr] = {}
    for part in value.split(","):
        name, equals, secret = part.strip().partition("=")
        if not equals or not secret or name in secrets:
            message = "no list of secrets; write name=secret, with commas between, each name once"
            raise ValueError(message)
        secrets[receiver_name(name)] = _token(secret)
    return secrets


def _readable_file(path: Path) -> Path:
    try:
        found = path.is_file()
    except OSError:  # a path too long, or a folder that may not be searched
        found = False
    if not found:
        message = "there is no such file; give the path of a PEM file"
        raise ValueError(message)
    return path


def _upper(text: str) -> str:
    return text.upper()


SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Connections(BaseModel):
    """What the environment said; None where it said nothing. Field `x_y` is CALMON_X_Y."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    config: Path | None = Field(
        None,
        description="Path of the configuration file, where the command line gives none.",
        examples=["/etc/calmon/calmon.yaml"],
    )
    database_url: Annotated[SecretStr, BeforeValidator(_database_url)] | None = Field(
        None,
        description="PostgreSQL database of the history.",
        examples=["postgresql://calmon:secret@db:5432/calmon"],
    )
    kafka_bootstrap: Annotated[tuple[str, ...], BeforeValidator(_servers)] | None = Field(
        None, description="Kafka servers to begin with.", examples=["kafka-1:9092,kafka-2:9092"]
    )
    kafka_security_protocol: Annotated[SecurityProtocol, BeforeValidator(_upper)] = Field(
        "PLAINTEXT",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        examples=["SASL_SSL"],
    )
    kafka_sasl_mechanism: Annotated[SaslMechanism, BeforeValidator(_upper)] | None = Field(
        None,
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; for SASL protocols.",
        examples=["SCRAM-SHA-512"],
    )
    kafka_sasl_username: str | None = Field(
        None, description="User of the SASL login.", examples=["calmon"]
    )
    kafka_sasl_password: SecretStr | None = Field(
        None, description="Password of the SASL login.", examples=["secret"]
    )
    kafka_ssl_cafile: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        None,
        description="PEM file of the authorities that sign the brokers' certificates.",
        examples=["/etc/ssl/certs/ca-certificates.crt"],
    )
    kafka_api_version: Annotated[tuple[int, ...], BeforeValidator(_version)] | None = Field(
        None,
        description="Version of the broker's API, for brokers that cannot be asked for it.",
        examples=["2.3"],
    )
    slack_token: Annotated[SecretStr, BeforeValidator(_token)] | None = Field(
        None,
        description="Slack bot token; without it alerts go to the console.",
        examples=["xoxb-0000"],
    )
    slack_base_url: WebAddress | None = Field(
        None,
        description="Address of Slack's Web API, for proxies and tests.",
        examples=["https://slack.com/api/"],
    )
    slack_app_token: Annotated[SecretStr, BeforeValidator(_token)] | None = Field(
        None,
        description="Slack app-level token: answers of buttons come by Socket Mode.",
        examples=["xapp-0000"],
    )
    slack_signing_secret: Annotated[SecretStr, BeforeValidator(_token)] | None = Field(
        None,
        description="Slack signing secret: answers of buttons come by HTTP, on `http.address`.",
        examples=["8f742231b10e8888abcd99yyyzzz85a5"],
    )
    receiver_secrets: Annotated[dict[str, SecretStr], BeforeValidator(_secrets)] = Field(
        {},
        description="PagerDuty routing keys, webhook secrets and Alertmanager bearer tokens of "
        "`routing.receivers`, as name=secret with commas between.",
        examples=["pager=0123abcd,hook=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    heartbeat_url: Annotated[SecretStr, BeforeValidator(_heartbeat)] | None = Field(
        None,
        description="Address that is asked for after every tick, for a dead-man's switch.",
        examples=["https://hc-ping.com/8f742231-b10e-8888-abcd-99yyyzzz85a5"],
    )
    pictures_dir: Path | None = Field(
        None, description="Folder that reliability pictures are written to.", examples=["pictures"]
    )

    def kafka_options(self) -> dict[str, Any]:
        """What kafka-python's clients take, the password in the clear; unset options left out."""
        password = self.kafka_sasl_password
        options = {
            "bootstrap_servers": list(self.kafka_bootstrap) if self.kafka_bootstrap else None,
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
            "ssl_cafile": str(self.kafka_ssl_cafile) if self.kafka_ssl_cafile else None,
            "api_version": self.kafka_api_version,
        }
        return {name: value for name, value in options.items() if value is not None}


def variable(field: str) -> str:
    """Name of a field's environment variable."""
    return PREFIX + field.upper()


def read_environment(environ: Mapping[str, str]) -> tuple[Connections, list[Problem]]:
    """Connections from the CALMON_* variables, without those that the problems speak of."""
    known = {variable(field): field for field in Connections.model_fields}
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if name in known:
            if environ[name].strip():
                values[known[name]] = environ[name].strip()
        elif not _KUBERNETES.fullmatch(name):
            problems.append(Problem(FILE, None, printable(name), _unknown(name, known)))
    written = set(values)
    try:
        connections = Connections.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            field = str(detail["loc"][0])
            values.pop(field, None)
            reason = detail.get("ctx", {})
            choices = str(reason.get("expected")).replace("'", "")
            message = str(reason.get("error", f"unknown value; write {choices}"))
            problems.append(Problem(FILE, None, variable(field), message))
        connections = Connections.model_validate(values)
    return connections, problems + _login_problems(connections, written)


def _unknown(name: str, known: Mapping[str, str]) -> str:
    field = nearest(name.removeprefix(PREFIX).lower(), known.values())
    if field is not None:
        return f"unknown variable; did you mean {variable(field)}?"
    return f"unknown variable; the known ones are {', '.join(known)}"


def _login_problems(connections: Connections, written: set[str]) -> list[Problem]:
    """Faults between variables; `written` holds the fields that were set, soundly or not."""
    problems: list[Problem] = []
    protocol = connections.kafka_security_protocol
    if ("kafka_security_protocol" in written) != (
        "kafka_security_protocol" in connections.model_fields_set
    ):
        return problems  # the protocol is a problem itself; what depends on it is not known
    for field in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"):
        needed = protocol.startswith("SASL_")
        if needed and field not in written:
            message = f"is not set, but {variable('kafka_security_protocol')} is {protocol}; set it"
            problems.append(Problem(FILE, None, variable(field), message))
        elif field in written and not needed:
            problems.append(Problem(FILE, None, variable(field), _protocol_hint("SASL_SSL")))
    if "kafka_ssl_cafile" in written and not protocol.endswith("SSL"):
        problems.append(Problem(FILE, None, variable("kafka_ssl_cafile"), _protocol_hint("SSL")))
    return problems


def _protocol_hint(protocol: str) -> str:
    return f"has no effect; set {variable('kafka_security_protocol')} to {protocol}, or remove it"
