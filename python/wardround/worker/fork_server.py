"""Loads a site's libraries once, and forks a confined child for every job.

The server runs inside the first stage of the sandbox: it reads, and writes nothing but scratch
folders. It holds no data and no keys. Descriptor 3 is its only connection, to the warden. A child
puts on the second stage before it reads anything of a plan, so no plan's code runs with the first
stage alone.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import random
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wardround.worker import confine

_CONTROL = 3
_LARGEST = 160 << 10
_DESCRIPTORS = 8

Job = Callable[[socket.socket, str, int], None]


@dataclass(frozen=True)
class _Server:
    control: socket.socket
    job: str
    calls: confine.Filter

    def serve(self) -> None:
        """Fork and reap as the warden orders, until it is gone."""
        while True:
            order, descriptors = _receive(self.control)
            if order is None:
                return
            if order["do"] == "fork":
                self._fork(order, descriptors)
            elif order["do"] == "reap":
                self._reap(order)
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, order: dict[str, Any], descriptors: list[int]) -> None:
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError as error:
            reason = f"the interpreter cannot fork: {error.strerror}"
            self._say({"is": "not_forked", "job": order["job"], "reason": reason})
            return
        if child == 0:
            _be_child(self, order, descriptors, parent)
        self._say({"is": "forked", "job": order["job"], "pid": child})

    def _reap(self, order: dict[str, Any]) -> None:
        _, status, usage = os.wait4(order["pid"], 0)
        processor = round((usage.ru_utime + usage.ru_stime) * 1000)
        self._say(
            {"is": "reaped", "job": order["job"], "status": status, "processor_ms": processor}
        )

    def _say(self, answer: dict[str, Any]) -> None:
        self.control.send(json.dumps(answer).encode())


def main() -> None:
    """Warm up, say so, and serve."""
    control = socket.socket(fileno=_CONTROL)
    control.set_inheritable(False)
    order, _ = _receive(control)
    if order is None:
        return
    sys.path[1:1] = order["path"]
    server = _Server(
        control,
        order["job"],
        confine.Filter(
            bytes.fromhex(order["filter"]),
            order["own_identifiers"],
            order["seccomp_call"],
            order["restrict_call"],
        ),
    )
    try:
        versions = _warm_up(order["warm_up"])
        _function(order["job"])
    except Exception as error:
        traceback.print_exc()
        reason = f"the interpreter cannot load what it must: {type(error).__name__}: {error}"
        server._say({"is": "cold", "reason": reason[:2000]})
        return
    # What exists now is in every child: the collector shall neither look at it nor copy its pages.
    gc.collect()
    gc.freeze()
    server._say({"is": "warm", "versions": versions})
    server.serve()


def _be_child(
    server: _Server, order: dict[str, Any], descriptors: list[int], parent: int
) -> None:
    """Confine this process, do the job, and end; nothing returns to the server's code."""
    status = 1
    try:
        job_socket, stdout, stderr, report, *rules = descriptors
        server.control.close()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        os.setsid()
        scratch = order["scratch"]
        os.chdir(scratch)
        os.environ.update(TMPDIR=scratch, HOME=scratch)
        _forget_temporary_folder()
        _confine(server, order, parent, report, rules[0] if rules else None)
        _set_threads(order["threads"])
        random.seed()
        _function(server.job)(socket.socket(fileno=job_socket), scratch, order["threads"])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)


def _forget_temporary_folder() -> None:
    """Have the folder for temporary files looked up again: the server's own is closed to a job."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None


def _confine(
    server: _Server, order: dict[str, Any], parent: int, report: int, rules: int | None
) -> None:
    channel = socket.socket(fileno=report)
    try:
        confine.limit(order["resources"])
        listener = confine.restrict(parent, rules, server.calls)
    except BaseException as error:
        reason = f"a layer could not be put on: {error}"
        channel.send(json.dumps({"is": "failed", "reason": reason[:2000]}).encode())
        os._exit(1)
    socket.send_fds(channel, [b'{"is":"done"}'], [listener])
    os.close(listener)
    if rules is not None:
        os.close(rules)
    channel.close()


def _receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    data, descriptors, _, _ = socket.recv_fds(control, _LARGEST, _DESCRIPTORS)
    return (json.loads(data) if data else None), list(descriptors)


def _function(name: str) -> Job:
    module, _, function = name.partition(":")
    found: Job = getattr(importlib.import_module(module), function)
    return found


def _warm_up(modules: list[str]) -> dict[str, str]:
    """Load the modules and use them once, with one thread: pools do not survive a fork."""
    versions = {"python": platform.python_version()}
    for name in modules:
        module = importlib.import_module(name)
        versions[name] = str(getattr(module, "__version__", ""))
        use = _USES.get(name) or getattr(module, "warm_up", None)
        if use is not None:
            use()
    _find_pools()
    return versions


def _use_torch() -> None:
    import torch

    torch.set_num_threads(1)
    # A real step: the optimizers load most of their modules only then.
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.nn.functional.mse_loss(model(torch.zeros(2, 4)), torch.zeros(2, 1))
    loss.backward()
    optimizer.step()
    torch.optim.Adam(model.parameters()).step()
    convolution = torch.nn.Conv2d(1, 2, 3)
    convolution(torch.zeros(1, 1, 6, 6)).sum().backward()


def _use_sklearn() -> None:
    import numpy
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.linear_model import SGDClassifier

    rows = numpy.zeros((4, 2))
    rows[:, 0] = [0, 1, 0, 1]
    SGDClassifier().partial_fit(rows, [0, 1, 0, 1], classes=[0, 1])
    # It looks for libraries with threads of their own, which a child could not find.
    MiniBatchKMeans(n_clusters=2).partial_fit(rows)


def _set_threads(threads: int) -> None:
    """Give the libraries that are loaded the number of threads that was granted."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    for pools in _pools:
        pools.limit(limits=threads)


def _find_pools() -> None:
    """Find the libraries with threads of their own, which cannot be looked for in a sandbox."""
    pools = sys.modules.get("threadpoolctl")
    if pools is not None:
        _pools.append(pools.ThreadpoolController())


_pools: list[Any] = []
_USES: dict[str, Callable[[], None]] = {"torch": _use_torch, "sklearn": _use_sklearn}
