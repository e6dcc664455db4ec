"""Servers for tests.

`postgres_url` is the wheel's PostgreSQL; `kafka` is the real Apache Kafka where its jars can be
had, and the mock cluster elsewhere. The same with `any_` before it run the test once on each kind
of server. An `empty` database has no tables. Receivers of alerts are stubs, one of each a test.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from monitor.demo.embedded import MockKafka, embedded_postgres, postgres_server
from monitor.store.engine import connect
from tests.notify import slack_stub
from tests.notify.receivers import Alertmanager, PagerDuty, Webhook, serving
from tests.servers import Databases, RealKafka, TestKafka, debian_postgres, kafka_jars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


# A law is no stopwatch: on a busy machine any example may take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# Laws under many more examples than usual: `make soak-decoder`.
settings.register_profile(
    "soak", max_examples=int(os.environ.get("SOAK_EXAMPLES", "2000")), deadline=None
)


@pytest.fixture(scope="session")
def embedded_databases() -> Iterator[Databases]:
    with embedded_postgres() as url:
        yield Databases(url)


@pytest.fixture(scope="session")
def debian_databases() -> Iterator[Databases]:
    with postgres_server(debian_postgres()) as url:
        yield Databases(url)


@pytest.fixture(scope="session", params=["embedded", "debian"])
def any_databases(request: pytest.FixtureRequest) -> Databases:
    databases: Databases = request.getfixturevalue(f"{request.param}_databases")
    return databases


@pytest.fixture
def postgres_url(embedded_databases: Databases) -> Iterator[str]:
    url = embedded_databases.migrated()
    yield url
    embedded_databases.drop(url)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    connected = connect(postgres_url)
    yield connected
    connected.dispose()


@pytest.fixture
def any_postgres_url(any_databases: Databases) -> Iterator[str]:
    url = any_databases.migrated()
    yield url
    any_databases.drop(url)


@pytest.fixture
def empty_postgres_url(embedded_databases: Databases) -> Iterator[str]:
    url = embedded_databases.empty()
    yield url
    embedded_databases.drop(url)


@pytest.fixture
def any_empty_postgres_url(any_databases: Databases) -> Iterator[str]:
    url = any_databases.empty()
    yield url
    any_databases.drop(url)


@pytest.fixture(scope="session")
def mock_cluster() -> Iterator[MockKafka]:
    cluster = MockKafka()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def real_node() -> Iterator[RealKafka]:
    jars = kafka_jars()
    # Not pytest's own directory: a node writes much, and pytest keeps three runs of it.
    directory = Path(tempfile.mkdtemp(prefix="calmon-kafka-"))
    node = RealKafka(jars, directory)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(directory)


@pytest.fixture
def mock_kafka(mock_cluster: MockKafka) -> TestKafka:
    return TestKafka(mock_cluster)


@pytest.fixture
def real_kafka(real_node: RealKafka) -> TestKafka:
    return TestKafka(real_node)


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> TestKafka:
    try:
        node: RealKafka | MockKafka = request.getfixturevalue("real_node")
    except pytest.skip.Exception:
        # The mock's second member of a group waits out the first one's session: slow, but right.
        node = request.getfixturevalue("mock_cluster")
    return TestKafka(node)


@pytest.fixture(params=["mock_kafka", "real_kafka"])
def any_kafka(request: pytest.FixtureRequest) -> TestKafka:
    kafka: TestKafka = request.getfixturevalue(request.param)
    return kafka


@pytest.fixture
def slack() -> Iterator[slack_stub.SlackStub]:
    """A Slack of this test's own, on a free port."""
    with slack_stub.running() as stub:
        yield stub


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    """A PagerDuty of this test's own."""
    received = PagerDuty()
    with serving(received):
        yield received


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    """An Alertmanager of this test's own."""
    received = Alertmanager()
    with serving(received):
        yield received


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook's receiver of this test's own."""
    received = Webhook()
    with serving(received):
        yield received
