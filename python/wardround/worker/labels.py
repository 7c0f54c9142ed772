"""The classes of samples, by which the node keeps their shares when it cuts a dataset in two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy

from ..plans.data_manager import as_array
from ..plans.errors import DataError


def labels_of(targets: Iterable[Any] | None, samples: int) -> numpy.ndarray | None:
    """One whole number for each sample as 64 bits, or nothing where the targets are no classes."""
    if targets is None:
        return None
    try:
        if not isinstance(targets, numpy.ndarray):
            targets = numpy.array([_single(target) for target in targets])
        values = as_array(targets)
    except (DataError, TypeError, ValueError):
        return None
    values = values.reshape(len(values), -1)
    if values.shape != (samples, 1):
        return None
    values = values[:, 0]
    with numpy.errstate(invalid="ignore"):
        labels = values.astype("<i8")
    return labels if numpy.array_equal(labels, values) else None


def _single(target: Any) -> float:
    array = as_array(target)
    if array.size != 1:
        raise DataError("a target is not one number")
    return float(array.reshape(()))
