"""Multi-layer perceptrons."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy
from sklearn import neural_network

from ...plans.errors import ArgumentError
from .family import Arrays, Family, positive


class NeuralFamily(Family):
    """What both perceptrons have in common: ``coefs_.0``, ``intercepts_.0``, and so on."""

    fixed = {"shuffle": False, "verbose": False, "warm_start": False, "batch_size": "auto"}

    def select(self, model_args: dict[str, Any]) -> dict[str, Any]:
        if model_args.get("early_stopping"):
            raise ArgumentError(
                "model_args.early_stopping", "not available: rounds are averaged instead"
            )
        if model_args.get("solver", "adam") not in ("adam", "sgd"):
            raise ArgumentError("model_args.solver", "adam or sgd")
        return super().select(model_args)

    def optimize(
        self, optimizer_args: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        rate = optimizer_args.pop("lr", None)
        super().optimize(optimizer_args, parameters)
        return {} if rate is None else {"learning_rate_init": rate}

    def settings(self) -> dict[str, Any]:
        used = self.estimator.get_params()
        return {key: used[key] for key in ("solver", "learning_rate_init", "alpha")}

    def start(self) -> None:
        # The first call makes the layers and moves them by one step, so they are drawn again.
        count = max(2, self.outputs if self.classifies else 2)
        self._fit(numpy.zeros((count, self.features)), self._start_target(count))
        random = numpy.random.RandomState(self.seed)
        factor = 2.0 if self.estimator.activation == "logistic" else 6.0
        arrays: Arrays = {}
        for name, array in self.parameters().items():
            place = int(name.rsplit(".", 1)[1])
            bound = numpy.sqrt(factor / sum(self.estimator.coefs_[place].shape))
            arrays[name] = random.uniform(-bound, bound, array.shape)
        self.assign(arrays)

    def parameters(self) -> Arrays:
        arrays: Arrays = {}
        for place, (weight, bias) in enumerate(
            zip(self.estimator.coefs_, self.estimator.intercepts_)
        ):
            arrays[f"coefs_.{place}"] = weight
            arrays[f"intercepts_.{place}"] = bias
        return arrays

    def assign(self, arrays: Arrays) -> None:
        for name, array in arrays.items():
            layers, place = name.rsplit(".", 1)
            getattr(self.estimator, layers)[int(place)] = numpy.array(array, numpy.float64)
        self.begin()

    def begin(self) -> None:
        estimator = self.estimator
        # The optimizer holds on to the layers' arrays: without it the next step makes a new one.
        for name in ("_optimizer", "loss_"):
            estimator.__dict__.pop(name, None)
        estimator.t_, estimator.n_iter_, estimator.loss_curve_ = 0, 0, []
        estimator.best_loss_, estimator._no_improvement_count = numpy.inf, 0

    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        return None

    def step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        # A batch is one step: the estimator's own cutting into batches of 200 must not happen.
        self.estimator.batch_size = len(data)
        self._fit(data, target)
        return float(self.estimator.loss_)

    @abstractmethod
    def _start_target(self, count: int) -> numpy.ndarray:
        """Targets with every class, from which the estimator learns its shape."""

    def _fit(self, data: numpy.ndarray, target: numpy.ndarray) -> None:
        if self.classifies:
            self.estimator.partial_fit(data, target, classes=self.classes())
        else:
            self.estimator.partial_fit(data, target)


class MLPClassifierFamily(NeuralFamily):
    """``MLPClassifier``."""

    estimator_class = neural_network.MLPClassifier
    classifies = True
    metric = "ACCURACY"

    def _start_target(self, count: int) -> numpy.ndarray:
        return numpy.arange(count) % self.outputs


class MLPRegressorFamily(NeuralFamily):
    """``MLPRegressor``."""

    estimator_class = neural_network.MLPRegressor
    metric = "MEAN_SQUARE_ERROR"

    def __init__(self, model_args: dict[str, Any], optimizer_args: dict[str, Any], seed: int):
        super().__init__(model_args, optimizer_args, seed)
        self.outputs = positive(model_args, "n_outputs", 1)

    def own_arguments(self) -> set[str]:
        return {"n_features", "n_outputs"}

    def _start_target(self, count: int) -> numpy.ndarray:
        return numpy.zeros((count, self.outputs) if self.outputs > 1 else count)
