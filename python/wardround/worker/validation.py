"""Validates: predictions for the node's metrics, or the plan's own ``testing_step``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy

from ..plans.base import TrainingPlan
from ..plans.data_manager import as_array
from ..plans.errors import MetricError
from .engine import Engine, Prediction
from .module import METRIC_LIMIT, is_metric_name

PART_LIMIT = 8 << 20
"""The most bytes of one part's payload."""

Part = tuple[dict[str, Any], bytes]


def has_testing_step(plan: TrainingPlan) -> bool:
    """Whether the plan measures by itself."""
    return callable(getattr(plan, "testing_step", None))


def predict(engine: Engine, batch_size: int) -> Prediction:
    """Predicts the whole validation subset."""
    truths, predictions = [], []
    for batch in engine.batches(batch_size):
        result = engine.predict(batch)
        truths.append(_matrix(result.truth, batch.rows, "the truth"))
        predictions.append(_matrix(result.prediction, batch.rows, "the prediction"))
    if not truths:
        raise MetricError("there is no row to validate on")
    return Prediction(_join(truths), _join(predictions))


def parts(whole: Prediction) -> Iterator[Part]:
    """Cuts a prediction into parts that fit into frames."""
    truth_columns, columns = whole.truth.shape[1], whole.prediction.shape[1]
    rows = PART_LIMIT // (8 * max(1, truth_columns + columns))
    if rows == 0:
        raise MetricError("a row's prediction is too wide: the plan must define testing_step")
    label = truth_columns == 1 and bool((whole.truth == numpy.round(whole.truth)).all())
    for start in range(0, len(whole.truth), rows):
        truth = whole.truth[start : start + rows]
        prediction = whole.prediction[start : start + rows]
        header = {
            "rows": len(truth),
            "truth": {"columns": truth_columns, "kind": "label" if label else "number"},
            "prediction": {"columns": columns},
        }
        yield header, truth.astype("<f8").tobytes() + prediction.astype("<f8").tobytes()


def test(engine: Engine, batch_size: int, declared: list[str] | None) -> dict[str, float]:
    """Runs the plan's ``testing_step`` over the whole validation subset.

    With several batches each value is the mean over them, weighted with their rows.
    """
    totals: dict[str, float] = {}
    rows = 0
    step = engine.plan.testing_step  # type: ignore[attr-defined]
    for batch in engine.batches(batch_size):
        values = _named(engine.testing_step(step, batch), declared)
        if rows and values.keys() != totals.keys():
            raise MetricError("testing_step returned other names than for the first batch")
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + value * batch.rows
        rows += batch.rows
    if not rows:
        raise MetricError("there is no row to validate on")
    return {name: total / rows for name, total in totals.items()}


def _named(result: Any, declared: list[str] | None) -> dict[str, float]:
    if isinstance(result, dict):
        named = dict(result)
    elif isinstance(result, (list, tuple)) or (_is_array(result) and as_array(result).size != 1):
        values = list(result) if isinstance(result, (list, tuple)) else as_array(result).ravel()
        named = dict(zip(_list_names(len(values), declared), values))
    else:
        named = {declared[0] if declared and len(declared) == 1 else "Custom": result}
    if len(named) > METRIC_LIMIT:
        raise MetricError(f"testing_step returned {len(named)} values")
    for name in named:
        if not is_metric_name(name):
            raise MetricError("testing_step returned a name that is not printable ASCII")
    return {name: _number(name, value) for name, value in named.items()}


def _list_names(count: int, declared: list[str] | None) -> list[str]:
    if declared and len(declared) == count:
        return declared
    return [f"Custom_{position}" for position in range(1, count + 1)]


def _number(name: str, value: Any) -> float:
    if isinstance(value, (bool, str, bytes)) or value is None:
        raise MetricError(f"testing_step returned a {type(value).__name__} for {name}")
    try:
        number = float(as_array(value).reshape(()) if _is_array(value) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetricError(f"testing_step returned no number for {name}") from error
    if not math.isfinite(number):
        raise MetricError(f"testing_step returned {number} for {name}")
    return number


def _is_array(value: Any) -> bool:
    return isinstance(value, numpy.ndarray) or hasattr(value, "detach")


def _matrix(values: numpy.ndarray, rows: int, what: str) -> numpy.ndarray:
    array = numpy.asarray(values)
    if array.ndim == 0:
        array = array.reshape(1)
    # (rows, 1, …, 1) and (1, rows) are columns to whoever wrote the model.
    array = array.reshape(len(array), -1) if array.size == len(array) else array
    if array.ndim > 2:
        raise MetricError(f"{what} has {array.ndim} dimensions: the plan must define testing_step")
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if len(array) != rows:
        raise MetricError(f"{what} has {len(array)} rows for {rows} samples")
    return array.astype(numpy.float64)


def _join(matrices: list[numpy.ndarray]) -> numpy.ndarray:
    if len({matrix.shape[1] for matrix in matrices}) != 1:
        raise MetricError("the batches' predictions differ in width")
    return numpy.concatenate(matrices)
