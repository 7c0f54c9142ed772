"""Datasets that read what a node has granted."""

from .image_folder import ImageFolderDataset
from .medical_folder import MedicalFolderDataset
from .table import TabularDataset

__all__ = ["ImageFolderDataset", "MedicalFolderDataset", "TabularDataset"]
