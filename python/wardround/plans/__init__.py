"""What a training plan needs to import.

The torch and the scikit-learn families are imported when they are first asked for, so that a plan
of one framework works where the other is not installed.
"""

from __future__ import annotations

import importlib
from typing import Any

from .data_manager import DataManager
from .datasets import ImageFolderDataset, MedicalFolderDataset, TabularDataset
from .errors import (
    ArgumentError,
    DataError,
    DivergedError,
    ExportError,
    MetricError,
    MismatchError,
    NoTrainingSamplesError,
    PlanError,
)
from .process_types import ProcessTypes

FAMILIES = {
    "TorchTrainingPlan": "torch_plan",
    "SklearnTrainingPlan": "sklearn_plan",
    "FedSGDClassifier": "sklearn_plan",
    "FedSGDRegressor": "sklearn_plan",
    "FedPerceptron": "sklearn_plan",
    "FedPassiveAggressiveClassifier": "sklearn_plan",
    "FedPassiveAggressiveRegressor": "sklearn_plan",
    "FedMLPClassifier": "sklearn_plan",
    "FedMLPRegressor": "sklearn_plan",
    "FedGaussianNB": "sklearn_plan",
    "FedMiniBatchKMeans": "sklearn_plan",
    "MiniBatchKMeans": "sklearn_plan",
}
"""The plan classes by name, and the module that defines each."""

__all__ = [
    "ArgumentError",
    "DataError",
    "DataManager",
    "DivergedError",
    "ExportError",
    "ImageFolderDataset",
    "MedicalFolderDataset",
    "MetricError",
    "MismatchError",
    "NoTrainingSamplesError",
    "PlanError",
    "ProcessTypes",
    "TabularDataset",
    "FAMILIES",
    *FAMILIES,
]


def __getattr__(name: str) -> Any:
    if name not in FAMILIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{FAMILIES[name]}"), name)
