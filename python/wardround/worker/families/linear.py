"""Linear models by stochastic gradient descent."""

from __future__ import annotations

import warnings
from typing import Any

import numpy
from sklearn import linear_model

from ...plans.errors import ArgumentError
from .family import Arrays, Family
from .losses import classification_loss, regression_loss


class LinearFamily(Family):
    """What the linear models have in common: ``coef_`` and ``intercept_``."""

    takes_single_samples = True
    fixed = {"n_jobs": None, "shuffle": False, "verbose": 0, "warm_start": False}

    def select(self, model_args: dict[str, Any]) -> dict[str, Any]:
        for key in ("average", "early_stopping"):
            if model_args.get(key):
                raise ArgumentError(
                    f"model_args.{key}", "not available: rounds are averaged instead"
                )
        return super().select(model_args)

    def optimize(
        self, optimizer_args: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        rate = optimizer_args.pop("lr", None)
        super().optimize(optimizer_args, parameters)
        if rate is None:
            return {}
        return {"eta0": rate, "learning_rate": parameters.get("learning_rate", "constant")}

    def settings(self) -> dict[str, Any]:
        used = self.estimator.get_params()
        return {key: used[key] for key in ("eta0", "learning_rate", "alpha") if key in used}

    def start(self) -> None:
        # One call on empty rows makes everything the estimator needs inside; then it is reset.
        rows = numpy.zeros((max(2, self.outputs), self.features))
        self._fit(rows, numpy.arange(len(rows)) % max(2, self.outputs))
        self.assign({name: numpy.zeros_like(array) for name, array in self.parameters().items()})

    def parameters(self) -> Arrays:
        return {"coef_": self.estimator.coef_, "intercept_": self.estimator.intercept_}

    def assign(self, arrays: Arrays) -> None:
        self.estimator.coef_ = numpy.array(arrays["coef_"], numpy.float64, order="C")
        self.estimator.intercept_ = numpy.array(arrays["intercept_"], numpy.float64, order="C")

    def begin(self) -> None:
        self.estimator.t_ = 1.0

    def step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        self._fit(data, target)
        return None

    def _fit(self, data: numpy.ndarray, target: numpy.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            if self.classifies:
                self.estimator.partial_fit(data, target, classes=self.classes())
            else:
                self.estimator.partial_fit(data, target)


class LinearClassifierFamily(LinearFamily):
    """A linear classifier; for more than two classes one model for each against the rest."""

    classifies = True
    metric = "ACCURACY"

    def loss_name(self) -> str:
        """The name of the loss, as ``SGDClassifier`` has it."""
        return str(self.estimator.loss)

    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        scores = data @ self.estimator.coef_.T + self.estimator.intercept_
        return classification_loss(self.loss_name(), scores, target)


class LinearRegressorFamily(LinearFamily):
    """A linear regression."""

    metric = "MEAN_SQUARE_ERROR"

    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        scores = data @ self.estimator.coef_ + self.estimator.intercept_[0]
        return regression_loss(self.estimator.loss, scores, target, self.estimator.epsilon)


class SGDClassifierFamily(LinearClassifierFamily):
    """``SGDClassifier``."""

    estimator_class = linear_model.SGDClassifier


class PerceptronFamily(SGDClassifierFamily):
    """``SGDClassifier`` with the perceptron's loss."""

    fixed = {**LinearFamily.fixed, "loss": "perceptron"}


class SGDRegressorFamily(LinearRegressorFamily):
    """``SGDRegressor``."""

    estimator_class = linear_model.SGDRegressor


class PassiveAggressiveClassifierFamily(LinearClassifierFamily):
    """The passive-aggressive classifier of Crammer et al., as an ``SGDClassifier``."""

    estimator_class = getattr(
        linear_model, "PassiveAggressiveClassifier", linear_model.SGDClassifier
    )

    def known(self) -> set[str]:
        return PASSIVE_AGGRESSIVE | {"class_weight"}

    def optimize(
        self, optimizer_args: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        return Family.optimize(self, optimizer_args, parameters)

    def build(self, parameters: dict[str, Any]) -> Any:
        loss = parameters.pop("loss", "hinge")
        if loss not in ("hinge", "squared_hinge"):
            raise ArgumentError("model_args.loss", "hinge or squared_hinge")
        return _build(self, parameters, loss, "pa1" if loss == "hinge" else "pa2", "hinge")

    def loss_name(self) -> str:
        return "hinge"


class PassiveAggressiveRegressorFamily(LinearRegressorFamily):
    """The passive-aggressive regressor of Crammer et al., as an ``SGDRegressor``."""

    estimator_class = getattr(linear_model, "PassiveAggressiveRegressor", linear_model.SGDRegressor)

    def known(self) -> set[str]:
        return PASSIVE_AGGRESSIVE | {"epsilon"}

    def optimize(
        self, optimizer_args: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        return Family.optimize(self, optimizer_args, parameters)

    def build(self, parameters: dict[str, Any]) -> Any:
        loss = parameters.pop("loss", "epsilon_insensitive")
        if loss not in ("epsilon_insensitive", "squared_epsilon_insensitive"):
            rule = "epsilon_insensitive or squared_epsilon_insensitive"
            raise ArgumentError("model_args.loss", rule)
        rate = "pa1" if loss == "epsilon_insensitive" else "pa2"
        return _build(self, parameters, loss, rate, "epsilon_insensitive")


PASSIVE_AGGRESSIVE = {
    "C", "fit_intercept", "max_iter", "tol", "early_stopping", "validation_fraction",
    "n_iter_no_change", "shuffle", "verbose", "loss", "n_jobs", "random_state", "warm_start",
    "average",
}  # fmt: skip
"""The parameters that both passive-aggressive estimators have."""


def _build(family: Family, parameters: dict[str, Any], loss: str, rate: str, plain: str) -> Any:
    """The estimator where scikit-learn has it, and what stands for it where it no longer has."""
    settings = {**parameters, **family.fixed, "random_state": family.seed}
    if not family.classifies:
        settings.pop("n_jobs")
    if family.estimator_class.__name__.startswith("PassiveAggressive"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return family.estimator_class(loss=loss, **settings)
    strength = settings.pop("C", 1.0)
    return family.estimator_class(
        loss=plain, penalty=None, learning_rate=rate, eta0=strength, **settings
    )
