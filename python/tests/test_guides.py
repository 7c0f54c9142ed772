"""Runs the examples of the guides, and the example plans on the shares of three hospitals."""

from __future__ import annotations

import csv
import re
import unittest
from pathlib import Path

import numpy
import test_datasets
from harness import Node, WorkerTest, needs

ROOT = Path(__file__).resolve().parents[2]
CANCER = ROOT / "examples" / "breast-cancer"
EXAMPLE = re.compile(r"<!-- example: ([^>]*) -->\n```python\n(.*?)```", re.DOTALL)


def examples(guide: str) -> list[tuple[str, dict[str, str], str]]:
    """The examples of a guide: what kind of data each runs on, its arguments and its text."""
    text = (ROOT / "docs" / "guides" / guide).read_text(encoding="utf-8")
    found = []
    for head, source in EXAMPLE.findall(text):
        kind, *pairs = head.split(", ")
        found.append((kind, dict(pair.split(" ") for pair in pairs), source))
    assert text.count("```python") == len(found), "an example of a guide is not run"
    return found


def model_arguments(settings: dict[str, str]) -> dict[str, int | str]:
    """An example's model arguments among its settings."""
    return {
        key: int(value) if value.isdigit() else value
        for key, value in settings.items()
        if key not in ("epochs", "lr", "accuracy")
    }


@needs("sklearn", "torch")
class GuidesTest(WorkerTest):
    def open(self, node: Node, kind: str) -> int:
        if kind == "table":
            rows = len((CANCER / "north.csv").read_text().splitlines()) - 1
            return node.open_table(CANCER / "north.csv", rows)
        if kind == "medical":
            return node.open_data(
                "medical_folder", self.folder, 13, test_datasets.MedicalTest.make_folder(self)
            )
        random = numpy.random.default_rng(0)
        samples = []
        for number in range(12):
            name = f"{'ab'[number % 2]}/{number:02}.png"
            (self.folder / name).parent.mkdir(exist_ok=True)
            pixels = random.integers(0, 256, (9, 9, 3)).astype(numpy.uint8)
            test_datasets.write_png(self.folder / name, pixels)
            samples.append({"path": name, "class": number % 2})
        manifest = {"kind": "image_folder", "classes": ["a", "b"], "samples": samples}
        return node.open_data("image_folder", self.folder, 12, manifest)

    def test_every_example_does_a_whole_round(self) -> None:
        all_examples = examples("python-plans.md") + examples("from-fedbiomed.md")
        self.assertGreaterEqual(len(all_examples), 7)
        for kind, settings, source in all_examples:
            with self.subTest(source[:400]), Node() as node:
                node.instantiate(source)
                model_args = model_arguments(settings)
                node.initialise(
                    model_args, epochs=int(settings["epochs"]),
                    optimizer_args={"lr": float(settings["lr"])},
                )  # fmt: skip
                initial = node.export()
                node.load(initial)
                count = self.open(node, kind)
                cut = count - count // 4
                node.split(list(range(cut)), list(range(cut, count)))
                node.validate("global")
                self.assertGreater(node.train()["steps"], 0)
                values = node.validate("local")
                if not values:
                    truth, prediction = node.predictions()
                    self.assertEqual(len(truth), count - cut)
                    accuracy = float(((prediction > 0.5) == truth).mean())
                    self.assertGreaterEqual(accuracy, float(settings.get("accuracy", 0)))
                update = node.export()
                moved = [numpy.abs(update[name] - initial[name]).max() for name in update]
                self.assertGreater(max(moved), 0)


@needs("sklearn", "torch")
class ExamplesTest(WorkerTest):
    HOSPITALS = ("north", "south", "east")

    def federate(self, source: str, model_args: dict, rounds: int) -> tuple[float, dict]:
        """Trains over three hospitals and gives the hold-out's accuracy and the parameters."""
        parameters: dict[str, numpy.ndarray] = {}
        with Node() as node:
            node.instantiate(source)
            node.initialise(model_args)
            parameters = node.export()
        for _ in range(rounds):
            updates, weights = [], []
            for hospital in self.HOSPITALS:
                with Node() as node:
                    self.begin(node, source, model_args, parameters, hospital)
                    node.train()
                    updates.append(node.export())
                    weights.append(node.training)
            parameters = {
                name: sum(
                    update[name].astype(float) * weight for update, weight in zip(updates, weights)
                ).astype(parameters[name].dtype) / sum(weights)
                for name in parameters
            }  # fmt: skip
            parameters = {
                name: array.astype(updates[0][name].dtype) for name, array in parameters.items()
            }
        with Node() as node:
            count = self.begin(node, source, model_args, parameters, "hold-out")
            node.split([], list(range(count)))
            node.validate()
            truth, prediction = node.predictions()
        return float(((prediction > 0.5) == truth).mean()), parameters

    def begin(
        self, node: Node, source: str, model_args: dict, parameters: dict, hospital: str
    ) -> int:
        node.instantiate(source)
        loader = {"batch_size": 32, "shuffle": True, "drop_last": False}
        node.initialise(model_args, loader_args=loader, optimizer_args={"lr": 0.05})
        node.load(parameters)
        path = CANCER / f"{hospital}.csv"
        with open(path, newline="") as file:
            count = len(list(csv.DictReader(file)))
        self.assertEqual(node.open_table(path, count), count)
        node.split(list(range(count)), [])
        return count

    def test_both_frameworks_learn_the_diagnosis_over_three_hospitals(self) -> None:
        folder = ROOT / "examples" / "python"
        torch_plan = (folder / "torch_logistic.py").read_text(encoding="utf-8")
        sklearn_plan = (folder / "sklearn_logistic.py").read_text(encoding="utf-8")
        accuracy, _ = self.federate(torch_plan, {}, 8)
        self.assertGreater(accuracy, 0.95)
        arguments = {"n_features": 30, "n_classes": 2, "loss": "log_loss"}
        accuracy, _ = self.federate(sklearn_plan, arguments, 3)
        self.assertGreater(accuracy, 0.95)

    def test_both_frameworks_take_the_same_step_from_the_same_start(self) -> None:
        folder = ROOT / "examples" / "python"
        updates = []
        for name, model_args, per_sample in (
            ("torch_logistic.py", {}, ""),
            (
                "sklearn_logistic.py",
                {"n_features": 30, "n_classes": 2, "loss": "log_loss", "penalty": None},
                "    per_sample = True\n",
            ),
        ):
            source = (folder / name).read_text(encoding="utf-8")
            source = source.replace("    metrics =", per_sample + "    metrics =")
            with Node() as node:
                node.instantiate(source)
                node.initialise(model_args)
                start = node.export()
            with Node() as node:
                self.begin(node, source, model_args, start, "north")
                node.train()
                updates.append(list(node.export().values()))
        # The mean of the rows' steps is the step with the mean gradient. Torch computes in single
        # precision: 7 steps of 0.05 times means of values below 10, each rounded by 6e-8 relative
        # over sums of 30 products, 7 * 0.05 * 10 * 30 * 6e-8 = 6e-6.
        for single, double in zip(*updates):
            self.assertLess(numpy.abs(single - double).max(), 6e-6)
            self.assertGreater(numpy.abs(double).max(), 0.01)


if __name__ == "__main__":
    unittest.main()
