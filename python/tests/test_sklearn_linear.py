"""Linear models of scikit-learn against the same arithmetic in numpy."""

from __future__ import annotations

import unittest
import warnings

import numpy
from harness import Node, WorkerTest, needs

FEATURES = 4
ROWS = 50
TRAIN, VALIDATION = list(range(10, ROWS)), list(range(10))

# Both sides compute in double precision. They differ in the order of sums of four products and in
# scikit-learn's scaled weights, some units in the last place for each of the 120 single-row steps:
# 120 * 10 * 1.1e-16 = 1.3e-13, with a factor of ten to spare.
TOLERANCE = 2e-12

PLAN = """
from wardround.plans import DataManager, {family}, TabularDataset


class Plan({family}):
    {body}

    def training_data(self):
        return DataManager(TabularDataset(target_columns="y"))
"""


def plan(family: str, body: str = "pass") -> str:
    return PLAN.format(family=family, body=body)


def sigmoid(values: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-values))


@needs("sklearn")
class SklearnLinearTest(WorkerTest):
    def setUp(self) -> None:
        super().setUp()
        random = numpy.random.default_rng(1)
        self.data = random.normal(size=(ROWS, FEATURES))
        self.truth = random.normal(size=FEATURES)
        self.labels = (self.data @ self.truth > 0).astype(float)
        header = ["a", "b", "c", "d", "y"]
        self.header = header
        self.binary = self.write_table(
            "binary.csv", header, numpy.column_stack([self.data, self.labels])
        )

    def begin(
        self, node: Node, source: str, model_args: dict, table: object = None, **training: object
    ) -> dict:
        node.instantiate(source)
        made = node.initialise({"n_features": FEATURES, **model_args}, **training)
        self.assertEqual(node.open_table(table or self.binary, ROWS), ROWS)
        node.split(TRAIN, VALIDATION)
        return made

    def test_a_logistic_regression_agrees_with_numpy(self) -> None:
        rate, alpha = 0.05, 0.01
        arguments = {"n_classes": 2, "loss": "log_loss", "alpha": alpha}
        with Node() as node:
            made = self.begin(
                node, plan("FedSGDClassifier"), arguments, epochs=3, optimizer_args={"lr": rate},
                log_interval=1,
            )  # fmt: skip
            names = [
                (tensor["name"], tensor["shape"], tensor["dtype"]) for tensor in made["tensors"]
            ]
            self.assertEqual(names, [("coef_", [1, 4], "F64"), ("intercept_", [1], "F64")])
            start = {"coef_": numpy.full((1, 4), 0.1), "intercept_": numpy.array([-0.2])}
            node.load(start)
            trained = node.train()
            self.assertEqual((trained["steps"], trained["samples_trained"]), (15, 120))
            update = node.export()
        weight, bias = start["coef_"][0].copy(), -0.2
        losses = []
        for order in node.orders:
            for first in range(0, 40, 8):
                rows = numpy.array(TRAIN)[order[first : first + 8]]
                scores = self.data[rows] @ weight + bias
                losses.append(numpy.mean(numpy.logaddexp(0, scores) - self.labels[rows] * scores))
                for row in rows:
                    error = sigmoid(self.data[row] @ weight + bias) - self.labels[row]
                    weight = weight * (1 - rate * alpha) - rate * error * self.data[row]
                    bias -= rate * error
        self.assertLess(numpy.abs(update["coef_"][0] - weight).max(), TOLERANCE)
        self.assertLess(abs(update["intercept_"][0] - bias), TOLERANCE)
        reported = [scalar["metrics"]["Loss"] for scalar in node.scalars]
        self.assertLess(numpy.abs(numpy.array(reported) - losses).max(), TOLERANCE)

    def test_per_sample_averages_steps_of_single_rows(self) -> None:
        rate = 0.05
        arguments = {"n_classes": 2, "loss": "log_loss", "penalty": None}
        with Node() as node:
            self.begin(
                node, plan("FedSGDClassifier", "per_sample = True"), arguments,
                optimizer_args={"lr": rate},
            )  # fmt: skip
            node.train()
            update = node.export()
        weight, bias = numpy.zeros(FEATURES), 0.0
        for first in range(0, 40, 8):
            rows = numpy.array(TRAIN)[node.orders[0][first : first + 8]]
            error = sigmoid(self.data[rows] @ weight + bias) - self.labels[rows]
            weight = weight - rate * (error[:, None] * self.data[rows]).mean(axis=0)
            bias -= rate * error.mean()
        self.assertLess(numpy.abs(update["coef_"][0] - weight).max(), TOLERANCE)
        self.assertLess(abs(update["intercept_"][0] - bias), TOLERANCE)

    def test_a_regression_agrees_with_numpy(self) -> None:
        rate = 0.01
        target = self.data @ self.truth + 1.0
        table = self.write_table("r.csv", self.header, numpy.column_stack([self.data, target]))
        with Node() as node:
            self.begin(
                node, plan("FedSGDRegressor"), {"penalty": None}, table,
                optimizer_args={"lr": rate},
            )  # fmt: skip
            node.train()
            update = node.export()
            node.validate("local")
            truth, prediction = node.predictions()
        weight, bias = numpy.zeros(FEATURES), 0.0
        for row in numpy.array(TRAIN)[node.orders[0]]:
            error = self.data[row] @ weight + bias - target[row]
            weight, bias = weight - rate * error * self.data[row], bias - rate * error
        self.assertEqual(update["coef_"].shape, (FEATURES,))
        self.assertLess(numpy.abs(update["coef_"] - weight).max(), TOLERANCE)
        self.assertLess(abs(update["intercept_"][0] - bias), TOLERANCE)
        self.assertLess(numpy.abs(truth[:, 0] - target[VALIDATION]).max(), TOLERANCE)
        expected = self.data[VALIDATION] @ weight + bias
        self.assertLess(numpy.abs(prediction[:, 0] - expected).max(), 1e-11)

    def test_the_perceptron_is_that_of_scikit_learn(self) -> None:
        from sklearn.linear_model import Perceptron

        arguments = {"n_classes": 2, "eta0": 1.0, "learning_rate": "constant", "penalty": None}
        with Node() as node:
            self.begin(node, plan("FedPerceptron"), arguments)
            node.train()
            update = node.export()
        reference = Perceptron(shuffle=False)
        rows = numpy.array(TRAIN)[node.orders[0]]
        reference.partial_fit(self.data[rows], self.labels[rows], classes=[0, 1])
        self.assertLess(numpy.abs(update["coef_"] - reference.coef_).max(), TOLERANCE)
        self.assertLess(numpy.abs(update["intercept_"] - reference.intercept_).max(), TOLERANCE)

    def test_the_passive_aggressive_models_agree_with_numpy(self) -> None:
        target = self.data @ self.truth
        table = self.write_table("r.csv", self.header, numpy.column_stack([self.data, target]))
        for family, arguments, path in (
            ("FedPassiveAggressiveClassifier", {"n_classes": 2, "C": 0.1}, self.binary),
            ("FedPassiveAggressiveRegressor", {"C": 0.1, "epsilon": 0.05}, table),
        ):
            with self.subTest(family), Node() as node:
                self.begin(node, plan(family), arguments, path)
                node.train()
                update = node.export()
                weight, bias = numpy.zeros(FEATURES), 0.0
                for row in numpy.array(TRAIN)[node.orders[0]]:
                    sample = numpy.append(self.data[row], 1.0)
                    score = self.data[row] @ weight + bias
                    if "n_classes" in arguments:
                        side = 2 * self.labels[row] - 1
                        loss = max(0.0, 1 - side * score)
                    else:
                        side = numpy.sign(target[row] - score)
                        loss = max(0.0, abs(target[row] - score) - 0.05)
                    # Crammer et al. 2006, PA-I. Scikit-learn leaves the intercept out of the norm.
                    step = side * min(0.1, loss / (sample[:-1] @ sample[:-1]))
                    weight, bias = weight + step * self.data[row], bias + step
                self.assertLess(numpy.abs(update["coef_"].ravel() - weight).max(), TOLERANCE)
                self.assertLess(abs(update["intercept_"][0] - bias), TOLERANCE)

    def test_what_stands_for_the_passive_aggressive_models_gives_the_same(self) -> None:
        from sklearn.linear_model import SGDClassifier, SGDRegressor

        from wardround.worker.families import linear

        for family, stand_in in (
            (linear.PassiveAggressiveClassifierFamily, SGDClassifier),
            (linear.PassiveAggressiveRegressorFamily, SGDRegressor),
        ):
            if family.estimator_class is stand_in:
                continue  # This scikit-learn has only one of the two.
            if "pa1" not in str(stand_in._parameter_constraints["learning_rate"]):
                continue
            results = []
            for chosen in (family.estimator_class, stand_in):
                kind = type("Family", (family,), {"estimator_class": chosen})
                made = kind(
                    {"n_features": FEATURES, "n_classes": 2, "C": 0.2}
                    if family.classifies
                    else {"n_features": FEATURES, "C": 0.2},
                    {},
                    1,
                )
                made.start()
                made.begin()
                made.step(self.data, self.labels.astype(int))
                results.append(made.parameters()["coef_"].ravel().copy())
            self.assertGreater(numpy.abs(results[0]).max(), 0.01)
            self.assertEqual(results[0].tolist(), results[1].tolist())

    def test_three_classes_have_a_row_each(self) -> None:
        directions = numpy.random.default_rng(2).normal(size=(FEATURES, 3))
        labels = (self.data @ directions).argmax(axis=1).astype(float)
        table = self.write_table("t.csv", self.header, numpy.column_stack([self.data, labels]))
        with Node() as node:
            made = self.begin(
                node, plan("FedSGDClassifier"), {"n_classes": 3, "loss": "log_loss"}, table,
                epochs=20, optimizer_args={"lr": 0.05},
            )  # fmt: skip
            self.assertEqual([tensor["shape"] for tensor in made["tensors"]], [[3, 4], [3]])
            node.train()
            node.validate("local")
            truth, scores = node.predictions()
        self.assertEqual(scores.shape, (10, 3))
        self.assertEqual(truth[:, 0].tolist(), labels[VALIDATION].tolist())
        self.assertGreaterEqual((scores.argmax(axis=1) == truth[:, 0]).mean(), 0.7)

    def test_arguments_that_break_a_rule_are_named(self) -> None:
        cases = [
            ("FedSGDClassifier", {"n_classes": 2, "los": "hinge"}, {}, "model_args.los"),
            ("FedSGDClassifier", {}, {}, "model_args.n_classes"),
            ("FedSGDClassifier", {"n_classes": True}, {}, "model_args.n_classes"),
            ("FedSGDClassifier", {"n_classes": 2, "average": True}, {}, "model_args.average"),
            ("FedSGDRegressor", {"n_features": 0}, {}, "model_args.n_features"),
            ("FedSGDRegressor", {}, {"optimizer_args": {"beta": 1}}, "optimizer_args.beta"),
            ("FedSGDRegressor", {}, {"fedprox_mu": 0.1}, "fedprox_mu"),
            ("FedSGDRegressor", {}, {"gradient_clip_norm": 1.0}, "gradient_clip_norm"),
            ("FedMLPRegressor", {"solver": "lbfgs"}, {}, "model_args.solver"),
            (
                "FedPassiveAggressiveRegressor",
                {},
                {"optimizer_args": {"lr": 1}},
                "optimizer_args.lr",
            ),
        ]
        for family, model_args, training, key in cases:
            with self.subTest(key), Node() as node:
                node.instantiate(plan(family))
                arguments = {"n_features": FEATURES, **model_args}
                failed = self.failed(node.initialise, arguments, **training)
                self.assertEqual((failed["reason"], failed["key"]), ("arguments", key))

    def test_a_value_that_the_estimator_refuses_ends_initialise(self) -> None:
        with Node() as node:
            node.instantiate(plan("FedSGDRegressor"))
            failed = self.failed(node.initialise, {"n_features": FEATURES, "alpha": -1.0})
            self.assertEqual(failed["reason"], "init")
            self.assertIn("alpha", node.log())

    def test_data_that_does_not_fit_is_refused(self) -> None:
        cases = [
            ({"n_features": 3, "n_classes": 2}, self.binary),
            ({"n_features": 4, "n_classes": 2}, self.write_table(
                "bad.csv", self.header, numpy.column_stack([self.data, self.labels + 1]))),
        ]  # fmt: skip
        for model_args, table in cases:
            with Node() as node:
                node.instantiate(plan("FedSGDClassifier"))
                node.initialise(model_args)
                failed = self.failed(node.open_table, table, ROWS)
                self.assertEqual(failed["reason"], "data")

    def test_diverging_parameters_end_training_as_diverged(self) -> None:
        targets = {
            # The square of such an error is not finite, so the loss is not.
            "loss": (self.data[:, 0] * 1e200, {"loss": "squared_error"}),
            # Here the loss is finite and the weights are not: scikit-learn refuses to go on.
            "weights": (self.data[:, 0], {"loss": "epsilon_insensitive", "eta0": 1.7e308}),
        }
        for name, (target, model_args) in targets.items():
            table = self.write_table("d.csv", self.header, numpy.column_stack([self.data, target]))
            arguments = {"learning_rate": "constant", "penalty": None, **model_args}
            with self.subTest(name), Node() as node:
                self.begin(node, plan("FedSGDRegressor"), arguments, table)
                self.assertEqual(self.failed(node.train)["reason"], "diverged")


if __name__ == "__main__":
    warnings.simplefilter("default")
    unittest.main()
