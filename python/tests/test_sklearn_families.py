"""The families of scikit-learn that are not linear models, and what all families share."""

from __future__ import annotations

import unittest

import numpy
from harness import Node, WorkerTest, needs
from test_sklearn_linear import FEATURES, ROWS, TRAIN, VALIDATION, plan, sigmoid

HEADER = ["a", "b", "c", "d", "y"]


@needs("sklearn")
class SklearnFamiliesTest(WorkerTest):
    def setUp(self) -> None:
        super().setUp()
        random = numpy.random.default_rng(4)
        self.labels = (numpy.arange(ROWS) % 2).astype(float)
        self.data = random.normal(size=(ROWS, FEATURES)) + 2 * self.labels[:, None]
        self.table = self.write_table(
            "table.csv", HEADER, numpy.column_stack([self.data, self.labels])
        )

    def begin(self, node: Node, source: str, model_args: dict, **training: object) -> dict:
        node.instantiate(source)
        made = node.initialise({"n_features": FEATURES, **model_args}, **training)
        self.assertEqual(node.open_table(self.table, ROWS), ROWS)
        node.split(TRAIN, VALIDATION)
        return made

    def test_every_family_does_a_whole_round(self) -> None:
        families = {
            "FedSGDClassifier": {"n_classes": 2, "loss": "modified_huber"},
            "FedSGDRegressor": {},
            "FedPerceptron": {"n_classes": 2},
            "FedPassiveAggressiveClassifier": {"n_classes": 2},
            "FedPassiveAggressiveRegressor": {},
            "FedMLPClassifier": {"n_classes": 2, "hidden_layer_sizes": [5]},
            "FedMLPRegressor": {"hidden_layer_sizes": [5, 3]},
            "FedGaussianNB": {"n_classes": 2},
            "FedMiniBatchKMeans": {"n_clusters": 2},
        }
        for family, model_args in families.items():
            with self.subTest(family), Node() as node:
                made = self.begin(node, plan(family), model_args, epochs=2, log_interval=1)
                initial = node.export()
                declared = [(tensor["name"], tuple(tensor["shape"])) for tensor in made["tensors"]]
                self.assertEqual(declared, [(name, a.shape) for name, a in initial.items()])
                node.load(initial)
                if family == "FedMiniBatchKMeans":
                    self.assertEqual(self.failed(node.validate)["reason"], "metric")
                else:
                    node.validate("global")
                    self.assertEqual(len(node.predictions()[0]), len(VALIDATION))
                trained = node.train()
                self.assertEqual((trained["steps"], trained["samples_trained"]), (10, 80))
                self.assertTrue(trained["optimizer_args"]["kind"])
                update = node.export()
                self.assertEqual(list(update), list(initial))
                moved = [numpy.abs(update[name] - initial[name]).max() for name in update]
                self.assertGreater(max(moved), 0.005)
                self.assertTrue(all(numpy.isfinite(array).all() for array in update.values()))
                self.assertEqual(len(node.scalars), 0 if family == "FedGaussianNB" else 10)

    def test_the_same_round_gives_the_same_bytes(self) -> None:
        for family, model_args in {
            "FedMLPClassifier": {"n_classes": 2},
            "FedMiniBatchKMeans": {"n_clusters": 3},
            "FedSGDClassifier": {"n_classes": 2},
        }.items():
            updates = []
            for validated in (False, True):
                with Node() as node:
                    self.begin(node, plan(family), model_args, epochs=3)
                    if validated and family != "FedMiniBatchKMeans":
                        node.validate()
                    node.train()
                    updates.append([array.tobytes() for array in node.export().values()])
            self.assertEqual(updates[0], updates[1], family)

    def test_a_perceptron_of_layers_agrees_with_numpy(self) -> None:
        arguments = {
            "n_classes": 2, "hidden_layer_sizes": [3], "activation": "tanh", "solver": "sgd",
            "momentum": 0.0, "alpha": 0.1,
        }  # fmt: skip
        rate = 0.1
        with Node() as node:
            self.begin(node, plan("FedMLPClassifier"), arguments, optimizer_args={"lr": rate},
                       log_interval=1)  # fmt: skip
            start = node.export()
            self.assertEqual(
                list(start), ["coefs_.0", "intercepts_.0", "coefs_.1", "intercepts_.1"]
            )
            node.load(start)
            node.train()
            update = node.export()
        first, bias, second, last = (array.copy() for array in start.values())
        losses = []
        for begin in range(0, 40, 8):
            rows = numpy.array(TRAIN)[node.orders[0][begin : begin + 8]]
            data, truth = self.data[rows], self.labels[rows, None]
            hidden = numpy.tanh(data @ first + bias)
            output = sigmoid(hidden @ second + last)
            penalty = 0.1 / 2 * ((first**2).sum() + (second**2).sum()) / 8
            losses.append(
                -numpy.mean(truth * numpy.log(output) + (1 - truth) * numpy.log(1 - output))
                + penalty
            )
            error = output - truth
            back = error @ second.T * (1 - hidden**2)
            slopes = (
                (data.T @ back + 0.1 * first) / 8, back.mean(axis=0),
                (hidden.T @ error + 0.1 * second) / 8, error.mean(axis=0),
            )  # fmt: skip
            first, bias, second, last = (
                value - rate * slope for value, slope in zip((first, bias, second, last), slopes)
            )
        # Double precision on both sides, five steps of sums of at most 8 products: 5 * 8 * 1.1e-16
        # is 4e-15, with a factor of a hundred to spare.
        for array, expected in zip(update.values(), (first, bias, second, last)):
            self.assertLess(numpy.abs(array - expected).max(), 4e-13)
        reported = [scalar["metrics"]["Loss"] for scalar in node.scalars]
        self.assertLess(numpy.abs(numpy.array(reported) - losses).max(), 4e-13)

    def test_a_regression_may_have_several_outputs(self) -> None:
        source = plan("FedMLPRegressor").replace(
            'target_columns="y"', 'input_columns=["a", "b"], target_columns=["c", "d"]'
        )
        with Node() as node:
            self.begin(node, source, {"n_features": 2, "n_outputs": 2, "hidden_layer_sizes": [4]})
            node.train()
            node.validate()
            truth, prediction = node.predictions()
        self.assertEqual((truth.shape, prediction.shape), ((10, 2), (10, 2)))
        self.assertEqual(node.parts[0][2], "number")

    def test_naive_bayes_over_two_nodes_is_that_of_all_rows(self) -> None:
        shares = [list(range(10, 22)), list(range(22, 50))]
        sums: dict[str, numpy.ndarray] = {}
        for share in shares:
            with Node() as node:
                self.begin(node, plan("FedGaussianNB"), {"n_classes": 2})
                node.load(node.export())
                node.split(share, VALIDATION)
                node.train()
                for name, array in node.export().items():
                    sums[name] = sums.get(name, 0) + array * len(share) / 40
        with Node() as node:
            self.begin(node, plan("FedGaussianNB"), {"n_classes": 2})
            node.load(sums)
            node.validate()
            prediction = node.predictions()[1][:, 0]
        from sklearn.naive_bayes import GaussianNB

        reference = GaussianNB().fit(self.data[TRAIN], self.labels[TRAIN])
        expected = reference.predict_proba(self.data[VALIDATION])[:, 1]
        # The variance is a difference of mean squares below 20, so it is off by some 20 * 1.1e-16 *
        # 40 rows = 9e-14 at most; the exponent multiplies this by squared distances below 100.
        self.assertLess(numpy.abs(prediction - expected).max(), 1e-11)
        self.assertGreater(numpy.abs(expected - 0.5).max(), 0.4)

    def test_k_means_finds_the_centres_and_goes_on_where_it_was(self) -> None:
        source = (
            plan("MiniBatchKMeans").replace(
                'DataManager(TabularDataset(target_columns="y"))',
                'DataManager(TabularDataset(target_columns="y").arrays()[0])',
            )
            + """
    def testing_step(self, data, target):
        assert target is None
        return {"inertia": float(self.model().transform(data).min(axis=1).mean())}
"""
        )
        centres = [[-3.0] * 4, [5.0] * 4]
        with Node() as node:
            self.begin(node, source, {"n_clusters": 2, "init": centres}, epochs=5)
            self.assertEqual(node.export()["cluster_centers_"].tolist(), centres)
            before = node.validate()["inertia"]
            node.train()
            update = node.export()
            self.assertLess(node.validate()["inertia"], before)
        self.assertEqual(update["counts_"].sum(), 200)
        found = update["cluster_centers_"].mean(axis=1)
        self.assertLess(abs(found[0]), 0.6)
        self.assertGreater(found[1], 1.4)

    def test_preprocessing_gets_the_training_arrays(self) -> None:
        body = """def __init__(self):
        from wardround.plans import ProcessTypes
        self.add_preprocess(self.scale, ProcessTypes.DATA_LOADER)

    def scale(self, loader):
        assert len(loader) == 5 and loader.get_dataset().shape == (40, 4)
        loader.dataset = loader.dataset * 0
        return loader"""
        with Node() as node:
            self.begin(node, plan("FedSGDRegressor", body), {})
            node.train()
            self.assertEqual(node.export()["coef_"].tolist(), [0.0] * FEATURES)
        with Node() as node:
            body = body.replace("loader.dataset * 0", "loader.dataset[:3]")
            self.begin(node, plan("FedSGDRegressor", body), {})
            self.assertEqual(self.failed(node.train)["reason"], "data")

    @needs("torch")
    def test_torch_datasets_serve_scikit_learn_too(self) -> None:
        source = (
            plan("FedSGDClassifier").replace('TabularDataset(target_columns="y")', "Images()")
            + """

import torch


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 50

    def __getitem__(self, place):
        return torch.full((1, 2, 2), float(place % 2)), place % 2
"""
        )
        with Node() as node:
            self.begin(node, source, {"n_classes": 2}, epochs=3)
            node.train()
            node.validate()
            truth, prediction = node.predictions()
        self.assertEqual(truth.tolist(), prediction.tolist())

    def test_parameters_can_stay_and_be_kept(self) -> None:
        body = (
            "def tag_parameters(self, name):\n        return {'persistent': name == 'intercept_'}"
        )
        source = plan("FedSGDRegressor", body)
        with Node() as node:
            made = self.begin(node, source, {}, optimizer_args={"lr": 0.01})
            self.assertEqual([tensor["name"] for tensor in made["tensors"]], ["coef_"])
            self.assertTrue(made["state"])
            node.load(node.export())
            node.train()
            update, kept = node.export_both()
        self.assertEqual((list(update), list(kept)), (["coef_"], ["intercept_"]))
        self.assertNotEqual(kept["intercept_"].tolist(), [0.0])
        with Node() as node:
            node.instantiate(source)
            node.initialise({"n_features": FEATURES}, state=kept)
            self.assertEqual(
                node.export_both()[1]["intercept_"].tolist(), kept["intercept_"].tolist()
            )

    def test_postprocess_gets_the_parameters(self) -> None:
        body = (
            "def postprocess(self, params):\n        return {k: v * 0 for k, v in params.items()}"
        )
        with Node() as node:
            self.begin(node, plan("FedSGDRegressor", body), {})
            node.train()
            self.assertEqual(numpy.abs(node.export()["coef_"]).max(), 0.0)
        with Node() as node:
            body = "def postprocess(self, params):\n        return {}"
            self.begin(node, plan("FedSGDRegressor", body), {})
            node.train()
            self.assertEqual(self.failed(node.export)["reason"], "export")

    def test_the_default_metric_belongs_to_the_family(self) -> None:
        metrics = {
            "FedSGDClassifier": "ACCURACY", "FedMLPRegressor": "MEAN_SQUARE_ERROR",
            "FedMiniBatchKMeans": None, "FedGaussianNB": "ACCURACY",
        }  # fmt: skip
        for family, metric in metrics.items():
            with self.subTest(family), Node() as node:
                made = node.instantiate(plan(family))
                self.assertEqual((made["family"], made["default_metric"]), ("sklearn", metric))
                self.assertIn("scikit-learn", made["versions"])

    def test_single_samples_are_for_linear_models(self) -> None:
        with Node() as node:
            node.instantiate(plan("FedGaussianNB", "per_sample = True"))
            failed = self.failed(node.initialise, {"n_features": 4, "n_classes": 2})
            self.assertEqual(failed["reason"], "init")


if __name__ == "__main__":
    unittest.main()
