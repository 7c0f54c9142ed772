"""The loader of a scikit-learn plan, as preprocessing methods get it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from .data_manager import as_array


class ArrayLoader:
    """The training rows as two arrays; preprocessing may replace either, but no row may go."""

    def __init__(self, dataset: numpy.ndarray, target: numpy.ndarray | None, batch_size: int):
        self.dataset = dataset
        """The data, a row for each sample."""
        self.target = target
        """The targets, where there are any."""
        self.batch_size = batch_size
        """The experiment's batch size."""

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[numpy.ndarray, numpy.ndarray | None]]:
        for start in range(0, len(self.dataset), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.dataset[rows], None if self.target is None else self.target[rows]

    def get_dataset(self) -> numpy.ndarray:
        """The data, under the name that Fed-BioMed's plans use."""
        return as_array(self.dataset)

    def get_target(self) -> numpy.ndarray | None:
        """The targets, under the name that Fed-BioMed's plans use."""
        return None if self.target is None else as_array(self.target)
