from __future__ import annotations

import json

import pytest

from monitor.config import ConfigError, describe, describe_text, parse


def test_without_an_address_there_is_no_server() -> None:
    for text in ("{}", "http:", "http: {}", "http: {address: null}"):
        assert parse(text).http.address is None
    assert "metrics and health: not served" in describe_text(parse("{}"))


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:8420", "127.0.0.1:8420"),
        ("localhost:8420", "127.0.0.1:8420"),
        ("0.0.0.0:8420", "0.0.0.0:8420"),
        ('"[::1]:8420"', "[::1]:8420"),
    ],
)
def test_an_address_is_served_as_written(written: str, address: str) -> None:
    settings = parse(f"http:\n  address: {written}\n")
    assert settings.http.address == address
    assert f"metrics and health: {address}" in describe_text(settings)
    assert json.loads(json.dumps(describe(settings)))["http"] == {
        "address": address,
        "public_url": None,
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http: {address: 8420}", "1: http.address: expected text, got 8420; put it in quotes"),
        ('http: {address: ":8420"}', "1: http.address: no address; write 127.0.0.1:8420"),
        ("http: {address: monitor:8420}", "1: http.address: the host is no IP address"),
        ("http: {public_url: calmon.example.org}", "1: http.public_url: no web address"),
        ("http: {public_url: 'ftp://a.example'}", "1: http.public_url: no web address"),
        ("http: {public_url: 'https://a.example/?b'}", "1: http.public_url: links are made by"),
        ("http: {public_url: 'https://me@a.example'}", "1: http.public_url: links are made by"),
        ("http: {address: 127.0.0.1:0}", "1: http.address: the port is not from 1 to 65535"),
        ("http:\n  address:\n", "2: http.address: no value; write one, or remove the key"),
        ("http: {adress: 127.0.0.1:1}", "1: http.adress: unknown key; did you mean address?"),
    ],
)
def test_what_is_no_address_is_refused_with_the_mend(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"calmon.yaml:{problem}")


def test_links_are_made_below_the_public_address() -> None:
    for written in ("https://calmon.example.org/x", "https://calmon.example.org/x/"):
        assert parse(f"http: {{public_url: '{written}'}}").http.public_url == (
            "https://calmon.example.org/x"
        )
