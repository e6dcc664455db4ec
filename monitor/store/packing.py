"""Columns as bytes: the payload of blocks and deltas.

Guarantees: unpack(pack(columns)) gives equal arrays; a payload of another layout or a damaged one
is refused with a ValueError, never misread. Must never: use pickle.

Layout: 4 bytes magic, 4 bytes CRC-32C of the rest, then zstd of: a JSON header line with name,
dtype and shape of each column, and the columns' little-endian bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import crc32c
import numpy as np
import zstandard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MAGIC = b"CLM1"
_HEAD = len(_MAGIC) + 4
_LEVEL = 1
_MAX_UNPACKED = 1 << 31


def pack(columns: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Bytes of some columns of numbers."""
    header = json.dumps([[name, col.dtype.str, col.shape] for name, col in columns.items()])
    body = b"".join([header.encode(), b"\n", *(col.tobytes() for col in columns.values())])
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
    return _MAGIC + crc32c.crc32c(packed).to_bytes(4, "big") + packed


def unpack(payload: bytes) -> dict[str, NDArray[np.generic]]:
    """The columns of a payload; raises ValueError if it is not one."""
    if payload[:4] != _MAGIC or crc32c.crc32c(payload[_HEAD:]).to_bytes(4, "big") != payload[4:8]:
        msg = "a stored payload is damaged or of an unknown layout"
        raise ValueError(msg)
    body = zstandard.ZstdDecompressor().decompress(payload[_HEAD:], max_output_size=_MAX_UNPACKED)
    end = body.index(b"\n")
    columns: dict[str, NDArray[np.generic]] = {}
    at = end + 1
    for name, dtype, shape in json.loads(body[:end]):
        count = int(np.prod(shape))
        columns[name] = np.frombuffer(body, np.dtype(dtype), count, at).reshape(shape)
        at += columns[name].nbytes
    return columns
