"""What a preprocessing method is applied to."""

from enum import Enum


class ProcessTypes(Enum):
    """The kinds of preprocessing that :meth:`TrainingPlan.add_preprocess` takes."""

    DATA_LOADER = 0
    """The method gets the training loader and returns a loader of the same type."""

    PARAMS = 1
    """Known for compatibility; such a method is ignored, with a line in the node's log."""
