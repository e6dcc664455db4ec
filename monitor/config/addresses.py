"""An address to serve on: `host:port`, written out.

Guarantees: the host is an IP address, so that what is bound is what was written. Must never: take
a missing host for every interface; figures and states are for those they are meant for.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

_LAST_PORT = 65_535


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.host).is_loopback

    def __str__(self) -> str:
        """`127.0.0.1:8420`, `[::1]:8420`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Address from `127.0.0.1:8420` or `[::1]:8420`; raises ValueError with the mend."""
    host, colon, port = text.rpartition(":")
    if not host or not colon:
        message = (
            "no address; write 127.0.0.1:8420, or 0.0.0.0:8420 if every interface is to serve it"
        )
        raise ValueError(message)
    try:
        if host.startswith("[") and host.endswith("]"):
            host = str(IPv6Address(host[1:-1]))
        else:
            host = str(IPv4Address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        message = "the host is no IP address; write 127.0.0.1:8420, [::1]:8420 or 0.0.0.0:8420"
        raise ValueError(message) from None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        message = f"the port is not from 1 to {_LAST_PORT}; write 127.0.0.1:8420"
        raise ValueError(message)
    return Address(host, int(port))
