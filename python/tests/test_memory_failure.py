"""An allocation that the system refuses has one name, whatever a framework calls it."""

from __future__ import annotations

import resource
import unittest
from collections.abc import Callable

import numpy

from wardround.worker import failure

HUGE = 50 << 30


class Refused(unittest.TestCase):
    def setUp(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_DATA, before)

    def test_an_array_that_does_not_fit_is_a_memory_error(self) -> None:
        self.assertEqual(class_of(lambda: numpy.ones(HUGE, dtype="u1")), "MemoryError")
        self.assertEqual(class_of(lambda: bytearray(HUGE)), "MemoryError")

    def test_a_tensor_that_does_not_fit_is_a_memory_error(self) -> None:
        import torch

        self.assertEqual(class_of(lambda: torch.empty(HUGE, dtype=torch.uint8)), "MemoryError")

    def test_another_error_keeps_its_name(self) -> None:
        self.assertEqual(class_of(lambda: fail(RuntimeError("memory"))), "RuntimeError")
        self.assertEqual(class_of(lambda: fail(OSError(2, "not there"))), "FileNotFoundError")
        self.assertEqual(class_of(lambda: fail(OSError(12, "no memory"))), "MemoryError")


def class_of(allocate: Callable[[], object]) -> object:
    try:
        allocate()
    except BaseException as error:
        return failure.describe(error, "training", "plan.py")["class"]
    return None


def fail(error: BaseException) -> None:
    raise error


if __name__ == "__main__":
    unittest.main()
