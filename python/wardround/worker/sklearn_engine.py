"""Runs a round for scikit-learn."""

from __future__ import annotations

import contextlib
import importlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy

from ..plans.array_loader import ArrayLoader
from ..plans.base import preprocess
from ..plans.data_manager import DataManager, as_array
from ..plans.errors import (
    ArgumentError,
    DataError,
    DivergedError,
    ExportError,
    MetricError,
    MismatchError,
    PlanError,
)
from ..plans.sklearn_plan import SklearnTrainingPlan
from ..safetensors import Spec
from . import schedule
from .engine import (
    Batch,
    Circumstances,
    Engine,
    Monitor,
    Order,
    Prediction,
    Tensors,
    TrainingResult,
    differences,
    is_setting,
)
from .families import BY_KIND, Family

OVERFLOW = ("Floating-point under-/overflow", "non-finite parameter weights")
"""How scikit-learn says that parameters have become infinite."""


class SklearnEngine(Engine):
    """Runs the phases of a round of a :class:`SklearnTrainingPlan`."""

    family = "sklearn"
    plan: SklearnTrainingPlan

    def __init__(self, plan: SklearnTrainingPlan):
        super().__init__(plan)
        if plan.kind not in BY_KIND:
            raise PlanError(f"{type(plan).__name__} does not derive from a family of estimators")
        self._local: set[str] = set()
        self._persistent: set[str] = set()
        self._data = numpy.empty((0, 0))
        self._target: numpy.ndarray | None = None

    def default_metric(self) -> str | None:
        return BY_KIND[self.plan.kind].metric

    def initialise(self, circumstances: Circumstances) -> None:
        POOLS.limit(circumstances.threads)
        seed_all(circumstances.seed)
        for key in ("fedprox_mu", "gradient_clip_norm"):
            if self.arguments.get(key):
                raise ArgumentError(key, "not available for scikit-learn plans")
        family_class = BY_KIND[self.plan.kind]
        if self.plan.per_sample and not family_class.takes_single_samples:
            raise PlanError(
                f"per_sample is not available for {family_class.estimator_class.__name__}"
            )
        self._estimator = family_class(
            self.plan.model_args(), self.plan.optimizer_args(), circumstances.seed
        )
        self._estimator.start()
        self.plan._model = self._estimator.estimator
        self._tag()
        self.plan._initial_parameters = {
            name: array.copy() for name, array in self._estimator.parameters().items()
        }

    def restore(self, tensors: Tensors) -> None:
        self._require(self.kept(), tensors)
        self._assign(tensors)

    def shared(self) -> list[Spec]:
        return [_spec(name, array) for name, array in self._state() if name not in self._local]

    def kept(self) -> list[Spec]:
        return [_spec(name, array) for name, array in self._state() if name in self._persistent]

    def device(self) -> str:
        return "cpu"

    def optimizer_args(self) -> dict[str, Any]:
        used: dict[str, Any] = {"kind": type(self._estimator.estimator).__name__}
        for key, value in self._estimator.settings().items():
            if is_setting(value):
                used[key] = value
        return used

    def load(self, tensors: Tensors) -> None:
        self._require(self.shared(), tensors)
        self._assign(tensors)

    def take_data(self, manager: DataManager) -> int:
        data, target = manager.arrays()
        self._data = _matrix(data, self._estimator)
        self._target = _targets(target, self._estimator)
        return len(self._data)

    def targets(self) -> numpy.ndarray | None:
        return self._target

    def batches(self, batch_size: int) -> Iterator[Batch]:
        rows = self.split.validation
        size = batch_size or max(1, len(rows))
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            target = None if self._target is None else self._target[chosen]
            yield Batch(self._data[chosen], target, len(chosen))

    def predict(self, batch: Batch) -> Prediction:
        if batch.target is None or self._estimator.metric is None:
            raise MetricError("clusters are not classes: the plan must define testing_step")
        try:
            prediction = as_array(self.plan.predict(batch.data))
        except DataError as error:
            raise MetricError("the prediction is not an array of numbers") from error
        return Prediction(batch.target, prediction)

    def testing_step(self, step: Callable[[Any, Any], Any], batch: Batch) -> Any:
        return step(batch.data, batch.target)

    def train(self, monitor: Monitor) -> TrainingResult:
        family, rows = self._estimator, self.split.train
        plan_schedule = schedule.Schedule.of(self.arguments, len(rows))
        data, target = self._training_rows(plan_schedule.batch_size)
        family.begin()

        def begin_epoch(order: Order, batches: list[numpy.ndarray]) -> None:
            seed_all(order.seed)

        def step(number: int, positions: numpy.ndarray) -> float | None:
            batch = data[positions], target[positions]
            before = family.loss(*batch)
            if before is not None and not numpy.isfinite(before):
                return before
            told = self._step(*batch)
            return before if told is None else told

        result = schedule.run(plan_schedule, monitor, begin_epoch, step)
        family.finish()
        for name, array in self._state():
            if not numpy.isfinite(array).all():
                raise DivergedError(f"{name} is infinite or not a number after training")
        return result

    def export(self, trained: bool) -> list[tuple[Spec, Any]]:
        specs = self.shared()
        arrays = {name: array.copy() for name, array in self._state() if name not in self._local}
        postprocess = getattr(self.plan, "postprocess", None)
        if trained and callable(postprocess):
            arrays = postprocess(arrays)
        if not isinstance(arrays, dict) or set(arrays) != {spec.name for spec in specs}:
            raise ExportError("postprocess must return a dict with the names that it was given")
        return [(spec, _exported(spec, arrays[spec.name])) for spec in specs]

    def export_kept(self) -> list[tuple[Spec, Any]]:
        arrays = dict(self._state())
        return [(spec, _exported(spec, arrays[spec.name])) for spec in self.kept()]

    def _state(self) -> list[tuple[str, numpy.ndarray]]:
        return list(self._estimator.parameters().items())

    def _tag(self) -> None:
        for name, _ in self._state():
            tags = self.plan.tag_parameters(name) or {}
            if tags.get("persistent"):
                self._persistent.add(name)
            if tags.get("persistent") or tags.get("local"):
                self._local.add(name)

    def _require(self, expected: list[Spec], tensors: Tensors) -> None:
        missing, surplus = differences(expected, tensors)
        if missing or surplus:
            raise MismatchError(missing, surplus)

    def _assign(self, tensors: Tensors) -> None:
        arrays = dict(self._state())
        for name, (spec, values) in tensors.items():
            arrays[name] = numpy.frombuffer(values, "<f8").reshape(spec.shape).copy()
        self._estimator.assign(arrays)

    def _training_rows(self, batch_size: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The training rows after preprocessing."""
        rows = self.split.train
        target = None if self._target is None else self._target[rows]
        loader = preprocess(self.plan, ArrayLoader(self._data[rows], target, batch_size))
        self.plan.training_data_loader = loader
        data = _matrix(loader.get_dataset(), self._estimator)
        target = _targets(loader.get_target(), self._estimator)
        if len(data) != len(rows) or (target is not None and len(target) != len(rows)):
            raise DataError("preprocessing changed the number of training samples")
        return data, numpy.zeros(len(rows)) if target is None else target

    def _step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        try:
            if self.plan.per_sample:
                self._mean_of_samples(data, target)
                return None
            return self._estimator.step(data, target)
        except ValueError as error:
            if any(text in str(error) for text in OVERFLOW):
                raise DivergedError("the parameters are infinite or not a number") from error
            raise

    def _mean_of_samples(self, data: numpy.ndarray, target: numpy.ndarray) -> None:
        """One step for each row from the same parameters, and then their mean."""
        family = self._estimator
        before = {name: array.copy() for name, array in family.parameters().items()}
        sums = {name: numpy.zeros_like(array) for name, array in before.items()}
        for place in range(len(data)):
            family.assign(before)
            family.step(data[place : place + 1], target[place : place + 1])
            for name, array in family.parameters().items():
                sums[name] += array
        family.assign({name: total / len(data) for name, total in sums.items()})


class ThreadPools:
    """The thread pools of the libraries that are loaded, found once.

    They are found by reading ``/proc``, which a confined process cannot: the fork server looks
    before.
    """

    def __init__(self) -> None:
        self._controller: Any = None

    def find(self) -> Any:
        """Looks for the pools, also on behalf of scikit-learn, unless that has been done."""
        if self._controller is None:
            with contextlib.suppress(ImportError, OSError):
                import threadpoolctl

                self._controller = threadpoolctl.ThreadpoolController()
            # Where scikit-learn keeps its own, which it would look for in a round otherwise.
            for place in ("sklearn.utils.parallel", "sklearn.utils.fixes"):
                with contextlib.suppress(ImportError, OSError, AttributeError):
                    importlib.import_module(place)._get_threadpool_controller()
        return self._controller

    def limit(self, threads: int) -> None:
        """Lets numpy's and scikit-learn's libraries compute with that many threads from now on."""
        controller = self.find()
        if controller is not None:
            controller.limit(limits=max(1, threads))


POOLS = ThreadPools()
"""This process's thread pools."""


def seed_all(seed: int) -> None:
    """Seeds the generators that a plan may draw from."""
    numpy.random.seed(seed % 2**32)
    random.seed(seed)


def _matrix(data: Any, family: Family) -> numpy.ndarray:
    matrix = numpy.ascontiguousarray(as_array(data), numpy.float64)
    if matrix.ndim == 1:
        matrix = matrix.reshape(-1, 1)
    if matrix.ndim != 2:
        matrix = matrix.reshape(len(matrix), -1)
    if matrix.shape[1] != family.features:
        raise DataError(f"the data has {matrix.shape[1]} columns, n_features is {family.features}")
    if not numpy.isfinite(matrix).all():
        raise DataError("the data holds values that are missing or infinite")
    return matrix


def _targets(target: Any, family: Family) -> numpy.ndarray | None:
    if target is None:
        if family.needs_target:
            raise DataError("the DataManager needs a target")
        return None
    values = as_array(target)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if not numpy.isfinite(values).all():
        raise DataError("the target holds values that are missing or infinite")
    if not family.classifies:
        return values.astype(numpy.float64)
    labels = values.astype(numpy.int64)
    inside = (labels == values) & (labels >= 0) & (labels < family.outputs)
    if values.ndim != 1 or not inside.all():
        raise DataError(
            f"the target's classes must be whole numbers from 0 to {family.outputs - 1}"
        )
    return labels


def _spec(name: str, array: numpy.ndarray) -> Spec:
    return Spec(name, "F64", tuple(array.shape))


def _exported(spec: Spec, array: Any) -> bytes:
    values = as_array(array)
    if tuple(values.shape) != spec.shape or values.dtype != numpy.float64:
        raise ExportError(f"postprocess changed the shape or the type of {spec.name}")
    return numpy.ascontiguousarray(values, "<f8").tobytes()


def warm_up() -> None:
    """Takes one step with one thread, so that nothing is left to import when a round trains."""
    POOLS.limit(1)
    family = BY_KIND["sgd_classifier"]({"n_features": 2, "n_classes": 2, "loss": "log_loss"}, {}, 0)
    family.start()
    family.step(numpy.ones((2, 2)), numpy.arange(2))
    family.estimator.predict_proba(numpy.ones((2, 2)))


ENGINE = SklearnEngine
"""The engine of this family."""
