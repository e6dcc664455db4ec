"""Columns of one file, read strictly: Parquet, CSV or JSONL in, checked numpy columns out.

Guarantees: rows keep the file's order; a value is either converted exactly or refused with one
FileError that names file, row, column and the mend; whole columns are converted at once. Must
never: guess a time zone, a unit or a type from the values, or skip a row.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from numpy.typing import NDArray

SECONDS_END = 10**11
"""Epoch milliseconds below this (March 1973) are taken for seconds, and refused."""
MICROSECONDS_START = 10**14
"""Epoch milliseconds from this (year 5138) are taken for micro- or nanoseconds, and refused."""


class FileError(ValueError):
    """A file that cannot be used: names the place (rows count from 1) and the mend."""

    def __init__(
        self, path: str, problem: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        self.path = path
        self.row = row
        self.column = column
        place = [path]
        if row is not None:
            place.append(f"row {row}")
        if column is not None:
            place.append(f"column {column}")
        super().__init__(f"{', '.join(place)}: {problem}")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A file's columns as Arrow arrays of one length, in the file's row order."""

    path: str
    arrays: dict[str, pa.ChunkedArray]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()))) if self.arrays else 0

    def find(self, *names: str) -> str:
        """The first of `names` that the file has; FileError with the nearest name if none."""
        for name in names:
            if name in self.arrays:
                return name
        by_folded = {name.casefold(): name for name in self.arrays}
        near = difflib.get_close_matches(names[0].casefold(), by_folded, n=1)
        wanted = " (or ".join(names) + ")" * (len(names) - 1)
        if near:
            hint = f"rename the column {by_folded[near[0]]!r} if it is meant"
        else:
            hint = f"it has {', '.join(self.arrays) or 'no columns'}"
        raise FileError(self.path, f"no column {wanted}; {hint}")

    def texts(self, name: str) -> NDArray[np.object_]:
        """Text of each row, never empty; integers are read as their digits."""
        array = self._text_array(name)
        empty = pc.fill_null(pc.equal(array, ""), fill_value=True)
        self.refuse(name, empty.to_numpy(), lambda _: "is empty; give every row a value")
        return _objects(array)

    def texts_or(self, name: str, missing: str) -> NDArray[np.object_]:
        """Text of each row, `missing` where there is none."""
        return _objects(pc.fill_null(self._text_array(name), missing))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Each row as a double, NaN where it is empty; shape (rows,)."""
        array = self.arrays[name]
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        numeric = self._cast(
            name, array, pa.float64(), "is not a number; write it as 0.25, with a decimal point"
        )
        filled = pc.fill_null(numeric, float("nan")).to_numpy()
        return np.asarray(filled, dtype=np.float64)

    def times(self, name: str) -> NDArray[np.int64]:
        """Each row as epoch milliseconds, UTC, from any of the three accepted forms."""
        array = self.arrays[name]
        nulls = pc.is_null(array).to_numpy()
        self.refuse(name, nulls, lambda _: "is empty; give every row a time")
        if pa.types.is_timestamp(array.type):
            return _milliseconds(array)
        if is_text(array.type):
            array = pc.cast(array, pa.large_string())
            if not len(array) or not re.fullmatch(r"[+-]?\d+(\.0*)?", array[0].as_py()):
                mend = "is not a time; give RFC 3339 with an offset, as 2026-01-31T12:00:00Z"
                return _milliseconds(self._cast(name, array, pa.timestamp("ns", "UTC"), mend))
            array = self._cast(name, array, pa.float64(), "is not epoch milliseconds, as row 1 is")
        if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            problem = f"holds {array.type}; give RFC 3339, epoch milliseconds or timestamps"
            raise FileError(self.path, problem, column=name)
        return self._epoch(name, array.to_numpy())

    def refuse(self, name: str, wrong: NDArray[np.bool_], reason: Callable[[str], str]) -> None:
        """Raise FileError for the first row that is `wrong`; `reason` gets its value as text."""
        if wrong.any():
            row = int(wrong.argmax())
            value = _shown(self.arrays[name][row].as_py())
            raise FileError(self.path, reason(value), row=row + 1, column=name)

    def names_of_text(self, *, but: Collection[str]) -> list[str]:
        """Columns of text that are not among `but`, in the file's order."""
        return [n for n, array in self.arrays.items() if n not in but and is_text(array.type)]

    def _text_array(self, name: str) -> pa.ChunkedArray:
        array = self.arrays[name]
        if not (is_text(array.type) or pa.types.is_integer(array.type) or _is_null(array.type)):
            raise FileError(self.path, f"holds {array.type}; give text", column=name)
        return pc.cast(array, pa.large_string())

    def _cast(
        self, name: str, array: pa.ChunkedArray, target: pa.DataType, reason: str
    ) -> pa.ChunkedArray:
        try:
            return pc.cast(array, target)
        except pa.ArrowNotImplementedError:
            raise FileError(self.path, f"holds {array.type}; give numbers", column=name) from None
        except pa.ArrowInvalid:
            row = _first_failing(array, target)
            problem = f"{_shown(array[row].as_py())} {reason}"
            raise FileError(self.path, problem, row=row + 1, column=name) from None

    def _epoch(self, name: str, value: NDArray[np.float64]) -> NDArray[np.int64]:
        with np.errstate(invalid="ignore"):
            too_large = ~(np.abs(value) < MICROSECONDS_START)
            too_small = np.abs(value) < SECONDS_END
        self.refuse(
            name, too_large, lambda v: f"{v} is no time in milliseconds; divide by 1000 or 1000000"
        )
        self.refuse(name, too_small, lambda v: f"{v} looks like seconds; multiply by 1000")
        return np.floor(value).astype(np.int64)


def read_columns(path: Path) -> Columns:
    """Read a .parquet, .csv, .jsonl or .ndjson file; the text formats also as .gz.

    Raises FileError for a file that is absent, damaged, of another kind, or without rows.
    """
    name = str(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = suffixes[-2:-1] if packed else suffixes[-1:]
    reader = _READERS.get(kind[0] if kind else "")
    if reader is None or (packed and reader is _parquet):
        problem = "unknown kind of file; give .parquet, .csv, .jsonl or .ndjson, the last three "
        raise FileError(name, f"{problem}also as .gz")
    try:
        with pa.input_stream(name, compression="gzip" if packed else None) as stream:
            data = stream.read_buffer()
        arrays = reader(name, data)
    except FileNotFoundError:
        raise FileError(name, "no such file") from None
    except OSError as error:
        raise FileError(name, f"cannot be read: {error}") from None
    except pa.ArrowException as error:
        raise FileError(name, f"is damaged or not {kind[0][1:]}: {error}") from None
    columns = Columns(name, arrays)
    if not len(columns):
        raise FileError(name, "has no rows")
    return columns


def is_data_file(path: Path) -> bool:
    """Whether a path has the ending of a file that can be read, be it there or not."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:]
    return bool(kind) and kind[0] in _READERS


def _parquet(path: str, data: pa.Buffer) -> dict[str, pa.ChunkedArray]:
    table = pa_parquet.ParquetFile(pa.BufferReader(data)).read()
    _refuse_twice(path, table.column_names)
    return dict(zip(table.column_names, table.columns, strict=True))


def _csv(path: str, data: pa.Buffer) -> dict[str, pa.ChunkedArray]:
    """All columns as text: a type inferred from values would turn the id 007 into 7."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="", errors="replace")
    names = next(csv.reader(text), [])
    _refuse_twice(path, names)
    if not names:
        raise FileError(path, "is empty; the first line names the columns")
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        read_options=pa_csv.ReadOptions(use_threads=False),  # then errors name their row
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return dict(zip(table.column_names, table.columns, strict=True))


def _jsonl(path: str, data: pa.Buffer) -> dict[str, pa.ChunkedArray]:
    """One object a line; objects of events (`segments`, `probs`, ...) are spread into columns."""
    rows: list[dict[str, object]] = []
    decode = msgspec.json.Decoder(dict[str, object]).decode
    for number, line in enumerate(data.to_pybytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FileError(path, f"line {number} is not a JSON object: {error}") from None
        for field, prefix in _SPREAD.items():
            nested = row.pop(field, None)
            if isinstance(nested, dict):
                row |= {f"{prefix}{name}": value for name, value in nested.items()}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _array(path, name, [row.get(name) for row in rows]) for name in names}


def _array(path: str, name: str, values: list[object]) -> pa.ChunkedArray:
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        problem = f"mixes kinds of value ({kinds}); write all rows alike"
        raise FileError(path, problem, column=name) from None


_SPREAD = {"segments": "", "probs": "p_", "confidences": "confidence_", "quantiles": "q_"}
_READERS: dict[str, Callable[[str, pa.Buffer], dict[str, pa.ChunkedArray]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}


def _refuse_twice(path: str, names: list[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise FileError(path, f"has two columns named {twice[0]}; rename one")


def _first_failing(array: pa.ChunkedArray, target: pa.DataType) -> int:
    """Index of the first element that cannot be cast, by halving."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(array.slice(low, middle - low), target)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _milliseconds(array: pa.ChunkedArray) -> NDArray[np.int64]:
    """Floor of native timestamps; those without a time zone are UTC."""
    moments = array.to_numpy().astype("datetime64[ms]")
    return np.asarray(moments.astype(np.int64))


def _objects(array: pa.ChunkedArray) -> NDArray[np.object_]:
    return np.asarray(array.to_numpy(), dtype=np.object_)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text, plain or as a dictionary."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_null(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind))


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004  # one line of a terminal
