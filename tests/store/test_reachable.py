from __future__ import annotations

import socket
import time

import pytest

from monitor.store.reachable import TIMEOUT_S, Reachable


def test_a_database_that_runs_is_reachable(postgres_url: str) -> None:
    reachable = Reachable(postgres_url)
    assert reachable()
    assert reachable()


def test_one_that_refuses_is_not() -> None:
    assert not Reachable("postgresql://calmon@127.0.0.1:1/calmon")()


def test_one_that_is_silent_is_not_and_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began_s = time.monotonic()
        assert not Reachable(f"postgresql://calmon@127.0.0.1:{port}/calmon")()
        assert time.monotonic() - began_s < TIMEOUT_S + 2


def test_an_answer_holds_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a thousand times a second makes no thousand connections."""
    clock_s = [1000.0]
    monkeypatch.setattr("monitor.store.reachable.time.monotonic", lambda: clock_s[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        reachable = Reachable(f"postgresql://calmon@127.0.0.1:{server.getsockname()[1]}/calmon")
        for _ in range(3):
            assert not reachable()
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()
        clock_s[0] += 60
        assert not reachable()
        server.accept()[0].close()


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        Reachable("nonsense")
