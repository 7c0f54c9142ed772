"""What the engine asks of an estimator."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

import numpy

from ...plans.errors import ArgumentError

Arrays = dict[str, numpy.ndarray]


class Family(ABC):
    """One estimator in one round."""

    estimator_class: type
    """The estimator of scikit-learn."""

    classifies = False
    """Whether targets are classes."""

    metric: str | None = None
    """The metric that is meant when none is named."""

    needs_target = True
    """Whether the data must have a target."""

    takes_single_samples = False
    """Whether a plan may set ``per_sample``."""

    fixed: dict[str, Any] = {}
    """Parameters of the estimator that are never the plan's: threads, shuffling, output."""

    def __init__(self, model_args: dict[str, Any], optimizer_args: dict[str, Any], seed: int):
        self.features = positive(model_args, "n_features")
        self.outputs = 1
        if self.classifies:
            self.outputs = positive(model_args, "n_classes")
            if self.outputs < 2:
                raise ArgumentError("model_args.n_classes", "integer from 2")
        self.seed = seed % 2**32
        parameters = self.select(model_args)
        parameters.update(self.optimize(dict(optimizer_args), parameters))
        self.estimator = self.build(parameters)
        # Older versions judge parameters in fit alone; there is nothing to call early then.
        judge = getattr(self.estimator, "_validate_params", None)
        if judge is not None:
            judge()

    def own_arguments(self) -> set[str]:
        """The keys of ``model_args`` that are not the estimator's."""
        return {"n_features", "n_classes"} if self.classifies else {"n_features"}

    def known(self) -> set[str]:
        """The estimator's parameters."""
        return set(inspect.signature(self.estimator_class).parameters)

    def select(self, model_args: dict[str, Any]) -> dict[str, Any]:
        """The estimator's parameters among the plan's arguments."""
        known = self.known()
        for key in model_args:
            if key not in known and key not in self.own_arguments():
                name = self.estimator_class.__name__
                raise ArgumentError(f"model_args.{key}", f"not a parameter of {name}")
        return {key: value for key, value in model_args.items() if key in known}

    def optimize(
        self, optimizer_args: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """The estimator's parameters that the optimizer's arguments stand for."""
        for key in optimizer_args:
            name = self.estimator_class.__name__
            raise ArgumentError(f"optimizer_args.{key}", f"not taken by {name}")
        return {}

    def build(self, parameters: dict[str, Any]) -> Any:
        """Makes the estimator."""
        settings = {**parameters, **self.fixed}
        if "random_state" in self.known():
            settings["random_state"] = self.seed
        known = self.known()
        settings = {key: value for key, value in settings.items() if key in known}
        return self.estimator_class(**settings)

    def settings(self) -> dict[str, Any]:
        """The optimizer's settings as used, beside its name."""
        return {}

    @abstractmethod
    def start(self) -> None:
        """Gives the estimator its first parameters."""

    @abstractmethod
    def parameters(self) -> Arrays:
        """The estimator's parameters in the order in which they travel."""

    @abstractmethod
    def assign(self, arrays: Arrays) -> None:
        """Gives the estimator parameters, and forgets what earlier steps have left."""

    @abstractmethod
    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        """The loss on a batch before its step; ``None`` where only the step knows it."""

    @abstractmethod
    def step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        """Trains on a batch; returns the loss where the estimator tells it."""

    def begin(self) -> None:
        """Prepares for training, after the parameters have been received."""

    def finish(self) -> None:
        """Completes the training."""

    def classes(self) -> numpy.ndarray:
        """The labels of a classifier."""
        return numpy.arange(self.outputs)


def positive(arguments: dict[str, Any], key: str, default: int | None = None) -> int:
    """A whole number from 1 among a plan's model arguments."""
    value = arguments.get(key, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"model_args.{key}", "integer from 1")
    return value
