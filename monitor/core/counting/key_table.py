"""A map from 64-bit keys to row numbers: open addressing with linear probing in numpy.

Guarantees: each distinct key has one row; rows are numbered 0, 1, 2, … in order of insertion.
Must never: be fed keys that an outsider can choose; they are seeded hashes, already uniform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSENT = -1
_MAX_LOAD = 0.6
_GROWTH = 1.5
_MIN_SLOTS = 1024
_HALF = np.uint64(32)


class KeyTable:
    """Grows as needed; holds 8 bytes a key and 7 to 10 bytes of slots."""

    def __init__(self) -> None:
        self._slots: NDArray[np.int32] = np.full(_MIN_SLOTS, ABSENT, dtype=np.int32)
        self._keys: NDArray[np.uint64] = np.empty(_MIN_SLOTS, dtype=np.uint64)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Keys by row; shape (len,)."""
        return self._keys[: self._n]

    @property
    def slots(self) -> int:
        """Slots it takes, 4 bytes each."""
        return len(self._slots)

    def rows(self, unique_keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of each key, inserted where it is new; `unique_keys` must not repeat a key."""
        self._reserve(len(unique_keys))
        slot = _home(unique_keys, len(self._slots))
        found = np.full(len(unique_keys), ABSENT, dtype=np.int64)
        open_ = np.arange(len(unique_keys))
        while len(open_):
            here = slot[open_]
            row = self._slots[here].astype(np.int64)
            vacant = row == ABSENT
            # Several keys may want one vacant slot: all write, one stays, the others probe on.
            claimant = open_[vacant]
            claims = self._n + np.arange(len(claimant))
            self._slots[here[vacant]] = claims
            winners = claimant[self._slots[here[vacant]] == claims]
            new_rows = self._n + np.arange(len(winners))
            self._slots[slot[winners]] = new_rows
            self._keys[new_rows] = unique_keys[winners]
            self._n += len(winners)
            found[winners] = new_rows
            hit = ~vacant
            hit[hit] = self._keys[row[hit]] == unique_keys[open_[hit]]
            found[open_[hit]] = row[hit]
            open_ = open_[found[open_] == ABSENT]
            slot[open_] = (slot[open_] + 1) % len(self._slots)
        return found

    def reserve(self, more: int) -> None:
        """Make room for this many further keys at once."""
        self._reserve(more)

    def fit(self) -> None:
        """Give back slots that were reserved and are not needed."""
        size = max(int(self._n * _GROWTH / _MAX_LOAD), _MIN_SLOTS)
        if size < len(self._slots):
            self._rehash(size)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of each key, ABSENT where there is none; keys may repeat."""
        slot = _home(keys, len(self._slots))
        found = np.full(len(keys), ABSENT, dtype=np.int64)
        open_ = np.arange(len(keys))
        while len(open_):
            row = self._slots[slot[open_]].astype(np.int64)
            open_, row = open_[row != ABSENT], row[row != ABSENT]
            hit = self._keys[row] == keys[open_]
            found[open_[hit]] = row[hit]
            open_ = open_[~hit]
            slot[open_] = (slot[open_] + 1) % len(self._slots)
        return found

    def _reserve(self, more: int) -> None:
        needed = self._n + more
        if needed > len(self._keys):
            # What is not written yet takes no memory: the system hands out pages when touched.
            grown = np.empty(max(needed, int(len(self._keys) * _GROWTH)), dtype=np.uint64)
            grown[: self._n] = self._keys[: self._n]
            self._keys = grown
        if needed > _MAX_LOAD * len(self._slots):
            self._rehash(max(int(needed / _MAX_LOAD) + 1, int(len(self._slots) * _GROWTH)))

    def _rehash(self, size: int) -> None:
        self._slots = np.full(size, ABSENT, dtype=np.int32)
        open_ = np.arange(self._n)
        slot = _home(self._keys[: self._n], size)
        while len(open_):
            here = slot[open_]
            vacant = self._slots[here] == ABSENT
            self._slots[here[vacant]] = open_[vacant]
            open_ = open_[self._slots[here] != open_]
            slot[open_] = (slot[open_] + 1) % size


def _home(keys: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """First slot to try: the upper half of the key, scaled to the table."""
    return ((keys >> _HALF) * np.uint64(size) >> _HALF).astype(np.int64)
