"""The losses of scikit-learn's linear models, which the estimators compute and do not tell."""

from __future__ import annotations

import numpy


def classification_loss(name: str, scores: numpy.ndarray, target: numpy.ndarray) -> float | None:
    """The mean loss over rows, and over one-against-the-rest models where there are several."""
    columns = scores.shape[1]
    positive = target[:, None] == (numpy.ones(1) if columns == 1 else numpy.arange(columns))
    margin = scores * numpy.where(positive, 1.0, -1.0)
    if name == "hinge":
        values = numpy.maximum(0.0, 1.0 - margin)
    elif name == "squared_hinge":
        values = numpy.maximum(0.0, 1.0 - margin) ** 2
    elif name == "perceptron":
        values = numpy.maximum(0.0, -margin)
    elif name == "log_loss":
        values = numpy.logaddexp(0.0, -margin)
    elif name == "modified_huber":
        values = numpy.where(margin < -1.0, -4.0 * margin, numpy.maximum(0.0, 1.0 - margin) ** 2)
    else:
        return None
    return float(values.mean())


def regression_loss(
    name: str, scores: numpy.ndarray, target: numpy.ndarray, epsilon: float
) -> float | None:
    """The mean loss over rows."""
    error = numpy.abs(scores - target)
    if name == "squared_error":
        values = 0.5 * error**2
    elif name == "huber":
        values = numpy.where(error <= epsilon, 0.5 * error**2, epsilon * (error - 0.5 * epsilon))
    elif name == "epsilon_insensitive":
        values = numpy.maximum(0.0, error - epsilon)
    elif name == "squared_epsilon_insensitive":
        values = numpy.maximum(0.0, error - epsilon) ** 2
    else:
        return None
    return float(values.mean())
