"""A logistic regression in torch against the same arithmetic in numpy."""

from __future__ import annotations

import unittest
from pathlib import Path

import numpy
from harness import Node, WorkerTest

PLAN = """
import torch
from torch import nn
from wardround.plans import DataManager, TabularDataset, TorchTrainingPlan


class Logistic(TorchTrainingPlan):
    def init_model(self, model_args):
        return nn.Linear(model_args["features"], 1)

    def init_optimizer(self, optimizer_args):
        return torch.optim.SGD(self.model().parameters(), **optimizer_args)

    def training_data(self):
        return DataManager(TabularDataset(target_columns="y"))

    def training_step(self, data, target):
        return nn.functional.binary_cross_entropy_with_logits(self.model()(data)[:, 0], target)

    def predict(self, data):
        return torch.sigmoid(self.model()(data))
"""

FEATURES = 5
ROWS = 60
TRAIN, VALIDATION = list(range(10, ROWS)), list(range(10))

# Torch computes in single precision (unit roundoff 6e-8) and the reference in double. A step adds
# lr times a mean of products below 10; over the 21 steps of the longest test the roundings add up to
# some 21 * 10 * 6e-8 = 1.3e-5 at the worst.
TOLERANCE = 2e-5


def make_rows(seed: int = 0) -> numpy.ndarray:
    random = numpy.random.default_rng(seed)
    data = random.normal(size=(ROWS, FEATURES))
    labels = (data @ random.normal(size=FEATURES) + 0.3 * random.normal(size=ROWS) > 0) * 1.0
    return numpy.column_stack([data, labels])


def sigmoid(values: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-values))


class Reference:
    """Minibatch gradient descent on the logistic loss."""

    def __init__(self, weight: numpy.ndarray, bias: float, rate: float):
        self.weight, self.bias, self.rate = weight.astype(float), bias, rate
        self.received = (self.weight.copy(), bias)
        self.losses: list[float] = []

    def step(self, data: numpy.ndarray, labels: numpy.ndarray, mu: float, clip: float | None) -> None:
        scores = data @ self.weight + self.bias
        self.losses.append(float(numpy.mean(numpy.logaddexp(0, scores) - labels * scores)))
        error = sigmoid(scores) - labels
        slope = data.T @ error / len(data) + mu * (self.weight - self.received[0])
        bias_slope = error.mean() + mu * (self.bias - self.received[1])
        if clip is not None:
            norm = numpy.sqrt((slope**2).sum() + bias_slope**2)
            factor = min(1.0, clip / (norm + 1e-6))
            slope, bias_slope = slope * factor, bias_slope * factor
        self.weight = self.weight - self.rate * slope
        self.bias -= self.rate * bias_slope


class TorchLogisticTest(WorkerTest):
    def setUp(self) -> None:
        super().setUp()
        self.rows = make_rows()
        header = [f"x{place}" for place in range(FEATURES)] + ["y"]
        self.table = self.write_table("table.csv", header, self.rows)

    def begin(self, node: Node, **training_args: object) -> dict[str, numpy.ndarray]:
        node.instantiate(PLAN)
        training_args.setdefault("optimizer_args", {"lr": 0.5})
        node.initialise({"features": FEATURES}, **training_args)
        random = numpy.random.default_rng(3)
        start = {
            "weight": random.normal(size=(1, FEATURES)).astype(numpy.float32),
            "bias": random.normal(size=1).astype(numpy.float32),
        }
        node.load(start)
        self.assertEqual(node.open_table(self.table, ROWS), ROWS)
        node.split(TRAIN, VALIDATION)
        return start

    def reference(
        self, node: Node, start: dict, batches: list[list[numpy.ndarray]], mu: float = 0.0,
        clip: float | None = None,
    ) -> Reference:  # fmt: skip
        reference = Reference(start["weight"][0], float(start["bias"][0]), 0.5)
        training = self.rows[TRAIN]
        for epoch in batches:
            for positions in epoch:
                rows = training[positions]
                reference.step(rows[:, :-1], rows[:, -1], mu, clip)
        return reference

    def compare(self, node: Node, reference: Reference) -> None:
        update = node.export()
        self.assertEqual(list(update), ["weight", "bias"])
        self.assertLess(numpy.abs(update["weight"][0] - reference.weight).max(), TOLERANCE)
        self.assertLess(abs(update["bias"][0] - reference.bias), TOLERANCE)

    def cut(self, node: Node, size: int = 8) -> list[list[numpy.ndarray]]:
        return [
            [order[start : start + size] for start in range(0, len(order), size)]
            for order in node.orders
        ]

    def test_three_epochs_agree_with_numpy(self) -> None:
        with Node() as node:
            start = self.begin(node, epochs=3, log_interval=2)
            trained = node.train()
            self.assertEqual((trained["steps"], trained["samples_trained"]), (21, 150))
            self.assertEqual(trained["optimizer_args"]["kind"], "SGD")
            self.assertEqual(trained["optimizer_args"]["lr"], 0.5)
            reference = self.reference(node, start, self.cut(node))
            self.compare(node, reference)
        iterations = [(scalar["epoch"], scalar["iteration"]) for scalar in node.scalars]
        expected = [(epoch, number) for epoch in (1, 2, 3) for number in (2, 4, 6, 7)]
        self.assertEqual(iterations, expected)
        places = [7 * (epoch - 1) + number - 1 for epoch, number in expected]
        for scalar, place in zip(node.scalars, places):
            self.assertAlmostEqual(scalar["metrics"]["Loss"], reference.losses[place], delta=1e-5)
        last = node.scalars[-1]
        self.assertEqual(last["total_samples"], 50)
        self.assertEqual(last["batch_samples"], 2)
        self.assertEqual(last["num_batches"], 7)
        self.assertEqual(last["num_samples_trained"], 150)


if __name__ == "__main__":
    unittest.main()
