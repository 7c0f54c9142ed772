"""Which batches are trained on, and when a scalar is reported; the same for every framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy

from ..plans.errors import DivergedError, NoTrainingSamplesError
from .engine import Monitor, Order, Scalar, TrainingResult

Step = Callable[[int, numpy.ndarray], "float | None"]
"""Trains on the batch of that number with these positions, and returns the loss where there is
one."""


@dataclass(frozen=True)
class Schedule:
    """The part of the training arguments that a loop over batches needs."""

    samples: int
    batch_size: int
    drop_last: bool
    epochs: int | None
    updates: int | None
    batch_maximum: int | None
    dry_run: bool
    log_interval: int

    @classmethod
    def of(cls, arguments: dict[str, Any], samples: int) -> Schedule:
        """Reads the arguments; the node has filled in the defaults and judged them."""
        loader = arguments.get("loader_args") or {}
        updates = arguments.get("num_updates")
        epochs = arguments.get("epochs")
        return cls(
            samples=samples,
            batch_size=int(loader.get("batch_size", 48)),
            drop_last=bool(loader.get("drop_last", False)),
            epochs=None if updates else int(1 if epochs is None else epochs),
            updates=int(updates) if updates else None,
            batch_maximum=int(arguments.get("batch_maxnum") or 0) or None,
            dry_run=bool(arguments.get("dry_run", False)),
            log_interval=max(1, int(arguments.get("log_interval") or 10)),
        )

    def whole_epoch(self) -> int:
        """How many batches an epoch has when nothing cuts it short."""
        if self.drop_last:
            return self.samples // self.batch_size
        return math.ceil(self.samples / self.batch_size)

    def epoch_batches(self, steps: int) -> int:
        """How many batches the next epoch has after ``steps`` steps."""
        count = self.whole_epoch()
        if self.batch_maximum is not None:
            count = min(count, self.batch_maximum)
        if self.updates is not None:
            count = min(count, self.updates - steps)
        return min(count, 1) if self.dry_run else count

    def epoch_numbers(self, result: TrainingResult) -> Iterator[int]:
        """Counts the epochs, from 0, as long as there is something to do."""
        epoch = 0
        while self._goes_on(epoch, result.steps):
            yield epoch
            epoch += 1
            if self.dry_run:
                return

    def _goes_on(self, epoch: int, steps: int) -> bool:
        if self.updates is not None:
            return steps < self.updates
        return self.epochs is not None and epoch < self.epochs


def run(
    schedule: Schedule,
    monitor: Monitor,
    begin_epoch: Callable[[Order, list[numpy.ndarray]], None],
    step: Step,
) -> TrainingResult:
    """Runs all epochs: asks for each epoch's order, steps through its batches, and reports."""
    result = TrainingResult()
    if schedule.whole_epoch() == 0:
        raise NoTrainingSamplesError("not one whole batch is left to train on")
    for epoch in schedule.epoch_numbers(result):
        count = schedule.epoch_batches(result.steps)
        order = monitor.order(epoch)
        batches = [
            order.positions[start : start + schedule.batch_size]
            for start in range(0, count * schedule.batch_size, schedule.batch_size)
        ]
        begin_epoch(order, batches)
        for number, positions in enumerate(batches, 1):
            loss = step(number, positions)
            result.steps += 1
            result.samples_trained += len(positions)
            if loss is None:
                continue
            if not math.isfinite(loss):
                raise DivergedError(f"the loss of batch {number} in epoch {epoch + 1} is {loss}")
            if number % schedule.log_interval == 0 or number == count or schedule.dry_run:
                metrics = {"Loss": float(loss)}
                monitor.report(
                    Scalar(
                        epoch + 1,
                        number,
                        schedule.samples,
                        len(positions),
                        count,
                        result.samples_trained,
                        metrics,
                    )  # fmt: skip
                )
    return result
