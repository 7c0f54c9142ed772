"""Turns an exception into what may be said of it: a reason, a class name, a line of the plan.

The text of an exception can hold a patient's data. It goes to standard error, which the node keeps,
and never into a frame.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from typing import Any

from ..plans import errors

_TORCH_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"

LISTED_TENSORS = 100
"""The most tensors that a mismatch lists on either side."""

REASONS: list[tuple[type[errors.PlanError], str]] = [
    (errors.ArgumentError, "arguments"),
    (errors.MismatchError, "mismatch"),
    (errors.NoTrainingSamplesError, "no_training_samples"),
    (errors.DataError, "data"),
    (errors.MetricError, "metric"),
    (errors.DivergedError, "diverged"),
    (errors.ExportError, "export"),
]


def describe(error: BaseException, phase_reason: str, file: str) -> dict[str, Any]:
    """What the protocol says of an error that ended a phase."""
    typed = next((reason for kind, reason in REASONS if isinstance(error, kind)), None)
    failed: dict[str, Any] = {
        "reason": typed or phase_reason,
        "class": "MemoryError" if _is_memory(error) else _class_name(error),
        "line": _last_line(error, file),
    }
    if isinstance(error, errors.ArgumentError):
        failed["key"] = _clean(error.key)
        failed["rule"] = _clean(error.rule)
    if isinstance(error, errors.MismatchError):
        failed["expected"] = error.expected[:LISTED_TENSORS]
        failed["found"] = error.found[:LISTED_TENSORS]
    return failed


def log(error: BaseException) -> None:
    """Writes an error with its traceback to standard error, whatever the plan made of either."""
    with contextlib.suppress(BaseException):
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        stream = sys.__stderr__
        if stream is not None:
            stream.write("".join(lines).encode("utf-8", "backslashreplace").decode())
            stream.flush()


def _is_memory(error: BaseException) -> bool:
    """Whether the system refused to give memory; torch says so only in an error's text."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return type(error) is RuntimeError and _TORCH_ALLOCATOR in str(error)


def _class_name(error: BaseException) -> str:
    name = getattr(type(error), "__name__", "")
    plain = isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= 100
    return name if plain else "Error"


def _last_line(error: BaseException, file: str) -> int | None:
    """The innermost line of the plan's file that led to the error, or to what caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, SyntaxError) and current.filename == file:
            return _line(current.lineno)
        lines = _lines(current, file)
        if lines:
            return _line(lines[-1])
        current = current.__cause__ or current.__context__
    return None


def _line(number: Any) -> int | None:
    return number if type(number) is int and 0 < number < 2**31 else None


def _lines(error: BaseException, file: str) -> list[Any]:
    lines = []
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            lines.append(step.tb_lineno)
        step = step.tb_next
    return lines


def _clean(text: Any) -> str:
    return str(text).encode("ascii", "replace").decode()[:200]
