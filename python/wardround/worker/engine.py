"""What the worker asks of a framework: one engine for torch, one for scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy

from ..plans.base import TrainingPlan, open_data
from ..plans.data_manager import DataManager
from ..safetensors import Spec

Tensors = Mapping[str, tuple[Spec, memoryview]]
"""Tensors by name: what each is, and its bytes."""


@dataclass(frozen=True)
class Circumstances:
    """What the node decides about a round before the plan's model exists."""

    seed: int
    """Where the model's first values come from."""

    gpu: bool
    """Whether the node lets this round use a GPU."""

    threads: int
    """How many threads a framework may compute with."""


@dataclass
class Scalar:
    """What is reported while a plan trains."""

    epoch: int
    """Counted from 1."""

    iteration: int
    """The batch in its epoch, counted from 1."""

    total_samples: int
    batch_samples: int
    num_batches: int
    num_samples_trained: int
    metrics: dict[str, float]


@dataclass
class Order:
    """The node's order of an epoch."""

    positions: numpy.ndarray
    """Positions in the training subset."""

    seed: int
    """Where the epoch's random choices, such as dropout, come from."""


class Monitor(ABC):
    """The node, as a training loop sees it."""

    @abstractmethod
    def order(self, epoch: int) -> Order:
        """Asks for the order of an epoch, counted from 0."""

    @abstractmethod
    def report(self, scalar: Scalar) -> None:
        """Reports a scalar."""


@dataclass
class TrainingResult:
    """What training did."""

    steps: int = 0
    samples_trained: int = 0


@dataclass
class Prediction:
    """Truth and prediction of some validation rows, both with rows first."""

    truth: numpy.ndarray
    prediction: numpy.ndarray


@dataclass
class Batch:
    """Some validation rows."""

    data: Any
    target: Any
    rows: int


@dataclass
class Split:
    """The rows of the plan's dataset that train and that validate."""

    train: numpy.ndarray = field(default_factory=lambda: numpy.empty(0, numpy.int64))
    validation: numpy.ndarray = field(default_factory=lambda: numpy.empty(0, numpy.int64))


class Engine(ABC):
    """Runs the phases of a round for one framework.

    The methods are called in the order in which they stand here; ``load`` and what follows may be
    left out.
    """

    family: str
    """``torch`` or ``sklearn``."""

    def __init__(self, plan: TrainingPlan):
        self.plan = plan
        self.arguments: dict[str, Any] = {}
        self.split = Split()

    @abstractmethod
    def default_metric(self) -> str | None:
        """The metric that is meant when none is named."""

    @abstractmethod
    def initialise(self, circumstances: Circumstances) -> None:
        """Builds the model and the optimizer from the plan's arguments."""

    @abstractmethod
    def restore(self, tensors: Tensors) -> None:
        """Takes back what the plan kept at this node after an earlier round."""

    @abstractmethod
    def shared(self) -> list[Spec]:
        """The tensors that travel, in the order in which they are exported."""

    @abstractmethod
    def kept(self) -> list[Spec]:
        """The tensors that stay at the node between rounds."""

    @abstractmethod
    def device(self) -> str:
        """``cpu`` or ``cuda``."""

    @abstractmethod
    def optimizer_args(self) -> dict[str, Any]:
        """The optimizer's name and settings as used."""

    @abstractmethod
    def load(self, tensors: Tensors) -> None:
        """Takes the received parameters."""

    def open_data(self) -> int:
        """Opens the plan's data and counts its samples."""
        return self.take_data(open_data(self.plan))

    @abstractmethod
    def take_data(self, manager: DataManager) -> int:
        """Takes the plan's data and counts its samples."""

    @abstractmethod
    def targets(self) -> Iterable[Any] | None:
        """The target of every sample, in order; nothing where there is none."""

    def apply_split(self, split: Split) -> None:
        """Takes the node's split of the samples."""
        self.split = split

    @abstractmethod
    def batches(self, batch_size: int) -> Any:
        """Iterates over the validation rows in :class:`Batch`; a size of 0 means all at once."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Predicts one batch."""

    @abstractmethod
    def testing_step(self, step: Callable[[Any, Any], Any], batch: Batch) -> Any:
        """Calls the plan's ``testing_step`` with one batch."""

    @abstractmethod
    def train(self, monitor: Monitor) -> TrainingResult:
        """Trains on the training rows."""

    @abstractmethod
    def export(self, trained: bool) -> list[tuple[Spec, Any]]:
        """The shared tensors with their bytes, after the plan's post-processing if it has
        trained."""

    @abstractmethod
    def export_kept(self) -> list[tuple[Spec, Any]]:
        """The kept tensors with their bytes."""


def is_setting(value: Any) -> bool:
    """Whether a setting of an optimizer can be told: a boolean, a short text or a plain number."""
    if isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= 100 and value.isprintable()
    return isinstance(value, (int, float)) and abs(value) < 2**53


def differences(
    expected: list[Spec], found: Tensors
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The tensors on either side that the other does not have alike."""
    wanted = {spec.name: spec for spec in expected}
    given = {name: spec for name, (spec, _) in found.items()}
    missing = [spec.describe() for name, spec in wanted.items() if given.get(name) != spec]
    surplus = [spec.describe() for name, spec in given.items() if wanted.get(name) != spec]
    return missing, surplus
