"""Gives arrays to a plan in the form of its framework."""

from __future__ import annotations

import sys
from typing import Any

import numpy

from ..granted import GRANTED


def tensor(array: Any) -> Any:
    """A torch tensor for a torch plan, else the array.

    Outside a round there is no plan to ask; then torch counts as used where it has been imported.
    """
    values = numpy.ascontiguousarray(array)
    family = GRANTED.family or ("torch" if "torch" in sys.modules else "sklearn")
    if family != "torch":
        return values
    return sys.modules["torch"].from_numpy(values)
