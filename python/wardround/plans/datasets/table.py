"""Tables: a CSV file's columns as inputs and targets."""

from __future__ import annotations

import csv
import itertools
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy

from ..data_manager import as_array, is_array
from ..errors import DataError
from ..granted import GRANTED
from .framework import tensor

Columns = str | int | Iterable[str | int] | None

BOOLEANS = {"true": "1", "false": "0", "": "nan"}
"""Cells that stand for a number: a granted table's booleans, and a missing value."""

PIECE = 10_000
"""How many rows are held as text at once."""


class TabularDataset:
    """The granted table, or arrays, as a dataset of pairs.

    ``input_columns`` and ``target_columns`` are names or positions; without inputs these are all
    columns but the targets. One target column given as such, and not in a list, makes targets
    without an axis of their own. ``classes`` turns a target column of texts into positions in that
    list. ``missing`` says what happens to a row without a value: ``"error"``, ``"drop"`` or
    ``"keep"`` (as NaN). ``path`` is only for a researcher's own machine: at a node the granted
    table is read.
    """

    gives_batches = True

    def __init__(
        self,
        input_columns: Any = None,
        target_columns: Any = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        classes: list[Any] | None = None,
        missing: str = "error",
        path: str | None = None,
    ):
        self._transforms = (transform, target_transform)
        # A transform is given one sample at a time; then whole batches cannot be.
        self.gives_batches = transform is None and target_transform is None
        if is_array(input_columns):
            data, target = as_array(input_columns), as_array(target_columns)
        else:
            table = _Table(path)
            data, target = table.select(input_columns, target_columns, classes, missing)
        if len(data) != len(target):
            raise DataError(f"the inputs have {len(data)} rows and the targets {len(target)}")
        self._data, self._target = data, target
        floats = target if classes is not None else target.astype(numpy.float32)
        self._tensors = (tensor(data.astype(numpy.float32)), tensor(floats))

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        pair = zip(self._transforms, self._tensors)
        data, target = (_apply(transform, values[position]) for transform, values in pair)
        return data, target

    def __getitems__(self, positions: list[int]) -> Any:
        if not self.gives_batches:
            return [self[position] for position in positions]
        return self._tensors[0][positions], self._tensors[1][positions]

    def arrays(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """All inputs and all targets, in double precision."""
        if self.gives_batches:
            return self._data, self._target
        pairs = [self[position] for position in range(len(self))]
        data = numpy.stack([as_array(data).reshape(-1) for data, _ in pairs])
        return data, numpy.stack([as_array(target) for _, target in pairs])


class _Table:
    """A CSV file, read once and in pieces: only the numbers that are wanted are held."""

    def __init__(self, path: str | None):
        grant = GRANTED.grant
        self._granted = grant is not None
        if grant is not None:
            if grant.kind != "table":
                raise DataError(f"the granted dataset is of kind {grant.kind}, not a table")
            path = grant.path
        if path is None:
            raise DataError("no table is granted: give its path")
        self._path = path
        with open(path, newline="", encoding="utf-8") as file:
            self._header = next(csv.reader(file), [])

    def select(
        self, inputs: Columns, targets: Columns, classes: list[Any] | None, missing: str
    ) -> tuple[numpy.ndarray, numpy.ndarray]:
        if missing not in ("error", "drop", "keep"):
            raise DataError(f"missing may be error, drop or keep, not {missing!r}")
        single = isinstance(targets, (str, int))
        target_positions = self._positions(targets, [])
        others = [place for place in range(len(self._header)) if place not in target_positions]
        input_positions = self._positions(inputs, others)
        labels = None if classes is None else {str(label): n for n, label in enumerate(classes)}
        both = self._whole(input_positions, target_positions, labels)
        data, target = both or self._in_pieces(input_positions, target_positions, labels)
        kept = _complete(data, target, missing)
        data, target = data[kept], target[kept]
        if classes is not None:
            target = target.astype(numpy.int64)
        return data, target[:, 0] if single else target

    def _whole(
        self, inputs: list[int], targets: list[int], labels: dict[str, int] | None
    ) -> tuple[numpy.ndarray, numpy.ndarray] | None:
        """All numbers at once by numpy's own reader, which knows no missing cell; else nothing.

        That reader takes a row with too many cells, so it is used for a node's tables alone, which
        have none. An empty line is a missing cell where there is one column, and it leaves it out.
        """
        if not self._granted or len(self._header) < 2 or not inputs or not targets:
            return None
        converters = {} if labels is None else dict.fromkeys(targets, labels.__getitem__)
        with open(self._path, newline="", encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            next(csv.reader(file), None)
            try:
                numbers: numpy.ndarray = numpy.loadtxt(
                    file,
                    delimiter=",",
                    quotechar='"',
                    comments=None,
                    usecols=[*inputs, *targets],
                    converters=converters,
                    encoding="utf-8",
                    ndmin=2,
                )
            except (ValueError, KeyError):
                return None
        if numbers.shape[1] != len(inputs) + len(targets):
            return None
        return numbers[:, : len(inputs)], numbers[:, len(inputs) :]

    def _in_pieces(
        self, inputs: list[int], targets: list[int], labels: dict[str, int] | None
    ) -> tuple[numpy.ndarray, numpy.ndarray]:
        """All cells through the reader that finds what is wrong with them."""
        pieces = [
            (self._matrix(rows, inputs, None), self._matrix(rows, targets, labels))
            for rows in self._pieces()
        ]
        data, target = zip(*pieces, strict=True)
        return numpy.concatenate(data), numpy.concatenate(target)

    def _pieces(self) -> Iterator[list[list[str]]]:
        """The rows in lists of limited length; the last may be empty."""
        with open(self._path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            next(reader, None)
            while True:
                rows = list(itertools.islice(reader, PIECE))
                if any(len(row) != len(self._header) for row in rows):
                    raise DataError("the table's rows differ in length")
                yield rows
                if len(rows) < PIECE:
                    return

    def _positions(self, columns: Columns, default: list[int]) -> list[int]:
        if columns is None or columns == "*":
            return default
        names = [columns] if isinstance(columns, (str, int)) else list(columns)
        return [self._position(name) for name in names]

    def _position(self, name: str | int) -> int:
        if isinstance(name, int) and 0 <= name < len(self._header):
            return name
        if isinstance(name, str) and name in self._header:
            return self._header.index(name)
        raise DataError(f"the table has no column {name!r}")

    def _matrix(
        self, rows: list[list[str]], positions: list[int], labels: dict[str, int] | None
    ) -> numpy.ndarray:
        matrix = numpy.empty((len(rows), len(positions)))
        for place, position in enumerate(positions):
            cells = list(map(operator.itemgetter(position), rows))
            try:
                matrix[:, place] = _numbers(cells) if labels is None else _labels(cells, labels)
            except (ValueError, KeyError) as error:
                name, what = self._header[position], "numbers" if labels is None else "classes"
                raise DataError(f"column {name!r} holds values that are not {what}") from error
        return matrix


def _numbers(cells: list[str]) -> list[float]:
    try:
        return list(map(float, cells))
    except ValueError:
        return [float(BOOLEANS.get(cell, cell)) for cell in cells]


def _labels(cells: list[str], labels: dict[str, int]) -> list[float]:
    return [float(labels[cell]) if cell else math.nan for cell in cells]


def _complete(data: numpy.ndarray, target: numpy.ndarray, missing: str) -> numpy.ndarray:
    complete: numpy.ndarray = ~(numpy.isnan(data).any(axis=1) | numpy.isnan(target).any(axis=1))
    if missing == "keep" or complete.all():
        return numpy.ones(len(data), bool)
    if missing == "error":
        raise DataError(f"{int((~complete).sum())} rows lack a value")
    return complete


def _apply(transform: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if transform is None else transform(value)
