from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.config import ConfigError, Connections, load
from monitor.config.environment import variable

if TYPE_CHECKING:
    from pathlib import Path

SASL = {
    "CALMON_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "CALMON_KAFKA_SASL_MECHANISM": "PLAIN",
    "CALMON_KAFKA_SASL_USERNAME": "user",
    "CALMON_KAFKA_SASL_PASSWORD": "hush-1",
}


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(None, environ)
    return str(caught.value).split("\n")


def test_every_variable_reaches_its_connection(tmp_path: Path) -> None:
    cafile = tmp_path / "ca.pem"
    cafile.touch()
    file = tmp_path / "calmon.yaml"
    file.write_text("routing: {slack: {channel: C0123ABCDEF}}\n")
    found = load(
        file,
        {
            **SASL,
            "CALMON_DATABASE_URL": "postgresql://calmon:hush-2@db/calmon",
            "CALMON_KAFKA_BOOTSTRAP": "kafka-1:9092, [::1]:9093",
            "CALMON_KAFKA_SSL_CAFILE": str(cafile),
            "CALMON_KAFKA_API_VERSION": "2.3",
            "CALMON_SLACK_TOKEN": "xoxb-hush-3\n",
            "CALMON_SLACK_BASE_URL": "http://127.0.0.1:8080/api/",
            "CALMON_PICTURES_DIR": "out",
        },
    ).connections
    assert found.database_url is not None
    assert found.database_url.get_secret_value() == "postgresql://calmon:hush-2@db/calmon"
    assert found.slack_token is not None
    assert found.slack_token.get_secret_value() == "xoxb-hush-3"
    assert found.slack_base_url == "http://127.0.0.1:8080/api/"
    assert str(found.pictures_dir) == "out"
    assert found.kafka_options() == {
        "bootstrap_servers": ["kafka-1:9092", "[::1]:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "user",
        "sasl_plain_password": "hush-1",
        "ssl_cafile": str(cafile),
        "api_version": (2, 3),
    }
    assert "hush" not in repr(found) + str(found) + found.model_dump_json()


def test_nothing_set_leaves_only_the_protocol() -> None:
    connections = load(None, {}).connections
    assert connections == Connections()
    assert connections.kafka_options() == {"security_protocol": "PLAINTEXT"}


def test_an_empty_variable_counts_as_unset() -> None:
    environ = {variable(field): " " for field in Connections.model_fields}
    assert load(None, environ).connections == Connections()


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"CALMON_KAFKA_BOOTSTRP": "secret"},
            "CALMON_KAFKA_BOOTSTRP: unknown variable; did you mean CALMON_KAFKA_BOOTSTRAP?",
        ),
        ({"CALMON_XYZZY": "secret"}, "unknown variable; the known ones are CALMON_CONFIG, "),
        (
            {"CALMON_DATABASE_URL": "mysql://u:secret@db/x"},
            "no PostgreSQL URL; write postgresql://user:password@host:5432/database",
        ),
        ({"CALMON_KAFKA_BOOTSTRAP": "secret"}, "no list of servers; write host:port"),
        ({"CALMON_KAFKA_BOOTSTRAP": "kafka:9092,"}, "no list of servers"),
        ({"CALMON_KAFKA_BOOTSTRAP": "kafka:99999"}, "no list of servers"),
        ({"CALMON_KAFKA_API_VERSION": "secret"}, "no version of the broker's API; write it as 2.3"),
        (
            {"CALMON_KAFKA_SECURITY_PROTOCOL": "secret"},
            "unknown value; write PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        ),
        ({"CALMON_SLACK_TOKEN": "sec ret"}, "no token; it holds spaces"),
        ({"CALMON_SLACK_BASE_URL": "slack/secret"}, "no web address; use http:// or https://"),
        (
            {"CALMON_KAFKA_SECURITY_PROTOCOL": "SSL", "CALMON_KAFKA_SSL_CAFILE": "/secret"},
            "CALMON_KAFKA_SSL_CAFILE: there is no such file; give the path of a PEM file",
        ),
        (
            {"CALMON_KAFKA_SECURITY_PROTOCOL": "SSL", "CALMON_KAFKA_SSL_CAFILE": "s" * 5000},
            "CALMON_KAFKA_SSL_CAFILE: there is no such file",
        ),
        (
            {key: value for key, value in SASL.items() if "PASSWORD" not in key},
            "CALMON_KAFKA_SASL_PASSWORD: is not set, but CALMON_KAFKA_SECURITY_PROTOCOL is SASL",
        ),
        (
            SASL | {"CALMON_KAFKA_SASL_MECHANISM": "secret"},
            "CALMON_KAFKA_SASL_MECHANISM: unknown value; write PLAIN, SCRAM-SHA-256 or SCRAM",
        ),
        (
            {"CALMON_KAFKA_SASL_PASSWORD": "secret"},
            "CALMON_KAFKA_SASL_PASSWORD: has no effect; set CALMON_KAFKA_SECURITY_PROTOCOL to SASL",
        ),
    ],
)
def test_a_fault_names_the_variable_and_the_mend_but_not_the_value(
    environ: dict[str, str], problem: str
) -> None:
    found = problems(environ)
    assert len(found) == 1
    assert found[0].startswith("environment: CALMON_")
    assert problem in found[0]
    assert "secret" not in found[0]


def test_faults_of_file_and_environment_come_together(tmp_path: Path) -> None:
    file = tmp_path / "calmon.yaml"
    file.write_text("clock: sundial\n")
    found = problems({"CALMON_CONFIG": str(file), "CALMON_X": "", "CALMON_KAFKA_API_VERSION": "x"})
    assert [line.split(": ")[1] for line in found] == [
        "clock",
        "CALMON_X",
        "CALMON_KAFKA_API_VERSION",
    ]


def test_what_kubernetes_sets_for_a_service_named_calmon_is_no_fault() -> None:
    environ = {
        "CALMON_SERVICE_HOST": "10.0.0.1",
        "CALMON_SERVICE_PORT": "80",
        "CALMON_SERVICE_PORT_HTTP": "80",
        "CALMON_PORT": "tcp://10.0.0.1:80",
        "CALMON_PORT_80_TCP": "tcp://10.0.0.1:80",
        "CALMON_PORT_80_TCP_ADDR": "10.0.0.1",
        "CALMON_WEB_SERVICE_HOST": "10.0.0.2",
    }
    assert load(None, environ) == load(None, {})
