"""A node's end of the job protocol, for tests: the real worker in a forked process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import textwrap
import threading
import traceback
import unittest
from pathlib import Path
from typing import Any

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from wardround import safetensors  # noqa: E402
from wardround.worker import job  # noqa: E402

LOADED = job.preload(["torch", "sklearn"])
"""The frameworks that are installed, imported once: the workers are forked as a node forks them.

Nothing in this process may compute with several threads, or the forked workers could hang.
"""

for absent in {"torch", "sklearn"} - set(LOADED):
    print(f"LEFT OUT: every test that needs {absent}, which is not installed", file=sys.stderr)

TIMEOUT = 120.0
"""Seconds that a test waits for one frame; a hang becomes a failure."""

DEFAULTS: dict[str, Any] = {
    "epochs": 1,
    "batch_maxnum": None,
    "dry_run": False,
    "log_interval": 10,
    "fedprox_mu": None,
    "use_gpu": False,
    "random_seed": None,
    "share_persistent_buffers": True,
    "gradient_clip_norm": None,
    "test_ratio": 0.25,
    "test_on_local_updates": True,
    "test_on_global_updates": True,
    "test_metric": None,
    "test_metric_args": {},
    "test_batch_size": 0,
    "stratify": False,
    "shuffle_testing_dataset": False,
    "loader_args": {"batch_size": 8, "shuffle": True, "drop_last": False},
    "optimizer_args": {},
    "dp_args": None,
}

FORBIDDEN = (
    "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "os.listxattr", "os.remove",
    "os.rename", "os.symlink", "os.link", "os.chmod", "socket.__new__", "socket.bind",
    "socket.connect", "pty.", "pickle.find_class",
)  # fmt: skip
"""Events of the interpreter that a worker of ours never causes."""

TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip


class Failed(Exception):
    """The worker answered that a phase failed."""

    def __init__(self, failed: dict[str, Any], log: str):
        super().__init__(f"{json.dumps(failed)}\n{log}")
        self.failed = failed


class Node:
    """A node that runs one round with a worker in another process."""

    def __init__(self, threads: int = 1, watched: bool = False):
        self.watched = watched
        self.scratch = tempfile.mkdtemp(prefix="wardround-test-")
        ours, theirs = socket.socketpair()
        self.output = tempfile.TemporaryFile()
        self.child = os.fork()
        if self.child == 0:
            self._become_worker(ours, theirs, threads)
        theirs.close()
        ours.settimeout(TIMEOUT)
        self.socket = ours
        self.number = 0
        self.scalars: list[dict[str, Any]] = []
        self.parts: list[tuple[numpy.ndarray, numpy.ndarray, str]] = []
        self.orders: list[numpy.ndarray] = []
        self.labels: list[int] = []
        self.training = 0
        self.shuffle = True

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.output.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        os.waitpid(self.child, 0)

    def _become_worker(self, ours: socket.socket, theirs: socket.socket, threads: int) -> None:
        status = 1
        try:
            ours.close()
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            signal.alarm(int(2 * TIMEOUT))
            if self.watched:
                sys.addaudithook(self._watch)
                threading.Thread.start = _refuse_thread
            job.serve(theirs, self.scratch, threads)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuses what the sandbox refuses, as far as the interpreter tells."""
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event}{arguments!r}")
        if event == "open" and isinstance(arguments[0], str):
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if path.startswith("/proc/") or (writes and not path.startswith(self.scratch)):
                raise PermissionError(f"open{arguments!r}")

    def log(self) -> str:
        """What the worker has written to its standard streams."""
        # Not seek: the worker writes at the same offset.
        return os.pread(self.output.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def request(
        self, do: str, payload: bytes = b"", descriptors: tuple[int, ...] = (), **keys: Any
    ) -> dict[str, Any]:
        """Sends a request and answers the worker until it has its outcome."""
        self.number += 1
        self._send({"id": self.number, "do": do, **keys}, payload, descriptors)
        while True:
            header, body = self._receive()
            assert header["id"] == self.number, header
            if "ok" in header:
                return header["ok"]
            if "failed" in header:
                raise Failed(header["failed"], self.log())
            if "scalar" in header:
                self.scalars.append(header["scalar"])
            elif "part" in header:
                self._take_part(header["part"], body)
            elif "labels" in header:
                assert len(body) == 8 * header["labels"]["rows"]
                self.labels.extend(numpy.frombuffer(body, "<i8").tolist())
            else:
                self._send_order(header["order"]["epoch"])

    def instantiate(self, source: str, class_name: str = "") -> dict[str, Any]:
        text = textwrap.dedent(source).encode()
        return self.request("instantiate", text, **{"class": class_name, "file": "plan.py"})

    def initialise(
        self,
        model_args: dict[str, Any] | None = None,
        state: dict[str, numpy.ndarray] | None = None,
        seed: int = 7,
        **training_args: Any,
    ) -> dict[str, Any]:
        arguments = {**DEFAULTS, **training_args}
        self.shuffle = arguments["loader_args"]["shuffle"]
        keys = {"seed": str(seed), "gpu": arguments["use_gpu"], "mode": "train"}
        descriptors = () if state is None else (write(state),)
        return self.request(
            "initialise", b"", descriptors, model_args=model_args or {}, training_args=arguments,
            local_state=state is not None, **keys,
        )  # fmt: skip

    def load(self, tensors: dict[str, numpy.ndarray]) -> dict[str, Any]:
        descriptor = write(tensors)
        try:
            return self.request("load", b"", (descriptor,))
        finally:
            os.close(descriptor)

    def open_table(self, path: str | Path, rows: int) -> int:
        return self.open_data("table", path, rows)

    def open_data(
        self,
        kind: str,
        path: str | Path,
        rows: int,
        manifest: dict[str, Any] | None = None,
        labels: bool = False,
    ) -> int:
        name = None
        if manifest is not None:
            name = os.path.join(self.scratch, "manifest.json")
            Path(name).write_text(json.dumps(manifest), encoding="utf-8")
        return self.request(
            "open_data", kind=kind, path=str(path), columns=[], rows=rows, loading_plan=None,
            manifest=name, labels=labels,
        )["samples"]  # fmt: skip

    def split(self, train: list[int], validation: list[int]) -> dict[str, Any]:
        self.training = len(train)
        descriptor = indices([*train, *validation])
        try:
            return self.request(
                "split", b"", (descriptor,), train=len(train), validation=len(validation)
            )
        finally:
            os.close(descriptor)

    def validate(self, which: str = "global", batch_size: int = 0) -> dict[str, float]:
        self.parts = []
        return self.request(
            "validate", which=which, metric=None, metric_args={}, batch_size=batch_size
        )["values"]

    def predictions(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The truth and the prediction of the last validation."""
        truths, predictions, _ = zip(*self.parts)
        return numpy.concatenate(truths), numpy.concatenate(predictions)

    def train(self) -> dict[str, Any]:
        self.orders = []
        return self.request("train")

    def export(self, state: bool = False) -> dict[str, numpy.ndarray]:
        return self.export_both(state)[0]

    def export_both(
        self, state: bool = True
    ) -> tuple[dict[str, numpy.ndarray], dict[str, numpy.ndarray]]:
        descriptors = tuple(os.memfd_create(name) for name in ("update", "state")[: 1 + state])
        ok = self.request("export", b"", descriptors, state=state)
        assert ok["size"] == os.fstat(descriptors[0]).st_size
        update, kept = read(descriptors[0]), {}
        if state:
            assert ok["state_size"] == os.fstat(descriptors[1]).st_size
            kept = read(descriptors[1])
        for descriptor in descriptors:
            os.close(descriptor)
        return update, kept

    def _send(self, header: dict[str, Any], payload: bytes, descriptors: tuple[int, ...]) -> None:
        text = json.dumps(header).encode()
        prefix = struct.pack("<IQ", len(text), len(payload))
        if descriptors:
            socket.send_fds(self.socket, [prefix], list(descriptors))
        else:
            self.socket.sendall(prefix)
        self.socket.sendall(text + payload)

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        header_length, payload_length = struct.unpack("<IQ", self._exactly(12))
        return json.loads(self._exactly(header_length)), self._exactly(payload_length)

    def _exactly(self, count: int) -> bytes:
        chunks = b""
        while len(chunks) < count:
            chunk = self.socket.recv(count - len(chunks))
            if not chunk:
                raise AssertionError(f"the worker ended:\n{self.log()}")
            chunks += chunk
        return chunks

    def _take_part(self, part: dict[str, Any], body: bytes) -> None:
        rows, columns = part["rows"], part["prediction"]["columns"]
        values = numpy.frombuffer(body, "<f8")
        cut = rows * part["truth"]["columns"]
        assert len(values) == cut + rows * columns
        truth = values[:cut].reshape(rows, -1)
        self.parts.append((truth, values[cut:].reshape(rows, columns), part["truth"]["kind"]))

    def _send_order(self, epoch: int) -> None:
        """Draws an order as a node does: from a seed, anew for each epoch."""
        positions = numpy.arange(self.training)
        if self.shuffle:
            positions = numpy.random.default_rng(100 + epoch).permutation(self.training)
        self.orders.append(positions)
        header = {"id": self.number, "order": {"epoch": epoch}, "seed": str(1000 + epoch)}
        descriptor = indices(positions)
        self._send(header, b"", (descriptor,))
        os.close(descriptor)


def _refuse_thread(thread: threading.Thread) -> None:
    raise PermissionError("a thread")


def indices(positions: Any) -> int:
    """Puts indices into a descriptor."""
    descriptor = os.memfd_create("indices")
    os.write(descriptor, numpy.asarray(positions, "<u8").tobytes())
    return descriptor


def write(tensors: dict[str, numpy.ndarray]) -> int:
    """Puts tensors into a descriptor."""
    names = {numpy.dtype(kind): name for name, kind in TYPES.items()}
    descriptor = os.memfd_create("parameters")
    safetensors.write(
        descriptor,
        [
            (safetensors.Spec(name, names[array.dtype], array.shape), array.tobytes())
            for name, array in tensors.items()
        ],
    )
    return descriptor


def read(descriptor: int) -> dict[str, numpy.ndarray]:
    """Takes tensors out of a descriptor."""
    return {
        name: numpy.frombuffer(values, TYPES[spec.dtype]).reshape(spec.shape).copy()
        for name, (spec, values) in safetensors.read(descriptor).items()
    }


def needs(*families: str) -> Any:
    """Leaves a test out, and says so, where a framework is not installed."""
    absent = [family for family in families if family not in LOADED]
    return unittest.skipIf(absent, f"LEFT OUT: {', '.join(absent)} is not installed")


class WorkerTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write_table(self, name: str, header: list[str], rows: numpy.ndarray) -> Path:
        path = self.folder / name
        lines = [",".join(header), *(",".join(repr(float(cell)) for cell in row) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def failed(self, action: Any, *arguments: Any, **keys: Any) -> dict[str, Any]:
        """The failure that an action ends with."""
        with self.assertRaises(Failed) as caught:
            action(*arguments, **keys)
        return caught.exception.failed
