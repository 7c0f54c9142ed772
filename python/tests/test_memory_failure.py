"""An allocation that the system refuses has one name, whatever a framework calls it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import pytest

from wardround.worker import failure

HUGE = 50 << 30


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def _class_of(allocate: Callable[[], object]) -> object:
    try:
        allocate()
    except BaseException as error:
        return failure.describe(error, "training", "plan.py")["class"]
    return None


def test_an_array_that_does_not_fit_is_a_memory_error() -> None:
    numpy = pytest.importorskip("numpy")
    assert _class_of(lambda: numpy.ones(HUGE, dtype="u1")) == "MemoryError"
    assert _class_of(lambda: bytearray(HUGE)) == "MemoryError"


def test_a_tensor_that_does_not_fit_is_a_memory_error() -> None:
    torch = pytest.importorskip("torch")
    assert _class_of(lambda: torch.empty(HUGE, dtype=torch.uint8)) == "MemoryError"


def test_another_error_keeps_its_name() -> None:
    def fail(error: BaseException) -> None:
        raise error

    assert _class_of(lambda: fail(RuntimeError("memory"))) == "RuntimeError"
    assert _class_of(lambda: fail(OSError(2, "not there"))) == "FileNotFoundError"
    assert _class_of(lambda: fail(OSError(12, "no memory"))) == "MemoryError"
