"""Runs a plan's source as a module and finds its plan class."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import sys
import types
from typing import Any

from ..plans import FAMILIES
from ..plans.base import TrainingPlan
from ..plans.errors import PlanError

MODULE = "wardround_plan"
"""The name under which a plan's module is known."""

METRIC_LIMIT = 32
"""The most names of metrics that a plan may declare."""


def load_class(source: str, class_name: str, file: str) -> type[TrainingPlan]:
    """Executes a plan's source and returns its class; an empty name means the only plan class."""
    tree = ast.parse(source, filename=file)
    module = types.ModuleType(MODULE)
    module.__file__ = file
    sys.modules[MODULE] = module
    # Tracebacks in the node's log then show the plan's lines, and inspect.getsource works.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    for line in _dependencies(tree, class_name, file):
        exec(compile(line, "<init_dependencies>", "exec"), module.__dict__)
    exec(compile(tree, file, "exec"), module.__dict__)
    return _choose(module, class_name)


def check_metrics(plan_class: type[TrainingPlan]) -> list[str] | None:
    """The names of metrics that a plan declares."""
    declared: Any = plan_class.metrics
    if declared is None:
        return None
    if isinstance(declared, str) or not isinstance(declared, (list, tuple)):
        raise PlanError("metrics must be a tuple or a list of names")
    names = list(declared)
    if len(names) > METRIC_LIMIT or len(set(map(str, names))) != len(names):
        raise PlanError(f"metrics may hold {METRIC_LIMIT} names at most, each once")
    for name in names:
        if not is_metric_name(name):
            raise PlanError(f"{name!r} is not a name of a metric")
    return names


def is_metric_name(name: Any) -> bool:
    """Whether something can be the name of a metric: printable ASCII of 1 to 100 characters."""
    return isinstance(name, str) and 0 < len(name) <= 100 and name.isascii() and name.isprintable()


def _choose(module: types.ModuleType, class_name: str) -> type[TrainingPlan]:
    if class_name:
        chosen = getattr(module, class_name, None)
        if not isinstance(chosen, type) or not issubclass(chosen, TrainingPlan):
            raise PlanError(f"the plan has no plan class {class_name!r}")
        return chosen
    classes = dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))
    own = [kind for kind in classes if issubclass(kind, TrainingPlan) and kind.__module__ == MODULE]
    leaves = [kind for kind in own if not any(kind in other.__mro__[1:] for other in own)]
    if len(leaves) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in leaves)) or "none"
        raise PlanError(f"the plan must name its class: it has {names}")
    return leaves[0]


def _dependencies(tree: ast.Module, class_name: str, file: str) -> list[str]:
    """The import statements of the plan class, and those a plan of its family may count on.

    The class does not exist before its module has run, and the module may need the statements: so
    ``init_dependencies`` is taken out of the source and called alone.
    """
    statements: list[str] = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or class_name not in ("", node.name):
            continue
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        bases |= {base.attr for base in node.bases if isinstance(base, ast.Attribute)}
        methods = [
            item
            for item in node.body
            if isinstance(item, ast.FunctionDef) and item.name == "init_dependencies"
        ]
        statements += _implied(bases & FAMILIES.keys())
        for method in methods:
            statements += _call(method, file)
    return list(dict.fromkeys(statements))


def _implied(families: set[str]) -> list[str]:
    if not families:
        return []
    statements = ["from wardround.plans import DataManager, ProcessTypes", "import numpy as np"]
    statements += [f"from wardround.plans import {name}" for name in sorted(families)]
    if "TorchTrainingPlan" in families:
        statements += [
            "import torch",
            "import torch.nn as nn",
            "import torch.nn.functional as F",
            "from torch.utils.data import DataLoader",
        ]
        if importlib.util.find_spec("torchvision"):
            statements.append("from torchvision import datasets, transforms")
    return statements


def _call(method: ast.FunctionDef, file: str) -> list[str]:
    arguments = method.args
    positional = arguments.posonlyargs + arguments.args
    if len(positional) > 1 or arguments.vararg or arguments.kwonlyargs or arguments.kwarg:
        raise PlanError("init_dependencies may have no parameter but self")
    alone = ast.Module(body=[_undecorated(method)], type_ignores=[])
    namespace: dict[str, Any] = {}
    exec(compile(alone, file, "exec"), namespace)
    result = namespace["init_dependencies"](*([None] * len(positional)))
    if not isinstance(result, (list, tuple)) or any(not isinstance(line, str) for line in result):
        raise PlanError("init_dependencies must return a list or a tuple of import statements")
    for line in result:
        kinds = (ast.Import, ast.ImportFrom)
        if not all(isinstance(statement, kinds) for statement in ast.parse(line).body):
            raise PlanError("init_dependencies holds something that is not an import statement")
    return list(result)


def _undecorated(method: ast.FunctionDef) -> ast.FunctionDef:
    plain = ast.FunctionDef(
        name=method.name,
        args=method.args,
        body=method.body,
        decorator_list=[],
        returns=None,
        type_comment=None,
    )
    if hasattr(method, "type_params"):
        setattr(plain, "type_params", [])  # noqa: B010 - unknown before Python 3.12
    ast.copy_location(plain, method)
    return plain
