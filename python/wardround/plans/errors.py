"""What a plan, or Wardround on its behalf, can find wrong.

A plan may raise these itself. A node reports an error's class and the line in the plan's file; the
text stays in the node's own log.
"""

from __future__ import annotations


class PlanError(Exception):
    """Something is wrong with a plan or with what it was given."""


class ArgumentError(PlanError):
    """An argument breaks a rule; the round ends with ``arguments.invalid``."""

    def __init__(self, key: str, rule: str):
        super().__init__(f"{key}: {rule}")
        self.key = key
        """The argument as the researcher wrote it, such as ``optimizer_args.momentum``."""
        self.rule = rule
        """The rule that the value breaks."""


class DataError(PlanError):
    """The data cannot be read or does not have the form that was asked for."""


class NoTrainingSamplesError(PlanError):
    """There is not one whole batch to train on."""


class MetricError(PlanError):
    """A metric cannot be computed."""


class DivergedError(PlanError):
    """The loss or a parameter is infinite or not a number."""


class ExportError(PlanError):
    """The parameters after training are not those that were declared."""


class MismatchError(PlanError):
    """Parameters that were received are not those of the model."""

    def __init__(self, expected: list[dict[str, object]], found: list[dict[str, object]]):
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        """Name, shape and dtype of the model's tensors that do not agree."""
        self.found = found
        """Name, shape and dtype of the file's tensors that do not agree."""
