"""A map from 64-bit keys to row numbers: open addressing with linear probing in numpy.

Guarantees: each distinct key has one row; rows are numbered 0, 1, 2, … in order of insertion.
Must never: be fed keys that an outsider can choose; they are seeded hashes, already uniform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EMPTY = -1
_MAX_LOAD = 0.6
_MIN_SLOTS = 1024


class KeyTable:
    """Grows as needed; holds 4 bytes a slot and 8 bytes a key."""

    def __init__(self) -> None:
        self._slots: NDArray[np.int32] = np.full(_MIN_SLOTS, _EMPTY, dtype=np.int32)
        self._keys: NDArray[np.uint64] = np.empty(_MIN_SLOTS, dtype=np.uint64)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Keys by row; shape (len,)."""
        return self._keys[: self._n]

    def rows(self, unique_keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of each key, inserted where it is new; `unique_keys` must not repeat a key."""
        self._reserve(len(unique_keys))
        mask = np.uint64(len(self._slots) - 1)
        slot = (unique_keys & mask).astype(np.int64)
        found = np.full(len(unique_keys), _EMPTY, dtype=np.int64)
        open_ = np.arange(len(unique_keys))
        while len(open_):
            here = slot[open_]
            row = self._slots[here].astype(np.int64)
            vacant = row == _EMPTY
            # Several keys may want one vacant slot: all write, one stays, the others probe on.
            claimant = open_[vacant]
            self._slots[here[vacant]] = self._n + np.arange(len(claimant))
            stayed = self._slots[here[vacant]] == self._n + np.arange(len(claimant))
            winners = claimant[stayed]
            new_rows = self._n + np.arange(len(winners))
            self._slots[slot[winners]] = new_rows
            self._keys[new_rows] = unique_keys[winners]
            self._n += len(winners)
            found[winners] = new_rows
            hit = ~vacant
            hit[hit] = self._keys[row[hit]] == unique_keys[open_[hit]]
            found[open_[hit]] = row[hit]
            open_ = open_[found[open_] == _EMPTY]
            slot[open_] = (slot[open_] + 1) & int(mask)
        return found

    def _reserve(self, more: int) -> None:
        needed = self._n + more
        if needed > len(self._keys):
            grown = np.empty(max(needed, len(self._keys) * 2), dtype=np.uint64)
            grown[: self._n] = self._keys[: self._n]
            self._keys = grown
        if needed > _MAX_LOAD * len(self._slots):
            size = len(self._slots)
            while needed > _MAX_LOAD * size:
                size *= 2
            self._rehash(size)

    def _rehash(self, size: int) -> None:
        self._slots = np.full(size, _EMPTY, dtype=np.int32)
        open_ = np.arange(self._n)
        slot = (self._keys[: self._n] & np.uint64(size - 1)).astype(np.int64)
        while len(open_):
            here = slot[open_]
            vacant = self._slots[here] == _EMPTY
            self._slots[here[vacant]] = open_[vacant]
            open_ = open_[self._slots[here] != open_]
            slot[open_] = (slot[open_] + 1) & (size - 1)
