"""The worker's side of one round: answers the node's requests until the node closes the socket.

The process is confined before it comes here. It starts no process and no thread, opens no socket,
and writes to nothing but its scratch folder, its standard streams and the descriptors it is given.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import mmap
import os
import platform
import socket
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy

from .. import safetensors
from ..plans.base import TrainingPlan
from ..plans.errors import MismatchError
from ..plans.granted import GRANTED, Grant
from . import failure, validation
from .engine import Circumstances, Engine, Monitor, Order, Scalar, Split
from .frames import Connection, Frame, ProtocolError
from .labels import labels_of
from .module import check_metrics, load_class

PACKAGES = {"torch": "torch", "sklearn": "scikit-learn", "numpy": "numpy"}
"""What is reported with its version, by the name it is imported under."""

IMAGES = ("PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin")
"""What the dataset of images uses where it is installed."""

LABELS = 1 << 20
"""The labels of one frame."""

REASONS = {
    "instantiate": "not_loadable",
    "initialise": "init",
    "load": "mismatch",
    "open_data": "data",
    "split": "data",
    "validate": "metric",
    "train": "training",
    "export": "export",
}
"""The requests, and the reason of a failure that has no other."""


def serve(job_socket: socket.socket, scratch: str, threads: int) -> None:
    """Answers the requests of one round until the node closes the socket.

    ``scratch`` is the only folder that may be written, and ``threads`` how many threads a framework
    may compute with.
    """
    os.environ["TMPDIR"] = scratch
    connection = Connection(job_socket)
    job = Job(connection, threads)
    while True:
        frame = connection.receive()
        if frame is None:
            return
        job.answer(frame)


def preload(families: list[str]) -> list[str]:
    """Imports the families that are installed, and takes a first step with each; for the fork
    server.

    A process that is forked afterwards has nothing left to import. Returns the families that are
    there.
    """
    loaded = []
    for family in families:
        try:
            engine = importlib.import_module(_engine_module(family))
        except ImportError:
            continue
        engine.warm_up()
        loaded.append(family)
    for module in IMAGES:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    return loaded


def warm_up() -> None:
    """Preloads the families whose frameworks are loaded; the fork server calls it when this module
    is in its list, after the frameworks that it was told."""
    preload([family for family in ("torch", "sklearn") if family in sys.modules])


class Job:
    """One round."""

    def __init__(self, connection: Connection, threads: int):
        self._connection = connection
        self._threads = threads
        self._file = "plan.py"
        self._engine: Engine | None = None
        self._metrics: list[str] | None = None
        self._samples = 0
        self._trained = False

    def answer(self, frame: Frame) -> None:
        """Performs one request and sends its answer."""
        number, name = frame.header.get("id"), str(frame.header.get("do"))
        try:
            done = self._perform(name)(frame)
            _flush()
            self._connection.send({"id": number, "ok": done})
        except BaseException as error:  # noqa: BLE001 - a plan may raise SystemExit
            failure.log(error)
            reason = "defect" if isinstance(error, ProtocolError) else REASONS.get(name, "defect")
            failed = failure.describe(error, reason, self._file)
            _flush()
            self._connection.send({"id": number, "failed": failed})
        finally:
            for descriptor in frame.descriptors:
                os.close(descriptor)

    def _perform(self, name: str) -> Callable[[Frame], dict[str, Any]]:
        requests: dict[str, Callable[[Frame], dict[str, Any]]] = {
            "instantiate": self._instantiate,
            "initialise": self._initialise,
            "load": self._load,
            "open_data": self._open_data,
            "split": self._split,
            "validate": self._validate,
            "train": self._train,
            "export": self._export,
        }
        if name not in requests:
            raise ProtocolError(f"{name} is not a request")
        return requests[name]

    def _instantiate(self, frame: Frame) -> dict[str, Any]:
        self._file = str(frame.header.get("file") or "plan.py")
        source = frame.payload.decode("utf-8")
        plan_class = load_class(source, str(frame.header.get("class") or ""), self._file)
        self._metrics = check_metrics(plan_class)
        self._engine = _make_engine(plan_class())
        GRANTED.family = self._engine.family
        return {
            "family": self._engine.family,
            "metrics": self._metrics,
            "default_metric": self._engine.default_metric(),
            "python": platform.python_version(),
            "versions": _versions(),
        }

    def _initialise(self, frame: Frame) -> dict[str, Any]:
        engine, header = self._ready(), frame.header
        engine.arguments = dict(header["training_args"])
        engine.plan.post_init(header["model_args"], header["training_args"])
        seed = int(header["seed"])
        engine.initialise(Circumstances(seed, bool(header["gpu"]), self._threads))
        if header.get("local_state") and frame.descriptors:
            engine.restore(safetensors.read(frame.descriptors[0]))
        return {
            "tensors": [spec.describe() for spec in engine.shared()],
            "optimizer_args": engine.optimizer_args(),
            "state": bool(engine.kept()),
            "device": engine.device(),
        }

    def _load(self, frame: Frame) -> dict[str, Any]:
        try:
            tensors = safetensors.read(_descriptor(frame, 0))
        except safetensors.FormatError as error:
            raise MismatchError([spec.describe() for spec in self._ready().shared()], []) from error
        self._ready().load(tensors)
        return {}

    def _open_data(self, frame: Frame) -> dict[str, Any]:
        engine, header = self._ready(), frame.header
        GRANTED.grant = Grant(
            kind=header["kind"],
            path=header["path"],
            rows=int(header["rows"]),
            manifest=header.get("manifest"),
            columns=list(header.get("columns") or []),
            loading_plan=header.get("loading_plan"),
        )
        engine.plan.set_dataset_path(header["path"])
        self._samples = int(engine.open_data())
        if header.get("labels"):
            self._send_labels(frame.header["id"], engine)
        return {"samples": self._samples}

    def _send_labels(self, number: int, engine: Engine) -> None:
        """Tells the node the class of each sample, where the plan's targets are classes."""
        labels = labels_of(engine.targets(), self._samples)
        if labels is None:
            return
        for start in range(0, len(labels), LABELS):
            part = labels[start : start + LABELS]
            self._connection.send({"id": number, "labels": {"rows": len(part)}}, part.tobytes())

    def _split(self, frame: Frame) -> dict[str, Any]:
        train, validation_count = int(frame.header["train"]), int(frame.header["validation"])
        rows = _indices(frame)
        if len(rows) != train + validation_count or (rows >= max(self._samples, 1)).any():
            raise ProtocolError("the split does not fit the samples")
        rows = rows.astype(numpy.int64)
        self._ready().apply_split(Split(rows[:train], rows[train:]))
        return {}

    def _validate(self, frame: Frame) -> dict[str, Any]:
        engine = self._ready()
        size = int(frame.header.get("batch_size") or 0)
        number = frame.header["id"]
        if validation.has_testing_step(engine.plan):
            return {"values": validation.test(engine, size, self._metrics)}
        for header, payload in validation.parts(validation.predict(engine, size)):
            self._connection.send({"id": number, "part": header}, payload)
        return {"values": {}}

    def _train(self, frame: Frame) -> dict[str, Any]:
        engine = self._ready()
        result = engine.train(_NodeMonitor(self._connection, frame.header["id"], engine))
        self._trained = True
        return {
            "steps": result.steps,
            "samples_trained": result.samples_trained,
            "optimizer_args": engine.optimizer_args(),
        }

    def _export(self, frame: Frame) -> dict[str, Any]:
        engine = self._ready()
        size = safetensors.write(_descriptor(frame, 0), engine.export(self._trained))
        state_size = 0
        if frame.header.get("state"):
            state_size = safetensors.write(_descriptor(frame, 1), engine.export_kept())
        return {"size": size, "state_size": state_size}

    def _ready(self) -> Engine:
        if self._engine is None:
            raise ProtocolError("no plan has been instantiated")
        return self._engine


class _NodeMonitor(Monitor):
    """Asks the node for orders and sends it scalars."""

    def __init__(self, connection: Connection, number: int, engine: Engine):
        self._connection = connection
        self._number = number
        self._engine = engine

    def order(self, epoch: int) -> Order:
        self._connection.send({"id": self._number, "order": {"epoch": epoch}})
        frame = self._connection.receive()
        if frame is None or frame.header.get("order") != {"epoch": epoch}:
            raise ProtocolError(f"the node did not answer with the order of epoch {epoch}")
        positions = _indices(frame).astype(numpy.int64)
        for descriptor in frame.descriptors:
            os.close(descriptor)
        count = len(self._engine.split.train)
        if not numpy.array_equal(numpy.sort(positions), numpy.arange(count)):
            raise ProtocolError("the node's order is not one of all training rows")
        return Order(positions, int(frame.header["seed"]))

    def report(self, scalar: Scalar) -> None:
        self._connection.send({"id": self._number, "scalar": vars(scalar)})


def _make_engine(plan: TrainingPlan) -> Engine:
    family = getattr(plan, "family", None)
    engine_class = importlib.import_module(_engine_module(str(family))).ENGINE
    engine: Engine = engine_class(plan)
    return engine


def _engine_module(family: str) -> str:
    if family not in ("torch", "sklearn"):
        raise ImportError(f"there is no family {family!r}")
    return f"{__package__}.{family}_engine"


@functools.cache
def _versions() -> dict[str, str]:
    return {
        package: metadata.version(package)
        for name, package in PACKAGES.items()
        if name in sys.modules
    }


def _indices(frame: Frame) -> numpy.ndarray:
    """The indices in the memory that came with a frame, 64 bits each."""
    descriptor = _descriptor(frame, 0)
    size = os.fstat(descriptor).st_size
    if size == 0:
        return numpy.empty(0, "<u8")
    return numpy.frombuffer(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ), "<u8")


def _descriptor(frame: Frame, position: int) -> int:
    if position >= len(frame.descriptors):
        raise ProtocolError("a descriptor is missing")
    return frame.descriptors[position]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001, S110 - a plan may have replaced or closed it
            pass
