"""A logistic regression in torch against the same arithmetic in numpy."""

from __future__ import annotations

import unittest

import numpy
from harness import Node, WorkerTest, needs

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
# lr times a mean of products below 10; over the 21 steps of the longest test the roundings add up
# to some 21 * 10 * 6e-8 = 1.3e-5 at the worst.
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

    def step(
        self, data: numpy.ndarray, labels: numpy.ndarray, mu: float, clip: float | None
    ) -> None:
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


@needs("torch")
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

    def test_fedprox_pulls_towards_the_received_parameters(self) -> None:
        for mu in (0.0, 1.5):
            with self.subTest(mu), Node() as node:
                start = self.begin(node, epochs=3, fedprox_mu=mu)
                node.train()
                self.compare(node, self.reference(node, start, self.cut(node), mu=mu))

    def test_the_gradient_is_clipped_to_its_norm(self) -> None:
        with Node() as node:
            start = self.begin(node, epochs=2, gradient_clip_norm=0.05)
            node.train()
            reference = self.reference(node, start, self.cut(node), clip=0.05)
            self.compare(node, reference)
        free = self.reference(node, start, self.cut(node))
        self.assertGreater(numpy.abs(free.weight - reference.weight).max(), 0.1)

    def test_the_length_of_training_is_what_was_asked_for(self) -> None:
        # 50 rows in batches of 8: seven batches an epoch, the last of two rows.
        cases = [
            ({"epochs": 2, "batch_maxnum": 3}, 6, 48, [(1, 3), (2, 3)]),
            ({"epochs": 1, "dry_run": True}, 1, 8, [(1, 1)]),
            ({"epochs": None, "num_updates": 9}, 9, 66, [(1, 7), (2, 2)]),
            ({"epochs": 0}, 0, 0, []),
            ({"epochs": None, "num_updates": 3, "dry_run": True}, 1, 8, [(1, 1)]),
        ]
        for arguments, steps, samples, scalars in cases:
            with self.subTest(arguments), Node() as node:
                self.begin(node, log_interval=100, **arguments)
                trained = node.train()
                self.assertEqual((trained["steps"], trained["samples_trained"]), (steps, samples))
                seen = [(scalar["epoch"], scalar["iteration"]) for scalar in node.scalars]
                self.assertEqual(seen, scalars)

    def test_a_last_batch_that_is_not_full_can_be_dropped(self) -> None:
        loader = {"batch_size": 8, "shuffle": False, "drop_last": True}
        with Node() as node:
            start = self.begin(node, loader_args=loader)
            self.assertEqual(node.train()["samples_trained"], 48)
            batches = [epoch[:6] for epoch in self.cut(node)]
            self.compare(node, self.reference(node, start, batches))
        loader = {"batch_size": 51, "shuffle": False, "drop_last": True}
        with Node() as node:
            self.begin(node, loader_args=loader)
            self.assertEqual(self.failed(node.train)["reason"], "no_training_samples")

    def test_no_epoch_returns_the_received_bytes(self) -> None:
        with Node() as node:
            start = self.begin(node, epochs=0)
            node.train()
            update = node.export()
        for name, array in start.items():
            self.assertEqual(update[name].tobytes(), array.tobytes())

    def test_validation_sends_the_whole_subset_whatever_the_batch_size(self) -> None:
        with Node() as node:
            start = self.begin(node)
            seen = []
            for size in (0, 3):
                self.assertEqual(node.validate("global", size), {})
                seen.append(node.predictions())
                self.assertEqual(node.parts[0][2], "label")
        rows = self.rows[VALIDATION]
        expected = sigmoid(rows[:, :-1] @ start["weight"][0] + start["bias"][0])
        for truth, prediction in seen:
            self.assertEqual(truth[:, 0].tolist(), rows[:, -1].tolist())
            self.assertLess(numpy.abs(prediction[:, 0] - expected).max(), 1e-6)

    def test_validating_before_changes_nothing_of_the_training(self) -> None:
        updates = []
        for validated in (False, True):
            with Node() as node:
                self.begin(node, epochs=2)
                if validated:
                    node.validate("global")
                node.train()
                updates.append({name: array.tobytes() for name, array in node.export().items()})
        self.assertEqual(updates[0], updates[1])

    def test_parameters_of_another_model_are_refused_with_both_sides(self) -> None:
        weight = numpy.zeros((1, FEATURES), numpy.float32)
        bias = numpy.zeros(1, numpy.float32)
        wrong = {
            "shape": {"weight": weight.T.copy(), "bias": bias},
            "dtype": {"weight": weight.astype(numpy.float64), "bias": bias},
            "missing": {"weight": weight},
            "surplus": {"weight": weight, "bias": bias, "extra": bias},
        }
        for name, tensors in wrong.items():
            with self.subTest(name), Node() as node:
                node.instantiate(PLAN)
                node.initialise({"features": FEATURES})
                failed = self.failed(node.load, tensors)
                self.assertEqual(failed["reason"], "mismatch")
                sides = {entry["name"] for entry in failed["expected"] + failed["found"]}
                culprit = {"missing": "bias", "surplus": "extra"}.get(name, "weight")
                self.assertEqual(sides, {culprit})

    def test_an_optimizer_argument_that_is_not_taken_is_named(self) -> None:
        with Node() as node:
            node.instantiate(PLAN)
            failed = self.failed(
                node.initialise, {"features": FEATURES}, optimizer_args={"lr": 0.1, "beta": 2}
            )
        self.assertEqual(failed["reason"], "arguments")
        self.assertEqual(failed["key"], "optimizer_args.beta")

    def test_the_seed_decides_the_first_parameters(self) -> None:
        made = []
        for seed in (7, 7, 2**64 - 1):
            with Node() as node:
                node.instantiate(PLAN)
                node.initialise({"features": FEATURES}, seed=seed)
                made.append(node.export()["weight"].tobytes())
        self.assertEqual(made[0], made[1])
        self.assertNotEqual(made[0], made[2])


if __name__ == "__main__":
    unittest.main()
