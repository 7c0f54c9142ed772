"""The plan family for PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from .base import TrainingPlan
from .errors import PlanError


class TorchTrainingPlan(TrainingPlan):
    """A plan whose model is a ``torch.nn.Module``.

    ``init_model``, ``training_data`` and ``training_step`` must be defined. ``init_optimizer``,
    ``testing_step``, ``predict``, ``postprocess``, ``tag_parameters`` and ``init_dependencies`` may
    be.
    """

    family = "torch"

    def init_model(self, model_args: dict[str, Any]) -> torch.nn.Module:
        """Builds the model; may also be defined without the parameter."""
        raise PlanError(f"{type(self).__name__} does not define init_model")

    def init_optimizer(self, optimizer_args: dict[str, Any]) -> torch.optim.Optimizer:
        """Builds the optimizer, Adam unless a plan says otherwise; the parameter may be left
        out."""
        return torch.optim.Adam(self.model().parameters(), **optimizer_args)

    def training_step(self, data: Any, target: Any) -> torch.Tensor:
        """Returns the loss of one batch, a tensor with one element that has a gradient."""
        raise PlanError(f"{type(self).__name__} does not define training_step")

    def predict(self, data: Any) -> Any:
        """What metrics compare with the target of a batch: by default the model's output."""
        return self.model()(data)
