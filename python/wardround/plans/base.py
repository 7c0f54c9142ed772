"""What all training plans have in common: their lifecycle, their accessors and their hooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .data_manager import DataManager
from .errors import DataError, PlanError
from .process_types import ProcessTypes

TRAINING_KEYS = (
    "epochs", "num_updates", "batch_maxnum", "dry_run", "log_interval", "fedprox_mu", "use_gpu",
    "random_seed", "share_persistent_buffers", "gradient_clip_norm",
)  # fmt: skip


class TrainingPlan:
    """The base of every plan; derive from a family of it, not from this class.

    A node makes one object for each round, without arguments, and calls ``post_init``,
    ``training_data``, the family's training, and ``postprocess``, in this order.
    """

    metrics: tuple[str, ...] | list[str] | None = None
    """The names that ``testing_step`` may return; without it the twelve known ones and
    ``Custom``."""

    dataset_path: str | None
    """The granted table's CSV file, or the granted folder."""

    pre_processes: dict[str, dict[str, Any]]
    """The preprocessing methods by name, in the order they were added."""

    training_data_loader: Any
    """The loader of the training subset, once there is one."""

    testing_data_loader: Any
    """The loader of the validation subset, once there is one."""

    _dependencies: list[str]
    _model: Any
    _optimizer: Any
    _model_args: dict[str, Any]
    _training_args: dict[str, Any]
    _initial_parameters: dict[str, Any] | None

    def __new__(cls, *arguments: Any, **keywords: Any) -> TrainingPlan:
        # State is made here and not in __init__, so that a plan's own __init__ need not call ours.
        plan = super().__new__(cls)
        plan.dataset_path = None
        plan.pre_processes = {}
        plan.training_data_loader = None
        plan.testing_data_loader = None
        plan._dependencies = []
        plan._model = None
        plan._optimizer = None
        plan._model_args = {}
        plan._training_args = {}
        plan._initial_parameters = None
        return plan

    def post_init(self, model_args: Mapping[str, Any], training_args: Mapping[str, Any]) -> None:
        """Keeps the arguments; the family then builds the model and the optimizer."""
        self._model_args = dict(model_args)
        self._training_args = dict(training_args)

    def init_dependencies(self) -> Iterable[str]:
        """Import statements that run at the head of the plan's module, before its own first
        line."""
        return []

    def add_dependency(self, dependencies: Iterable[str]) -> None:
        """Notes import statements; kept for plans that call it, which no plan has to."""
        self._dependencies.extend(line for line in dependencies if line not in self._dependencies)

    def set_dataset_path(self, dataset_path: str) -> None:
        """Sets where the granted dataset is; the node calls it before ``training_data``."""
        self.dataset_path = dataset_path

    def training_data(self) -> DataManager:
        """Returns the data as a ``DataManager``; may have one parameter, ``batch_size``."""
        raise PlanError(f"{type(self).__name__} does not define training_data")

    def add_preprocess(self, method: Callable[[Any], Any], process_type: ProcessTypes) -> None:
        """Adds a method that is applied to the training loader once, when training starts."""
        if not callable(method):
            raise PlanError("add_preprocess: the method cannot be called")
        if not isinstance(process_type, ProcessTypes):
            raise PlanError("add_preprocess: the type is not one of ProcessTypes")
        name = getattr(method, "__name__", repr(method))
        self.pre_processes[name] = {"method": method, "process_type": process_type}

    def tag_parameters(self, name: str) -> Mapping[str, bool] | None:
        """Says of one parameter whether it is ``local`` (never leaves) and ``persistent``.

        Returns a mapping with these two keys, either of which may be left out; ``None`` means a
        shared parameter. ``persistent`` keeps the node's values for the next round and means
        ``local`` too.
        """
        return None

    def model(self) -> Any:
        """The model: a torch module, or a scikit-learn estimator."""
        return self._model

    def optimizer(self) -> Any:
        """The optimizer, where the family has one."""
        return self._optimizer

    def model_args(self) -> dict[str, Any]:
        """The experiment's model arguments."""
        return self._model_args

    def training_args(self) -> dict[str, Any]:
        """The training arguments without those of the loader, the optimizer and validation."""
        return {key: self._training_args.get(key) for key in TRAINING_KEYS}

    def optimizer_args(self) -> dict[str, Any]:
        """The optimizer's arguments."""
        return dict(self._training_args.get("optimizer_args") or {})

    def loader_args(self) -> dict[str, Any]:
        """The loader's arguments: ``batch_size``, ``shuffle`` and ``drop_last``."""
        return dict(self._training_args.get("loader_args") or {})

    def initial_parameters(self) -> dict[str, Any] | None:
        """The parameters as ``init_model`` made them, before any were received."""
        return self._initial_parameters


def open_data(plan: TrainingPlan) -> DataManager:
    """Calls a plan's ``training_data`` by its rule and checks what it returns."""
    method: Callable[..., Any] = plan.training_data
    parameters = list(inspect.signature(method).parameters.values())
    if not parameters:
        manager = method()
    elif len(parameters) == 1 and parameters[0].name == "batch_size":
        manager = method(batch_size=plan.loader_args().get("batch_size", 48))
    else:
        raise DataError("training_data may have no parameter, or one named batch_size")
    if not isinstance(manager, DataManager):
        raise DataError(f"training_data returned a {type(manager).__name__}, not a DataManager")
    return manager


def call_with(method: Callable[..., Any], name: str, argument: Any) -> Any:
    """Calls one of the ``init_`` methods, which may have no parameter or one."""
    count = len(inspect.signature(method).parameters)
    if count > 1:
        raise PlanError(f"{name} may have one parameter at most, and has {count}")
    return method(argument) if count else method()


def preprocess(plan: TrainingPlan, loader: Any) -> Any:
    """Applies a plan's preprocessing methods to the training loader."""
    for name, entry in plan.pre_processes.items():
        if entry["process_type"] is not ProcessTypes.DATA_LOADER:
            print(f"preprocessing {name!r} is of type PARAMS and is ignored")
            continue
        if len(inspect.signature(entry["method"]).parameters) != 1:
            raise DataError(f"preprocessing {name!r} must have one parameter, the loader")
        result = entry["method"](loader)
        if not isinstance(result, type(loader)):
            kinds = f"{type(result).__name__}, not a {type(loader).__name__}"
            raise DataError(f"preprocessing {name!r} returned a {kinds}")
        loader = result
    return loader
