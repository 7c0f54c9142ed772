"""What a node has granted to the round that this process runs.

The worker fills it in before it calls a plan's ``training_data``; the dataset helpers read it. On a
researcher's own machine nothing is granted, and the helpers read the path that they are given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .errors import DataError


@dataclass(frozen=True)
class Grant:
    """A dataset that may be read."""

    kind: str
    """``table``, ``image_folder`` or ``medical_folder``."""

    path: str
    """The CSV file or the folder."""

    rows: int
    """How many rows, images or subjects the node counts."""

    manifest: str | None = None
    """A folder's list of samples, a JSON file."""

    columns: list[str] = field(default_factory=list)
    """A table's columns that the experiment asked for; empty means all that may be read."""

    loading_plan: Any = None
    """The data loading plan that the node has applied already, for those who want to know."""

    def samples(self, kind: str) -> dict[str, Any]:
        """Reads the manifest of a folder of that kind."""
        if self.kind != kind or self.manifest is None:
            raise DataError(f"the granted dataset is of kind {self.kind}, not {kind}")
        with open(self.manifest, encoding="utf-8") as file:
            manifest: dict[str, Any] = json.load(file)
        return manifest


class Granted:
    """Holds the one grant of this process."""

    def __init__(self) -> None:
        self.grant: Grant | None = None
        self.family: str | None = None
        """The family of the plan that runs here, ``torch`` or ``sklearn``; none outside a round."""


GRANTED = Granted()
"""This process's grant."""
