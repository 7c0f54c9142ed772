"""Runs a round for torch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy
import torch
from torch.utils.data import DataLoader, Subset, default_collate

from ..plans.base import call_with, preprocess
from ..plans.data_manager import DataManager, as_array, check_dataset
from ..plans.errors import (
    ArgumentError,
    DataError,
    DivergedError,
    ExportError,
    MetricError,
    MismatchError,
    PlanError,
)
from ..plans.torch_plan import TorchTrainingPlan
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

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip

METRICS = (
    "ACCURACY", "BALANCED_ACCURACY", "PRECISION", "RECALL", "F1_SCORE", "ROC_AUC", "LOG_LOSS",
    "MEAN_SQUARE_ERROR", "MEAN_ABSOLUTE_ERROR", "R2_SCORE", "EXPLAINED_VARIANCE", "DICE",
)  # fmt: skip


class TorchEngine(Engine):
    """Runs the phases of a round of a :class:`TorchTrainingPlan`."""

    family = "torch"
    plan: TorchTrainingPlan

    def __init__(self, plan: TorchTrainingPlan):
        super().__init__(plan)
        self._device = torch.device("cpu")
        self._local: set[str] = set()
        self._persistent: set[str] = set()
        self._dataset: Any = None
        self._collate: Callable[[Any], Any] = default_collate

    def default_metric(self) -> str | None:
        declared = [name for name in self.plan.metrics or () if name in METRICS]
        return declared[0] if declared else "ACCURACY"

    def initialise(self, circumstances: Circumstances) -> None:
        torch.set_num_threads(max(1, circumstances.threads))
        if circumstances.gpu and torch.cuda.is_available():
            self._device = torch.device("cuda")
        plan = self.plan
        seed_all(circumstances.seed)
        model = call_with(plan.init_model, "init_model", plan.model_args())
        if not isinstance(model, torch.nn.Module):
            raise PlanError(f"init_model returned a {type(model).__name__}, not a torch module")
        plan._model = model
        self._tag()
        plan._initial_parameters = {
            name: tensor.detach().clone() for name, tensor in model.state_dict().items()
        }
        plan._optimizer = self._build_optimizer()

    def restore(self, tensors: Tensors) -> None:
        self._require(self.kept(), tensors)
        self._assign(tensors)

    def shared(self) -> list[Spec]:
        return [_spec(name, tensor) for name, tensor in self._state() if name not in self._local]

    def kept(self) -> list[Spec]:
        return [_spec(name, tensor) for name, tensor in self._state() if name in self._persistent]

    def device(self) -> str:
        return self._device.type

    def optimizer_args(self) -> dict[str, Any]:
        optimizer = self.plan.optimizer()
        used: dict[str, Any] = {"kind": type(optimizer).__name__}
        for key, value in optimizer.param_groups[0].items():
            if isinstance(key, str) and is_setting(value):
                used[key] = value
        return used

    def load(self, tensors: Tensors) -> None:
        self._require(self.shared(), tensors)
        self._assign(tensors)

    def take_data(self, manager: DataManager) -> int:
        if manager.holds_arrays() or (manager.target is not None):
            data, target = manager.arrays()
            if target is None:
                raise DataError("a torch plan's DataManager needs a target beside its array")
            self._dataset = ArrayDataset(data, target)
        else:
            self._dataset = manager.dataset
        self._collate = manager.loader_args.get("collate_fn") or default_collate
        if getattr(self._dataset, "gives_batches", False):
            self._collate = as_given
        return check_dataset(self._dataset)

    def targets(self) -> Iterable[Any]:
        if isinstance(self._dataset, ArrayDataset):
            return self._dataset.targets()
        return (_pair(self._dataset[place])[1] for place in range(check_dataset(self._dataset)))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        rows = self.split.validation
        size = batch_size or max(1, len(rows))
        starts = range(0, len(rows), size)
        chunks = [list(range(start, min(start + size, len(rows)))) for start in starts]
        loader = self._loader(rows, chunks)
        self.plan.testing_data_loader = loader
        self.plan.model().to(self._device).eval()
        for chunk, batch in zip(chunks, loader):
            data, target = _pair(batch)
            yield Batch(self._move(data), self._move(target), len(chunk))

    def predict(self, batch: Batch) -> Prediction:
        with torch.no_grad():
            prediction = self.plan.predict(batch.data)
        return Prediction(_metric_array(batch.target), _metric_array(prediction))

    def testing_step(self, step: Callable[[Any, Any], Any], batch: Batch) -> Any:
        with torch.no_grad():
            return step(batch.data, batch.target)

    def train(self, monitor: Monitor) -> TrainingResult:
        plan, arguments = self.plan, self.arguments
        model, optimizer = plan.model().to(self._device), plan.optimizer()
        loader = preprocess(plan, self._loader(self.split.train, []))
        self._check_loader(loader)
        plan.training_data_loader = loader
        trainable = [tensor for tensor in model.parameters() if tensor.requires_grad]
        mu = float(arguments.get("fedprox_mu") or 0.0)
        received = [tensor.detach().clone() for tensor in trainable] if mu else []
        clip = arguments.get("gradient_clip_norm")
        epoch: dict[str, Iterator[Any]] = {}

        def begin_epoch(order: Order, batches: list[numpy.ndarray]) -> None:
            seed_all(order.seed)
            model.train()
            positions = [batch.tolist() for batch in batches]
            epoch["batches"] = iter(_rebuild(loader, positions))

        def step(number: int, positions: numpy.ndarray) -> float:
            data, target = _pair(next(epoch["batches"]))
            optimizer.zero_grad()
            loss = plan.training_step(self._move(data), self._move(target))
            value = _loss_value(loss)
            if not math.isfinite(value):
                return value
            if mu:
                pairs = zip(trainable, received)
                loss = loss + mu / 2 * sum(((now - before) ** 2).sum() for now, before in pairs)
            torch.autograd.backward(loss)
            if clip:
                torch.nn.utils.clip_grad_norm_(trainable, float(clip))
            optimizer.step()
            return value

        plan_schedule = schedule.Schedule.of(arguments, len(self.split.train))
        result = schedule.run(plan_schedule, monitor, begin_epoch, step)
        self._check_finite()
        return result

    def export(self, trained: bool) -> list[tuple[Spec, Any]]:
        specs = self.shared()
        tensors = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in self._state()
            if name not in self._local
        }
        postprocess = getattr(self.plan, "postprocess", None)
        if trained and callable(postprocess):
            tensors = postprocess(tensors)
        return [(spec, _exported(spec, tensors)) for spec in _same_names(specs, tensors)]

    def export_kept(self) -> list[tuple[Spec, Any]]:
        tensors = dict(self._state())
        return [(spec, _bytes(tensors[spec.name])) for spec in self.kept()]

    def _state(self) -> list[tuple[str, torch.Tensor]]:
        return list(self.plan.model().state_dict().items())

    def _tag(self) -> None:
        """Decides which tensors stay: those the plan tags, and buffers that are not shared."""
        model = self.plan.model()
        buffers = {name for name, _ in model.named_buffers()}
        share_buffers = self.arguments.get("share_persistent_buffers", True)
        for name, tensor in self._state():
            if not isinstance(tensor, torch.Tensor) or tensor.dtype not in DTYPES:
                raise PlanError(f"the model's {name!r} is not a tensor that can travel")
            tags = self.plan.tag_parameters(name) or {}
            persistent = bool(tags.get("persistent"))
            if name in buffers and not share_buffers:
                persistent = True
            if persistent:
                self._persistent.add(name)
            if persistent or tags.get("local"):
                self._local.add(name)

    def _build_optimizer(self) -> torch.optim.Optimizer:
        arguments = self.plan.optimizer_args()
        try:
            optimizer = call_with(self.plan.init_optimizer, "init_optimizer", arguments)
        except TypeError as error:
            for key in arguments:
                if f"unexpected keyword argument '{key}'" in str(error):
                    rule = "not taken by the optimizer"
                    raise ArgumentError(f"optimizer_args.{key}", rule) from error
            raise
        if not isinstance(optimizer, torch.optim.Optimizer):
            kind = type(optimizer).__name__
            raise PlanError(f"init_optimizer returned a {kind}, not a torch optimizer")
        return optimizer

    def _require(self, expected: list[Spec], tensors: Tensors) -> None:
        missing, surplus = differences(expected, tensors)
        if missing or surplus:
            raise MismatchError(missing, surplus)

    def _assign(self, tensors: Tensors) -> None:
        state = dict(self._state())
        for name, (spec, values) in tensors.items():
            state[name] = _tensor(spec, values, state[name].dtype)
        self.plan.model().load_state_dict(state, strict=True)

    def _loader(self, rows: numpy.ndarray, batches: list[list[int]]) -> DataLoader[Any]:
        subset = Subset(self._dataset, rows.tolist())
        return DataLoader(subset, batch_sampler=batches, num_workers=0, collate_fn=self._collate)

    def _check_loader(self, loader: DataLoader[Any]) -> None:
        if check_dataset(loader.dataset) != len(self.split.train):
            raise DataError("preprocessing changed the number of training samples")

    def _move(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(self._device)
        if isinstance(value, dict):
            return {key: self._move(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            items = [self._move(item) for item in value]
            # A named tuple takes its items one by one.
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        kind = type(value).__name__
        raise DataError(f"a batch holds a {kind}; it may hold tensors, lists, tuples and dicts")

    def _check_finite(self) -> None:
        for name, tensor in self._state():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise DivergedError(f"{name} is infinite or not a number after training")


class ArrayDataset:
    """Two arrays as a dataset of float tensors that gives whole batches at once."""

    gives_batches = True

    def __init__(self, data: numpy.ndarray, target: numpy.ndarray):
        self._data = torch.from_numpy(numpy.ascontiguousarray(data, dtype=numpy.float32))
        self._target = torch.from_numpy(numpy.ascontiguousarray(target, dtype=numpy.float32))

    def targets(self) -> numpy.ndarray:
        """The targets of all rows."""
        targets: numpy.ndarray = self._target.numpy()
        return targets

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._data[position], self._target[position]

    def __getitems__(self, positions: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self._data[positions], self._target[positions]


def as_given(batch: Any) -> Any:
    """Collates nothing: the dataset has given a whole batch."""
    return batch


def seed_all(seed: int) -> None:
    """Seeds every generator that a plan may draw from."""
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)
    random.seed(seed)


def _rebuild(loader: DataLoader[Any], batches: list[list[int]]) -> DataLoader[Any]:
    """A loader over the same samples in the node's order, whatever the plan made of the loader."""
    return DataLoader(
        loader.dataset, batch_sampler=batches, num_workers=0, collate_fn=loader.collate_fn
    )


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (list, tuple)) or len(batch) != 2:
        raise DataError("a batch is not a pair of data and target")
    return batch[0], batch[1]


def _loss_value(loss: Any) -> float:
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise PlanError("training_step must return a tensor with one element")
    if not loss.requires_grad:
        raise PlanError("the loss that training_step returned has no gradient")
    return float(loss.detach())


def _metric_array(value: Any) -> numpy.ndarray:
    while isinstance(value, (list, tuple, dict)) and len(value) == 1:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    if isinstance(value, (list, tuple, dict)):
        raise MetricError("truth or prediction is nested: the plan must define testing_step")
    if isinstance(value, torch.Tensor) and value.dtype is torch.bfloat16:
        value = value.float()
    try:
        return as_array(value)
    except (DataError, ValueError) as error:
        raise MetricError("truth or prediction is not an array of numbers") from error


def _spec(name: str, tensor: torch.Tensor) -> Spec:
    return Spec(name, DTYPES[tensor.dtype], tuple(tensor.shape))


def _bytes(tensor: torch.Tensor) -> Any:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy() if flat.numel() else b""


def _tensor(spec: Spec, values: memoryview, dtype: torch.dtype) -> torch.Tensor:
    raw = torch.from_numpy(numpy.frombuffer(values, numpy.uint8).copy())
    return raw.view(dtype).reshape(spec.shape) if len(raw) else torch.empty(spec.shape, dtype=dtype)


def _same_names(specs: list[Spec], tensors: Any) -> list[Spec]:
    if not isinstance(tensors, dict) or set(tensors) != {spec.name for spec in specs}:
        raise ExportError("postprocess must return a dict with the names that it was given")
    return specs


def _exported(spec: Spec, tensors: dict[str, Any]) -> Any:
    tensor = tensors[spec.name]
    if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != spec.shape:
        raise ExportError(f"postprocess changed the shape of {spec.name}")
    if DTYPES.get(tensor.dtype) != spec.dtype:
        raise ExportError(f"postprocess changed the type of {spec.name}")
    return _bytes(tensor)


def warm_up() -> None:
    """Takes one step with one thread, so that nothing is left to import when a round trains.

    One thread only: a pool of threads does not survive a fork, and whoever needs it then hangs.
    """
    torch.set_num_threads(1)
    state = torch.get_rng_state()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    rows: Any = ArrayDataset(numpy.ones((2, 2)), numpy.ones((2, 1)))
    for kind in (torch.optim.SGD, torch.optim.Adam):
        optimizer = kind(model.parameters(), lr=0.1)
        for data, target in DataLoader(rows, batch_sampler=[[0, 1]], collate_fn=as_given):
            optimizer.zero_grad()
            torch.autograd.backward(torch.nn.functional.mse_loss(model(data), target))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    torch.set_rng_state(state)


ENGINE = TorchEngine
"""The engine of this family."""
