"""The data of a plan, as its ``training_data`` hands it over."""

from __future__ import annotations

from typing import Any

import numpy

from .errors import DataError


class DataManager:
    """Holds a dataset, or arrays and their targets.

    ``dataset`` is an object with ``__len__`` and ``__getitem__`` (a torch ``Dataset``, or one of
    the dataset helpers), whose items are pairs of data and target; or a numpy array or a pandas
    frame, with ``target`` beside it.

    Of ``loader_args`` only ``collate_fn`` counts. The experiment's ``loader_args`` say the batch
    size, the order and whether a last partial batch is dropped, and the node draws the order;
    ``num_workers`` is always 0, because a plan may not start processes.
    """

    def __init__(self, dataset: Any, target: Any = None, **loader_args: Any):
        self.dataset = dataset
        self.target = target
        self.loader_args = loader_args

    def holds_arrays(self) -> bool:
        """Whether this holds arrays or frames, and not a dataset object."""
        return is_array(self.dataset)

    def arrays(self) -> tuple[numpy.ndarray, numpy.ndarray | None]:
        """The data as two arrays, rows first; the target is absent where there is none."""
        if self.holds_arrays():
            data, target = as_array(self.dataset), self.target
            target = None if target is None else as_array(target)
        elif hasattr(self.dataset, "arrays"):
            data, target = self.dataset.arrays()
        else:
            data, target = gather(self.dataset)
        if target is not None and len(data) != len(target):
            raise DataError(f"the data has {len(data)} rows and the target {len(target)}")
        return data, target


def is_array(value: Any) -> bool:
    """Whether a value is an array or a frame rather than a dataset."""
    return isinstance(value, numpy.ndarray) or hasattr(value, "to_numpy")


def as_array(value: Any) -> numpy.ndarray:
    """A numpy array, a pandas frame, a tensor or a list as a numpy array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = value.to_numpy() if hasattr(value, "to_numpy") else numpy.asarray(value)
    if array.dtype == object:
        try:
            array = array.astype(numpy.float64)
        except (TypeError, ValueError) as error:
            raise DataError("the data holds values that are not numbers") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"the data is of type {array.dtype}, which is not a number")
    return array


def check_dataset(dataset: Any) -> int:
    """The number of samples of a dataset object."""
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        kind = type(dataset).__name__
        raise DataError(f"a DataManager takes a dataset, an array or a frame, not a {kind}")
    if isinstance(dataset, (str, bytes, list, tuple, dict)):
        raise DataError(f"a {type(dataset).__name__} is not a dataset")
    return len(dataset)


def gather(dataset: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Reads a whole dataset object into two arrays; each sample's data becomes one row."""
    count = check_dataset(dataset)
    samples = [dataset[position] for position in range(count)]
    if any(not isinstance(sample, (tuple, list)) or len(sample) != 2 for sample in samples):
        raise DataError("a sample is not a pair of data and target")
    try:
        data = numpy.stack([as_array(sample[0]).reshape(-1) for sample in samples])
        target = numpy.stack([as_array(sample[1]) for sample in samples])
    except ValueError as error:
        raise DataError("the samples differ in shape") from error
    return data, target
