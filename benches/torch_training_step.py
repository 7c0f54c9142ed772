"""The models of the `training_step` benchmark in PyTorch; that benchmark starts it and asks it.

    python benches/torch_training_step.py THREADS

first prints a line, `{"torch": VERSION, "threads": THREADS}`, or `{"missing": REASON}`. Then it reads
lines `NAME<tab>STEPS<tab>SECONDS`, takes so many optimizer steps of the model of that name, fewer once the
seconds are over, and answers each with `{"steps": STEPS, "cpu": SECONDS, "wall": SECONDS}`: processor time of
the whole process, user and system, and wall time. A model keeps its state between questions. It ends with its
input.
"""

import json
import math
import sys
import time

ROWS = 32


def cases(nn, torch):
    def logistic():
        return nn.Sequential(nn.Linear(30, 1), nn.Flatten(0)), 30, 2, nn.BCEWithLogitsLoss()

    def network():
        model = nn.Sequential(
            nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
        )
        return model, 784, 10, nn.CrossEntropyLoss()

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.01)

    def adam(parameters):
        return torch.optim.Adam(parameters, lr=0.001)

    return {
        "logistic 30-1, SGD": (logistic, sgd),
        "logistic 30-1, Adam": (logistic, adam),
        "MLP 784-256-128-10, SGD": (network, sgd),
        "MLP 784-256-128-10, Adam": (network, adam),
    }


def stepper(build, optimize, torch):
    """A function that takes one step: the same batch each time, in single precision."""
    torch.manual_seed(1)
    model, inputs, classes, loss_of = build()
    optimizer = optimize(model.parameters())
    features = torch.tensor(
        [math.sin(position * 12.9898) * 1.4 for position in range(ROWS * inputs)],
        dtype=torch.float32,
    ).reshape(ROWS, inputs)
    targets = torch.tensor([row * 7 % classes for row in range(ROWS)])
    if classes == 2:
        targets = targets.float()

    def step():
        optimizer.zero_grad()
        loss_of(model(features), targets).backward()
        optimizer.step()

    return step


def measure(step, steps, seconds):
    taken, cpu, wall = 0, time.process_time(), time.perf_counter()
    while taken < steps and time.perf_counter() - wall < seconds:
        for _ in range(10):
            step()
        taken += 10
    return {
        "steps": taken,
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
    }


def answer(message):
    print(json.dumps(message), flush=True)


def main():
    try:
        import torch
        from torch import nn
    except ImportError as error:
        answer({"missing": str(error)})
        return
    torch.set_num_threads(int(sys.argv[1]))
    answer({"torch": torch.__version__, "threads": torch.get_num_threads()})
    known, steppers = cases(nn, torch), {}
    for line in sys.stdin:
        name, steps, seconds = line.rstrip("\n").split("\t")
        if name not in steppers:
            steppers[name] = stepper(*known[name], torch)
        answer(measure(steppers[name], int(steps), float(seconds)))


if __name__ == "__main__":
    main()
