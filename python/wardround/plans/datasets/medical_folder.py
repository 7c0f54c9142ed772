"""Medical folders: a folder for each subject, in it one for each modality, in it a NIfTI volume."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from ..data_manager import as_array
from ..errors import DataError
from ..granted import GRANTED
from .framework import tensor
from .nifti import read_nifti

Transform = Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]] | None


class MedicalFolderDataset:
    """The granted subjects as pairs ``((images, demographics), targets)``.

    ``images`` and ``targets`` are dicts from modality to a float tensor with the volume's own axes
    and intensities; ``demographics`` is a float tensor. Subjects that lack one of the modalities
    asked for are left out. ``transform`` and ``target_transform`` are callables, or dicts of
    callables by modality, which they must be where there are several modalities.
    ``demographics_transform`` gets a subject's row as a dict and returns numbers; without it the
    columns that hold only numbers are taken.

    ``root``, ``tabular_file`` and ``index_col`` are only for a researcher's own machine: at a node
    the granted folder and its demographics are read.
    """

    def __init__(
        self,
        root: str | None = None,
        data_modalities: str | Iterable[str] = "T1",
        target_modalities: str | Iterable[str] = "label",
        transform: Transform = None,
        target_transform: Transform = None,
        demographics_transform: Callable[[dict[str, Any]], Any] | None = None,
        tabular_file: str | None = None,
        index_col: str | int | None = None,
    ):
        self.data_modalities = _names(data_modalities)
        self.target_modalities = _names(target_modalities)
        self._transforms = _by_modality(transform, self.data_modalities, "transform")
        self._target_transforms = _by_modality(
            target_transform, self.target_modalities, "target_transform"
        )
        self._demographics_transform = demographics_transform
        grant = GRANTED.grant
        if grant is not None:
            self._root = grant.path
            subjects = _granted_subjects(grant.samples("medical_folder"))
        elif root is not None:
            self._root = root
            subjects = _scan(root, _demographics(tabular_file, index_col))
        else:
            raise DataError("no medical folder is granted: give its root")
        wanted = {*self.data_modalities, *self.target_modalities}
        self._subjects = [entry for entry in subjects if wanted <= entry["images"].keys()]
        if not self._subjects:
            raise DataError("no subject has all the modalities that were asked for")
        self._numeric = _numeric_columns(self._subjects)

    def __len__(self) -> int:
        return len(self._subjects)

    def __getitem__(self, position: int) -> tuple[tuple[dict[str, Any], Any], dict[str, Any]]:
        entry = self._subjects[position]
        images = self._volumes(entry, self.data_modalities, self._transforms)
        targets = self._volumes(entry, self.target_modalities, self._target_transforms)
        return (images, self._numbers(entry["demographics"])), targets

    def demographics(self, position: int) -> dict[str, Any]:
        """A subject's row of the demographics table."""
        return dict(self._subjects[position]["demographics"])

    def _volumes(
        self, entry: dict[str, Any], modalities: list[str], transforms: Mapping[str, Any]
    ) -> dict[str, Any]:
        volumes = {}
        for modality in modalities:
            path = os.path.join(self._root, *entry["images"][modality].split("/"))
            volume = tensor(read_nifti(path))
            volumes[modality] = transforms.get(modality, _same)(volume)
        return volumes

    def _numbers(self, row: dict[str, Any]) -> Any:
        if self._demographics_transform is None:
            values: Any = [_number(row[name]) for name in self._numeric]
        else:
            values = self._demographics_transform(dict(row))
        return tensor(as_array(values).astype(numpy.float32))


def _granted_subjects(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """A manifest's samples, each with its demographics by column; it never names a subject."""
    names = [column["name"] for column in manifest.get("columns", [])]
    return [
        {
            "images": entry["images"],
            "demographics": dict(zip(names, entry.get("demographics", []))),
        }
        for entry in manifest["samples"]
    ]


def _names(modalities: str | Iterable[str]) -> list[str]:
    return [modalities] if isinstance(modalities, str) else list(modalities)


def _by_modality(transform: Transform, modalities: list[str], name: str) -> Mapping[str, Any]:
    if transform is None:
        return {}
    if isinstance(transform, Mapping):
        unknown = set(transform) - set(modalities)
        if unknown:
            raise DataError(f"{name} names modalities that are not asked for: {sorted(unknown)}")
        return transform
    if len(modalities) != 1:
        raise DataError(f"{name} must be a dict where there are several modalities")
    return {modalities[0]: transform}


def _same(volume: Any) -> Any:
    return volume


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _numeric_columns(subjects: list[dict[str, Any]]) -> list[str]:
    columns = list(subjects[0]["demographics"])
    return [
        name
        for name in columns
        if all(isinstance(entry["demographics"].get(name), (int, float)) for entry in subjects)
    ]


def _demographics(path: str | None, index: str | int | None) -> dict[str, dict[str, Any]] | None:
    if path is None:
        return None
    if index is None:
        raise DataError("index_col must name the column with the subjects' folders")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.endswith(".tsv") else ",")
        names = list(reader.fieldnames or [])
        key = names[index] if isinstance(index, int) else index
        if key not in names:
            raise DataError(f"the demographics have no column {key!r}")
        rows: dict[str, dict[str, Any]] = {}
        for row in reader:
            rows.setdefault(row[key], {name: _cell(row[name]) for name in names if name != key})
    return rows


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text or None


def _scan(root: str, rows: dict[str, dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Finds the subjects as a node does; of several volumes in a folder the first by name is
    taken."""
    subjects = []
    for subject in _folders(root):
        if rows is not None and subject not in rows:
            continue
        images = {}
        for modality in _folders(os.path.join(root, subject)):
            files = sorted(os.listdir(os.path.join(root, subject, modality)))
            volumes = [name for name in files if name.endswith((".nii", ".nii.gz"))]
            if volumes:
                images[modality] = f"{subject}/{modality}/{volumes[0]}"
        row = {} if rows is None else rows[subject]
        subjects.append({"images": images, "demographics": row})
    return subjects


def _folders(root: str) -> list[str]:
    names = (entry.name for entry in os.scandir(root) if entry.is_dir())
    return sorted(name for name in names if not name.startswith((".", "_")))
