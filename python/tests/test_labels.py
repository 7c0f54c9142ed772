"""What a node takes for the classes of samples."""

from __future__ import annotations

import unittest

import numpy

from wardround.worker.labels import labels_of


class Labels(unittest.TestCase):
    def test_whole_numbers_of_one_column_are_classes(self) -> None:
        for targets in ([0, 2, 1], numpy.array([[0.0], [2.0], [1.0]]), [numpy.array([0]), 2, 1.0]):
            found = labels_of(targets, 3)
            assert found is not None
            self.assertEqual(found.tolist(), [0, 2, 1])

    def test_other_targets_are_no_classes(self) -> None:
        nothing = [None, [0.5, 1, 2], [[0, 1], [1, 0], [0, 1]], [float("nan"), 1, 2], [0, 1]]
        for targets in nothing:
            self.assertIsNone(labels_of(targets, 3), targets)


if __name__ == "__main__":
    unittest.main()
