"""What torch plans may look like and do."""

from __future__ import annotations

import unittest

import numpy
from harness import Node, WorkerTest, needs

ROWS = 24
TRAIN, VALIDATION = list(range(16)), list(range(16, 24))

HEAD = """
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from wardround.plans import DataManager, ProcessTypes, TorchTrainingPlan
"""

SIMPLE = (
    HEAD
    + """
class Plan(TorchTrainingPlan):
    {attributes}

    def init_model(self):
        return {model}

    def init_optimizer(self):
        return torch.optim.SGD(self.model().parameters(), lr=0.1)

    def training_data(self):
        random = np.random.default_rng(5)
        return DataManager(random.normal(size=(24, 3)), target=random.normal(size=24))

    def training_step(self, data, target):
        {step}
        return ((self.model()(data)[:, 0] - target) ** 2).mean()

{methods}
"""
)


def simple(
    model: str = "nn.Linear(3, 1)", step: str = "pass", methods: str = "", attributes: str = "pass"
) -> str:
    lines = "\n".join("    " + line for line in methods.splitlines())
    return SIMPLE.format(model=model, step=step, methods=lines, attributes=attributes)


@needs("torch")
class TorchPlansTest(WorkerTest):
    def begin(self, node: Node, source: str, **training: object) -> dict:
        node.instantiate(source)
        made = node.initialise(**training)
        self.assertEqual(node.open_data("table", "/nowhere", ROWS), ROWS)
        node.split(TRAIN, VALIDATION)
        return made

    def test_buffers_travel_or_stay(self) -> None:
        source = simple("nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))")
        buffers = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
        with Node() as node:
            made = self.begin(node, source)
            self.assertTrue(buffers <= {tensor["name"] for tensor in made["tensors"]})
            self.assertFalse(made["state"])
            tracked = next(t for t in made["tensors"] if t["name"] == "1.num_batches_tracked")
            self.assertEqual((tracked["dtype"], tracked["shape"]), ("I64", []))
            node.load(node.export())
            node.train()
            self.assertEqual(node.export()["1.num_batches_tracked"], 2)
        with Node() as node:
            made = self.begin(node, source, share_persistent_buffers=False)
            names = {tensor["name"] for tensor in made["tensors"]}
            self.assertFalse(buffers & names)
            self.assertTrue(made["state"])
            node.train()
            update, kept = node.export_both()
            self.assertEqual((set(update), set(kept)), (names, buffers))
            self.assertEqual(kept["1.num_batches_tracked"], 2)
        with Node() as node:
            node.instantiate(source)
            node.initialise(state=kept, share_persistent_buffers=False)
            again = node.export_both()[1]
        for name, array in kept.items():
            self.assertEqual(again[name].tobytes(), array.tobytes())

    def test_local_parameters_stay_and_persistent_ones_are_kept(self) -> None:
        source = simple(
            "nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1))",
            methods=(
                "def tag_parameters(self, name):\n"
                "    return {'local': name.startswith('0.'), 'persistent': name == '1.bias'}"
            ),
        )
        with Node() as node:
            made = self.begin(node, source)
            shared = [tensor["name"] for tensor in made["tensors"]]
            self.assertEqual(shared, ["1.weight", "2.weight", "2.bias"])
            node.load(node.export())
            node.train()
            update, kept = node.export_both()
        self.assertEqual(list(update), shared)
        self.assertEqual(list(kept), ["1.bias"])

    def test_fedprox_leaves_frozen_parameters_alone(self) -> None:
        source = simple(
            "nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))",
            methods="def post_init(self, model_args, training_args):\n"
            "    super().post_init(model_args, training_args)",
        ).replace(
            "return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))",
            "model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))\n"
            "        model[0].requires_grad_(False)\n"
            "        return model",
        )
        with Node() as node:
            self.begin(node, source, fedprox_mu=2.0)
            before = node.export()
            node.train()
            after = node.export()
        self.assertEqual(before["0.weight"].tobytes(), after["0.weight"].tobytes())
        self.assertNotEqual(before["1.weight"].tobytes(), after["1.weight"].tobytes())

    def test_nested_batches_reach_the_plan_as_they_are(self) -> None:
        source = (
            HEAD
            + """
class Pairs(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, place):
        image = torch.full((2,), float(place))
        data = {"image": image, "more": [torch.tensor(float(place)), (torch.ones(1), 2)]}
        return data, {"mask": image * 2}


class Plan(TorchTrainingPlan):
    def init_model(self):
        return nn.Linear(2, 2)

    def training_data(self):
        return DataManager(Pairs(), batch_size=3, shuffle=True, num_workers=4)

    def training_step(self, data, target):
        assert isinstance(data["more"], list) and isinstance(data["more"][1], (tuple, list))
        assert data["image"].shape == target["mask"].shape == (8, 2), data["image"].shape
        assert data["more"][1][1].tolist() == [2] * 8
        return ((self.model()(data["image"]) - target["mask"]) ** 2).mean()

    def testing_step(self, data, target):
        return float((target["mask"] - 2 * data["image"]).abs().max())
"""
        )
        with Node() as node:
            self.begin(node, source)
            self.assertEqual(node.train()["steps"], 2)
            self.assertEqual(node.validate("local"), {"Custom": 0.0})
            self.assertEqual(node.parts, [])

    def test_a_batch_with_texts_is_refused(self) -> None:
        source = (
            simple().replace(
                "return DataManager(random.normal(size=(24, 3)), target=random.normal(size=24))",
                "return DataManager(Texts())",
            )
            + """
class Texts(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, place):
        return "text", torch.zeros(1)
"""
        )
        with Node() as node:
            self.begin(node, source)
            self.assertEqual(self.failed(node.train)["reason"], "data")

    def test_preprocessing_changes_the_training_rows(self) -> None:
        source = simple(
            step="assert float(data.abs().max()) == 0.0",
            methods=(
                "def __init__(self):\n"
                "    self.add_preprocess(self.erase, ProcessTypes.DATA_LOADER)\n\n"
                "def erase(self, loader):\n"
                "    loader.dataset.dataset._data.zero_()\n"
                "    return loader"
            ),
        )
        with Node() as node:
            self.begin(node, source)
            self.assertEqual(node.train()["steps"], 2)
        with Node() as node:
            self.begin(node, source.replace("return loader", "return [1]"))
            self.assertEqual(self.failed(node.train)["reason"], "data")

    def test_a_preprocessing_that_returns_its_own_loader_keeps_the_nodes_order(self) -> None:
        source = simple(
            step="self.seen = getattr(self, 'seen', []) + data[:, 0].tolist()",
            methods=(
                "def __init__(self):\n"
                "    self.add_preprocess(self.replace, ProcessTypes.DATA_LOADER)\n\n"
                "def replace(self, loader):\n"
                "    from torch.utils.data import DataLoader\n"
                "    return DataLoader(loader.dataset, batch_size=1, num_workers=3,\n"
                "                      collate_fn=loader.collate_fn)\n\n"
                "def postprocess(self, parameters):\n"
                "    parameters['weight'][0, :2] = torch.tensor([self.seen[0], self.seen[-1]])\n"
                "    return parameters"
            ),
        )
        with Node() as node:
            self.begin(node, source)
            self.assertEqual(node.train()["steps"], 2)
            weight = node.export()["weight"]
        data = numpy.random.default_rng(5).normal(size=(24, 3)).astype(numpy.float32)
        order = node.orders[0]
        self.assertEqual(weight[0, :2].tolist(), data[order[[0, -1]], 0].tolist())

    def test_values_of_testing_step_are_weighted_over_the_batches(self) -> None:
        source = simple(
            methods=(
                "def testing_step(self, data, target):\n"
                "    return {'rows': float(len(data)), 'mean': target.mean()}"
            ),
            attributes="metrics = ('rows', 'mean')",
        )
        target = numpy.random.default_rng(5)
        target.normal(size=(24, 3))
        truth = target.normal(size=24)[VALIDATION]
        with Node() as node:
            self.assertEqual(node.instantiate(source)["metrics"], ["rows", "mean"])
            node.initialise()
            node.open_data("table", "/nowhere", ROWS)
            node.split(TRAIN, VALIDATION)
            whole = node.validate()
            cut = node.validate(batch_size=3)
        self.assertEqual(whole["rows"], 8.0)
        self.assertAlmostEqual(cut["rows"], (3 * 3 + 3 * 3 + 2 * 2) / 8)
        # Means in single precision, of values below 3.
        self.assertAlmostEqual(whole["mean"], truth.mean(), delta=1e-6)
        self.assertAlmostEqual(cut["mean"], truth.mean(), delta=1e-6)

    def test_testing_step_may_return_what_fed_biomeds_may(self) -> None:
        cases = {
            "1.5": {"Custom": 1.5},
            "np.float64(2)": {"Custom": 2.0},
            "torch.tensor(3)": {"Custom": 3.0},
            "[1, torch.tensor([2.0])]": {"Custom_1": 1.0, "Custom_2": 2.0},
            "np.array([1.0, 2.0])": {"Custom_1": 1.0, "Custom_2": 2.0},
            "{'a': 1, 'b': np.array(2)}": {"a": 1.0, "b": 2.0},
        }
        for text, values in cases.items():
            with self.subTest(text), Node() as node:
                body = f"def testing_step(self, data, target):\n    return {text}"
                self.begin(node, simple(methods=body))
                self.assertEqual(node.validate(), values)
        for text in (
            "True",
            "None",
            "'x'",
            "float('nan')",
            "{'\\ud800': 1}",
            "{1: 1}",
            "[]*40+[1]*40",
        ):
            with self.subTest(text), Node() as node:
                body = f"def testing_step(self, data, target):\n    return {text}"
                self.begin(node, simple(methods=body))
                self.assertEqual(self.failed(node.validate)["reason"], "metric")

    def test_one_declared_name_names_one_value(self) -> None:
        source = simple(
            methods="def testing_step(self, data, target):\n    return 4",
            attributes="metrics = ['error']",
        )
        with Node() as node:
            self.begin(node, source)
            self.assertEqual(node.validate(), {"error": 4.0})

    def test_dropout_follows_the_epochs_seed(self) -> None:
        source = simple("nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.Linear(64, 1))")
        updates = []
        for validated in (False, True):
            with Node() as node:
                self.begin(node, source, epochs=2)
                if validated:
                    node.validate()
                node.train()
                updates.append({name: array.tobytes() for name, array in node.export().items()})
        self.assertEqual(updates[0], updates[1])

    def test_postprocess_runs_after_training_only(self) -> None:
        body = (
            "def postprocess(self, params):\n    return {k: v * 0 + 5 for k, v in params.items()}"
        )
        with Node() as node:
            self.begin(node, simple(methods=body))
            self.assertNotEqual(node.export()["bias"].tolist(), [5.0])
            node.train()
            self.assertEqual(node.export()["bias"].tolist(), [5.0])

    def test_a_postprocess_that_changes_the_form_ends_export(self) -> None:
        for text in (
            "return None",
            "return {'weight': params['weight']}",
            "params['bias'] = params['bias'].double(); return params",
            "params['bias'] = torch.zeros(2); return params",
            "params['more'] = torch.zeros(2); return params",
            "params['bias'] = [0.0]; return params",
        ):
            with self.subTest(text), Node() as node:
                self.begin(node, simple(methods=f"def postprocess(self, params):\n    {text}"))
                node.train()
                self.assertEqual(self.failed(node.export)["reason"], "export")

    def test_all_types_of_tensors_survive_the_way_there_and_back(self) -> None:
        body = (
            "def init_model(self):\n"
            "    model = nn.Linear(3, 1)\n"
            "    kinds = ['float64', 'float16', 'int64', 'int32', 'int16']\n"
            "    kinds += ['int8', 'uint8', 'bool']\n"
            "    for kind in kinds:\n"
            "        value = torch.tensor([[1, 0, 1]]).to(getattr(torch, kind))\n"
            "        model.register_buffer('of_' + kind, value)\n"
            "    model.register_buffer('empty', torch.zeros(0, 4))\n"
            "    return model"
        )
        with Node() as node:
            made = self.begin(node, simple(methods=body))
            self.assertEqual(len(made["tensors"]), 11)
            tensors = node.export()
            tensors["of_bool"][0, 1] = True
            tensors["of_int64"][0, 1] = -(2**62)
            node.load(tensors)
            again = node.export()
        for name, array in tensors.items():
            self.assertEqual(again[name].tobytes(), array.tobytes(), name)

    def test_sixteen_bit_brain_floats_travel(self) -> None:
        with Node() as node:
            made = self.begin(node, simple("nn.Linear(3, 1).to(torch.bfloat16)"))
        self.assertEqual({tensor["dtype"] for tensor in made["tensors"]}, {"BF16"})

    def test_a_wide_prediction_is_cut_into_parts(self) -> None:
        source = simple(
            methods="def predict(self, data):\n"
            "    return torch.arange(300000.0).repeat(len(data), 1)"
        )
        with Node() as node:
            self.begin(node, source)
            node.validate()
            prediction = node.predictions()[1]
        self.assertGreater(len(node.parts), 1)
        self.assertEqual(prediction.shape, (8, 300000))
        self.assertEqual(prediction[7, -1], 299999)

    def test_predictions_of_another_form_are_named_as_metric_failures(self) -> None:
        for text in (
            "torch.zeros(len(data), 2, 2)",
            "torch.zeros(3)",
            "[data, data]",
            "'text'",
            "None",
            "torch.zeros(len(data), 2000000)",
        ):
            with self.subTest(text), Node() as node:
                self.begin(node, simple(methods=f"def predict(self, data):\n    return {text}"))
                self.assertEqual(self.failed(node.validate)["reason"], "metric")
                # The round goes on: a metric fails softly.
                self.assertEqual(node.train()["steps"], 2)

    def test_arrays_and_frames_become_float_tensors(self) -> None:
        source = simple(step="assert data.dtype == target.dtype == torch.float32")
        for text in (
            "DataManager(np.ones((24, 3), int), np.arange(24))",
            "DataManager(dataset=pandas.DataFrame(np.ones((24, 3))), "
            "target=pandas.Series(range(24)))",
        ):
            made = source.replace(
                "DataManager(random.normal(size=(24, 3)), target=random.normal(size=24))", text
            )
            with self.subTest(text), Node() as node:
                self.begin(node, "import pandas\n" + made)
                self.assertEqual(node.train()["steps"], 2)


if __name__ == "__main__":
    unittest.main()
