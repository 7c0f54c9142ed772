"""Whole rounds while what the sandbox refuses raises an error."""

from __future__ import annotations

import unittest

import test_guides
import test_sklearn_families
import test_sklearn_linear
from harness import Node, WorkerTest, needs


class ConfinedTest(WorkerTest):
    def check(self, node: Node, validate: bool = True) -> None:
        """Everything that follows open_data."""
        node.load(node.export())
        if validate:
            node.validate("global")
        node.train()
        node.export()
        self.assertNotIn("Traceback", node.log())

    @needs("sklearn")
    def test_every_family_of_scikit_learn_keeps_to_itself(self) -> None:
        case = test_sklearn_families.SklearnFamiliesTest("setUp")
        case.setUp()
        self.addCleanup(case.doCleanups)
        for family, model_args in {
            "FedSGDClassifier": {"n_classes": 3, "loss": "log_loss", "n_jobs": 2},
            "FedSGDRegressor": {},
            "FedPassiveAggressiveClassifier": {"n_classes": 2, "n_jobs": 2},
            "FedMLPClassifier": {"n_classes": 2},
            "FedGaussianNB": {"n_classes": 2},
            "FedMiniBatchKMeans": {"n_clusters": 2},
        }.items():
            with self.subTest(family), Node(threads=2, watched=True) as node:
                case.begin(node, test_sklearn_linear.plan(family), model_args)
                self.check(node, family != "FedMiniBatchKMeans")

    @needs("torch", "sklearn")
    def test_the_examples_of_the_guide_keep_to_themselves(self) -> None:
        case = test_guides.GuidesTest("setUp")
        case.setUp()
        self.addCleanup(case.doCleanups)
        for kind, settings, source in test_guides.examples("python-plans.md"):
            with self.subTest(source[:300]), Node(threads=2, watched=True) as node:
                node.instantiate(source)
                model_args = test_guides.model_arguments(settings)
                node.initialise(model_args, optimizer_args={"lr": float(settings["lr"])})
                count = case.open(node, kind)
                node.split(list(range(count - 4)), list(range(count - 4, count)))
                self.check(node)

    @needs("torch")
    def test_what_the_sandbox_refuses_is_refused_here(self) -> None:
        from test_torch_plans import simple

        for text in (
            "import subprocess; subprocess.run(['true'])",
            "import threading; threading.Thread(target=print).start()",
            "import socket; socket.socket()",
            "open('/tmp/wardround-probe', 'w')",
            "open('/proc/self/maps')",
        ):
            with self.subTest(text), Node(watched=True) as node:
                node.instantiate(simple(step=text))
                node.initialise()
                node.open_data("table", "/nowhere", 24)
                node.split(list(range(16)), list(range(16, 24)))
                failed = self.failed(node.train)
                self.assertEqual(
                    (failed["reason"], failed["class"]), ("training", "PermissionError")
                )


if __name__ == "__main__":
    unittest.main()
