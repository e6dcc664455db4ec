"""The server, asked by real clients over loopback."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Counter

from monitor.config.addresses import Address, parse_address
from monitor.daemon.health import Health
from monitor.daemon.http import LARGEST_BODY, SLACK_PATH, HttpServer, SignedPost, application
from tests.notify import verdict_samples as samples

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Address("127.0.0.1", 0)
WELL = Health(())


@contextmanager
def serving(
    livez: Health | Exception = WELL, readyz: Health = WELL, slack: SignedPost | None = None
) -> Iterator[Address]:
    registry = CollectorRegistry()
    Counter("calmon_test", "A test", registry=registry).inc(3)

    def alive() -> Health:
        if isinstance(livez, Exception):
            raise livez
        return livez

    with HttpServer(HERE, application(registry, alive, lambda: readyz, slack)) as server:
        yield server.address


def ask(
    address: Address, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, dict[str, str]]:
    client = http.client.HTTPConnection(*address, timeout=10)
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        client.close()


def test_metrics_are_in_prometheus_words() -> None:
    with serving() as address:
        status, body, headers = ask(address, "/metrics")
        opened = ask(address, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert "calmon_test_total 3.0" in body
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert opened[1].endswith("# EOF\n")


def test_health_is_a_status_with_its_reasons() -> None:
    with serving(readyz=Health(("no partition is assigned", "the database is away"))) as address:
        assert ask(address, "/livez")[:2] == (200, "ok\n")
        status, body, _ = ask(address, "/readyz?verbose")
    assert (status, body) == (503, "no partition is assigned\nthe database is away\n")


def test_an_alert_is_a_page_of_escaped_text_that_loads_and_runs_nothing() -> None:
    nasty = replace(samples.fired(), evidence_id="<script>alert(1)</script>")
    group = nasty.group_id
    app = application(
        CollectorRegistry(), lambda: WELL, lambda: WELL, None, {group: nasty.as_json()}.get
    )
    with HttpServer(HERE, app) as server:
        status, body, headers = ask(server.address, f"/alerts/{group}")
        unknown = ask(server.address, f"/alerts/{'0' * 32}")
        odd = [ask(server.address, f"/alerts/{name}")[0] for name in ("", "x", f"{group}/", "..")]
        posted = ask(server.address, f"/alerts/{group}", "POST")[0]
    assert status == 200
    assert "fraud v7 says 0.77" in body
    assert "&quot;e_value&quot;" in body
    assert "<script" not in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert unknown[:2] == (404, "no such alert\n")
    assert (odd, posted) == ([404] * 4, 405)


def test_other_paths_and_methods_are_refused() -> None:
    with serving() as address:
        for path in ("/", "/metrics/", "/admin", "/%6detricsx"):
            assert ask(address, path)[0] == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, _, headers = ask(address, "/metrics", method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD")
        status, body, headers = ask(address, "/livez", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", "3")


def test_a_silent_client_holds_up_no_other_and_not_the_end() -> None:
    began_s = time.monotonic()
    with serving() as address:
        silent = [socket.create_connection(address) for _ in range(20)]
        silent[0].sendall(b"GET /livez HTTP/1.1\r\nX-")
        assert ask(address, "/livez")[0] == 200
        closing_s = time.monotonic()
    assert time.monotonic() - closing_s < 1
    assert time.monotonic() - began_s < 5
    for one in silent:
        one.close()


def test_many_ask_at_once() -> None:
    found: list[int] = []
    with serving() as address:
        threads = [
            Thread(target=lambda: found.append(ask(address, "/metrics")[0])) for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [200] * 30


def test_nothing_is_printed_for_requests_and_clients_that_go(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving() as address:
        ask(address, "/metrics")
        ask(address, "/nothing")
        gone = socket.create_connection(address)
        gone.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        gone.close()  # a reset
        assert ask(address, "/livez")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_page_that_fails_is_a_500_and_the_next_one_works(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(livez=RuntimeError("broken")) as address:
        status, body, _ = ask(address, "/livez")
        assert ask(address, "/readyz")[0] == 200
    assert status == 500
    assert "broken" not in body
    assert "RuntimeError: broken" in capfd.readouterr().err


def test_a_port_that_is_taken_is_named_with_the_mend() -> None:
    with serving() as address, pytest.raises(ValueError, match=rf"{address} cannot be served.*use"):
        HttpServer(
            address, application(CollectorRegistry(), lambda: Health(()), lambda: Health(()))
        )


def test_it_is_gone_after_its_end() -> None:
    with serving() as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        ask(address, "/livez")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8420", Address("127.0.0.1", 8420)),
        ("localhost:1", Address("127.0.0.1", 1)),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535)),  # noqa: S104  # written out by the person
        ("[::1]:8420", Address("::1", 8420)),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert parse_address(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("8420", "write 127.0.0.1:8420, or 0.0.0.0:8420 if every interface is to serve it"),
        (":8420", "write 127.0.0.1:8420, or 0.0.0.0:8420 if every interface is to serve it"),
        ("*:8420", "the host is no IP address"),
        ("calmon.example.org:8420", "the host is no IP address"),
        ("::1:8420", "the host is no IP address"),
        ("[127.0.0.1]:8420", "the host is no IP address"),
        ("127.0.0.1:", "the port is not from 1 to 65535"),
        ("127.0.0.1:0", "the port is not from 1 to 65535"),
        ("127.0.0.1:65536", "the port is not from 1 to 65535"),
        ("127.0.0.1:٨٤٢٠", "the port is not from 1 to 65535"),
        ("127.0.0.1:" + "9" * 5000, "the port is not from 1 to 65535"),
        ("", "no address"),
    ],
)
def test_an_address_that_is_none_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend.replace(".", r"\.")):
        parse_address(text)


def test_only_loopback_is_private() -> None:
    assert parse_address("127.0.0.1:1").is_private
    assert parse_address("[::1]:1").is_private
    assert not parse_address("0.0.0.0:1").is_private
    assert not parse_address("192.168.0.1:1").is_private


def post(address: Address, body: bytes, path: str = SLACK_PATH, **headers: str) -> int:
    client = http.client.HTTPConnection(*address, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        client.request("POST", path, body, named)
        return client.getresponse().status
    finally:
        client.close()


def test_slacks_posts_are_handed_over_whole_and_nothing_else_is() -> None:
    taken: list[tuple[str, str, bytes]] = []

    def take(timestamp: str, signature: str, body: bytes) -> HTTPStatus:
        taken.append((timestamp, signature, body))
        return HTTPStatus.OK if signature == "v0=right" else HTTPStatus.UNAUTHORIZED

    signed = {"X_Slack_Request_Timestamp": "17", "X_Slack_Signature": "v0=right"}
    with serving(slack=take) as address:
        assert post(address, b"payload=%7B%7D", **signed) == 200
        assert post(address, b"x", **(signed | {"X_Slack_Signature": "v0=wrong"})) == 401
        assert post(address, b"x") == 401
        assert post(address, b"x", path="/metrics", **signed) == 405
        assert post(address, b"", **signed, Content_Length=str(LARGEST_BODY + 1)) == 413
        assert post(address, b"", **signed, Content_Length="many") == 413
        assert ask(address, SLACK_PATH)[0] == 405
    assert taken[0] == ("17", "v0=right", b"payload=%7B%7D")
    assert len(taken) == 3


def test_without_slack_nothing_takes_posts() -> None:
    with serving() as address:
        assert post(address, b"payload=1") == 404
