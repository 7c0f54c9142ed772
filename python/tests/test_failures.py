"""What is said of a plan that fails, and what is not."""

from __future__ import annotations

import json
import os
import socket
import struct
import unittest

from harness import Node, WorkerTest, needs
from test_torch_plans import HEAD, ROWS, TRAIN, VALIDATION, simple

SECRET = "patient-4711"


def line_of(source: str, text: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


@needs("torch")
class FailuresTest(WorkerTest):
    def fail_at(self, node: Node, source: str, phase: str) -> dict:
        """Runs a round up to the phase that is expected to fail."""
        steps = {
            "instantiate": lambda: node.instantiate(source),
            "initialise": node.initialise,
            "open_data": lambda: node.open_data("table", "/nowhere", ROWS),
            "split": lambda: node.split(TRAIN, VALIDATION),
            "validate": node.validate,
            "train": node.train,
            "export": node.export,
        }
        for name, step in steps.items():
            if name == phase:
                return self.failed(step)
            step()
        raise AssertionError(phase)

    def test_an_exception_gives_its_class_and_line_in_every_phase(self) -> None:
        cases = {
            "instantiate": ("class", "not_loadable", simple() + f"\nraise KeyError('{SECRET}')\n"),
            "initialise": ("init", "init", simple("1 / 0")),
            "open_data": (
                "data",
                "data",
                simple().replace("return DataManager", "{}['x']; return DataManager"),
            ),
            "validate": (
                "metric",
                "metric",
                simple(methods=f"def predict(self, data):\n    raise OSError('{SECRET}')"),
            ),
            "train": ("training", "training", simple(step=f"raise RuntimeError('{SECRET}')")),
            "export": (
                "export",
                "export",
                simple(methods=f"def postprocess(self, p):\n    assert p is None, '{SECRET}'"),
            ),
        }
        classes = {
            "instantiate": ("KeyError", "raise KeyError"),
            "initialise": ("ZeroDivisionError", "1 / 0"),
            "open_data": ("KeyError", "{}['x']"),
            "validate": ("OSError", "raise OSError"),
            "train": ("RuntimeError", "raise RuntimeError"),
            "export": ("AssertionError", "assert p is None"),
        }
        for phase, (_, reason, source) in cases.items():
            with self.subTest(phase), Node() as node:
                failed = self.fail_at(node, source, phase)
                name, text = classes[phase]
                line = line_of(source, text)
                expected = {"reason": reason, "class": name, "line": line}
                self.assertEqual(failed, expected)
                self.assertNotIn(SECRET, json.dumps(failed))
                self.assertIn("Traceback", node.log())
                if SECRET in source:
                    self.assertIn(SECRET, node.log())

    def test_the_line_is_the_plans_even_when_the_framework_raises(self) -> None:
        source = simple(step="torch.zeros(2, 3) @ torch.zeros(2, 3)")
        with Node() as node:
            failed = self.fail_at(node, source, "train")
        self.assertEqual(failed["class"], "RuntimeError")
        self.assertEqual(failed["line"], line_of(source, "torch.zeros(2, 3) @"))

    def test_the_line_of_a_cause_counts_when_the_error_is_not_the_plans(self) -> None:
        source = simple(methods="def init_optimizer(self, a):\n    return torch.optim.SGD(beta=1)")
        with Node() as node:
            node.instantiate(source)
            failed = self.failed(node.initialise, optimizer_args={"beta": 1})
        self.assertEqual(failed["reason"], "arguments")
        self.assertEqual(failed["line"], line_of(source, "torch.optim.SGD(beta"))

    def test_plans_that_cannot_be_loaded(self) -> None:
        cases = {
            "syntax": ("class A(:\n", "SyntaxError", 1),
            "import": ("\nimport no_such_package\n", "ModuleNotFoundError", 2),
            "no class": ("x = 1\n", "PlanError", None),
            "two classes": (
                simple() + "\nclass Other(Plan): pass\nclass B(Plan): pass\n",
                "PlanError",
                None,
            ),
            "bad utf-8": ("", "PlanError", None),
            "metrics text": (simple(attributes="metrics = 'A'"), "PlanError", None),
            "metrics many": (
                simple(attributes="metrics = [str(i) for i in range(33)]"),
                "PlanError",
                None,
            ),
            "metrics odd": (simple(attributes="metrics = ['a\\nb']"), "PlanError", None),
            "exit": (simple() + "\nraise SystemExit(3)\n", "SystemExit", None),
            "constructor": (simple(methods="def __init__(self, x): pass"), "TypeError", None),
            "deep": ("x = " + "(" * 5000 + ")" * 5000, None, None),
            "abstract": (HEAD + "class P(TorchTrainingPlan): pass\n", None, None),
        }
        cases.pop("abstract")
        for name, (source, kind, line) in cases.items():
            with self.subTest(name), Node() as node:
                failed = self.failed(node.instantiate, source)
                self.assertEqual(failed["reason"], "not_loadable")
                if kind is not None:
                    self.assertEqual(failed["class"], kind)
                if line is not None:
                    self.assertEqual(failed["line"], line)

    def test_a_class_is_chosen_by_name_or_as_the_only_leaf(self) -> None:
        source = simple() + "\nclass Child(Plan): pass\nAlias = Child\n"
        for name in ("", "Child", "Plan", "Alias"):
            with self.subTest(name), Node() as node:
                self.assertEqual(node.instantiate(source, name)["family"], "torch")
        for name in ("TorchTrainingPlan_", "np", "nn"):
            with self.subTest(name), Node() as node:
                self.assertEqual(
                    self.failed(node.instantiate, source, name)["reason"], "not_loadable"
                )

    def test_methods_that_break_their_rule(self) -> None:
        replaced = "return DataManager(random.normal(size=(24, 3)), target=random.normal(size=24))"
        cases = [
            (simple("'text'"), "initialise", "init"),
            (
                simple().replace("def init_model(self)", "def init_model(self, a, b)"),
                "initialise",
                "init",
            ),
            (simple(methods="def init_optimizer(self):\n    return 3"), "initialise", "init"),
            (
                simple().replace("def training_data(self)", "def training_data(self, size)"),
                "open_data",
                "data",
            ),
            (simple().replace(replaced, "return [1]"), "open_data", "data"),
            (simple().replace(replaced, "return DataManager([1, 2])"), "open_data", "data"),
            (
                simple().replace(replaced, "return DataManager(np.ones((3, 3)), np.ones(2))"),
                "open_data",
                "data",
            ),
            (
                simple().replace(replaced, "return DataManager(np.array(['a']), np.ones(1))"),
                "open_data",
                "data",
            ),
            (
                simple().replace(replaced, "return DataManager(np.ones((3, 3)))"),
                "open_data",
                "data",
            ),
            (simple(step="return 1.0"), "train", "training"),
            (simple(step="return torch.zeros(2, requires_grad=True)"), "train", "training"),
            (simple(step="return torch.zeros(1)"), "train", "training"),
            (
                simple(step="return torch.tensor(float('inf'), requires_grad=True)"),
                "train",
                "diverged",
            ),
        ]
        for source, phase, reason in cases:
            with self.subTest(source[-400:]), Node() as node:
                self.assertEqual(self.fail_at(node, source, phase)["reason"], reason)

    def test_a_diverging_training_says_so(self) -> None:
        with Node() as node:
            source = simple().replace("lr=0.1", "lr=1e30")
            self.assertEqual(self.fail_at(node, source, "train")["reason"], "diverged")

    def test_parameters_that_diverge_in_the_last_step_are_found(self) -> None:
        source = simple().replace("lr=0.1", "lr=float('inf')")
        with Node() as node:
            node.instantiate(source)
            node.initialise(dry_run=True)
            node.open_data("table", "/nowhere", ROWS)
            node.split(TRAIN, VALIDATION)
            self.assertEqual(self.failed(node.train)["reason"], "diverged")

    def test_odd_exceptions_do_not_break_the_worker(self) -> None:
        odd = {
            "text raises": "class E(Exception):\n    def __str__(self): raise SystemExit",
            "name": "E = type('a b', (Exception,), {})",
            "surrogate": "E = type('E', (Exception,), {'__str__': lambda s: '\\ud800'})",
            "long name": "E = type('e' * 200, (Exception,), {})",
            "keyboard": "E = KeyboardInterrupt",
            "exit": "E = SystemExit",
            "generator": "E = GeneratorExit",
            "stderr": "import sys\nsys.stderr.close()\nsys.stdout = None\nE = ValueError",
        }
        for name, text in odd.items():
            with self.subTest(name), Node() as node:
                source = simple(step="raise E()") + "\n" + text + "\n"
                failed = self.fail_at(node, source, "train")
                self.assertEqual(failed["reason"], "training")
                self.assertTrue(failed["class"].isidentifier() and len(failed["class"]) <= 100)
                if name in ("name", "long name"):
                    self.assertEqual(failed["class"], "Error")

    def test_a_plan_that_raises_our_own_errors_is_taken_at_its_word(self) -> None:
        text = (
            "from wardround.plans import ArgumentError; raise ArgumentError('model_args.x', 'odd')"
        )
        with Node() as node:
            failed = self.fail_at(
                node, simple(methods=f"def init_model(self):\n    {text}"), "initialise"
            )
        self.assertEqual(
            (failed["reason"], failed["key"], failed["rule"]), ("arguments", "model_args.x", "odd")
        )

    def test_requests_out_of_order_are_defects(self) -> None:
        with Node() as node:
            for step in (node.initialise, node.train, node.validate, node.export):
                self.assertEqual(self.failed(step)["reason"], "defect")
            self.assertEqual(self.failed(node.request, "dance")["reason"], "defect")

    def test_a_broken_frame_ends_the_worker(self) -> None:
        for broken in (
            struct.pack("<IQ", 2**21, 0),
            struct.pack("<IQ", 2, 2**25),
            struct.pack("<IQ", 2, 0) + b"[]",
            struct.pack("<IQ", 2, 0) + b"{x",
            b"\0\0\0",
        ):
            node = Node()
            node.socket.sendall(broken)
            node.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(node.socket.recv(1), b"")
            status = os.waitpid(node.child, 0)[1]
            self.assertEqual(os.waitstatus_to_exitcode(status), 1)
            self.assertIn("ProtocolError", node.log())
            node.socket.close()
            node.output.close()

    def test_closing_the_socket_ends_the_worker_in_peace(self) -> None:
        node = Node()
        node.socket.close()
        status = os.waitpid(node.child, 0)[1]
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        node.output.close()

    def test_dependencies_run_at_the_head_of_the_module(self) -> None:
        source = """
class Plan(TorchTrainingPlan):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, data):
            return F.relu(self.layer(data))

    def init_dependencies(self):
        deps = ["import math as m", "from collections import OrderedDict"]
        return deps

    def init_model(self):
        assert m.pi > 3 and OrderedDict
        return self.Net()

    def training_data(self):
        return DataManager(np.ones((24, 3)), np.ones(24))

    def training_step(self, data, target):
        raise ValueError
"""
        with Node() as node:
            failed = self.fail_at(node, source, "train")
            self.assertEqual(failed["line"], line_of(source, "raise ValueError"))
        bad = {
            "return 3": "PlanError",
            "return ['print(1)']": "PlanError",
            "return ['import no_such_package']": "ModuleNotFoundError",
            "return [3]": "PlanError",
            "return ['import']": "SyntaxError",
        }
        for text, kind in bad.items():
            changed = source.replace("return deps", text)
            with self.subTest(text), Node() as node:
                failed = self.failed(node.instantiate, changed)
                self.assertEqual((failed["reason"], failed["class"]), ("not_loadable", kind))
        with Node() as node:
            changed = source.replace("init_dependencies(self)", "init_dependencies(self, more)")
            self.assertEqual(self.failed(node.instantiate, changed)["class"], "PlanError")

    def test_a_name_that_is_no_text_is_an_error_of_the_plan(self) -> None:
        with Node() as node:
            node.instantiate(simple("nn.ModuleDict({'\\ud800': nn.Linear(3, 1)})"))
            self.assertEqual(self.failed(node.initialise)["reason"], "init")

    def test_settings_that_no_double_holds_are_left_out(self) -> None:
        source = simple(
            methods="def init_optimizer(self):\n"
            "    made = torch.optim.SGD(self.model().parameters(), lr=0.1)\n"
            "    odd = {'big': 10**400, 'odd': float('nan'), 'text': '\\ud800', 'fine': 2}\n"
            "    made.param_groups[0].update(odd)\n"
            "    return made"
        )
        with Node() as node:
            node.instantiate(source)
            used = node.initialise()["optimizer_args"]
        self.assertEqual((used["kind"], used["lr"], used["fine"]), ("SGD", 0.1, 2))
        self.assertFalse({"big", "odd", "text"} & set(used))

    def test_too_many_tensors_for_a_header_are_an_error_and_not_an_end(self) -> None:
        source = simple("nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(30000)])")
        with Node() as node:
            node.instantiate(source)
            self.assertEqual(self.failed(node.initialise)["reason"], "init")
            self.assertIn("do not fit into a frame", node.log())


if __name__ == "__main__":
    unittest.main()
