"""What one training step costs in PyTorch: the models of the `training_step` benchmark, one thread.

Run both in one sitting, on a quiet machine:

    cargo run --release -p benches --bin training_step
    python benches/torch_training_step.py [SECONDS]

Without PyTorch it says so and ends with status 0, so that a list of benchmarks goes on.
"""

import math
import sys
import time

ROWS, TURNS = 32, 10


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

    return [
        ("logistic 30-1, SGD", logistic, sgd),
        ("logistic 30-1, Adam", logistic, adam),
        ("MLP 784-256-128-10, SGD", network, sgd),
        ("MLP 784-256-128-10, Adam", network, adam),
    ]


def turn(step, length):
    """Milliseconds of a step: CPU time of the process, and wall time."""
    steps, cpu, start = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - start < length:
        for _ in range(10):
            step()
        steps += 10
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    return cpu * 1e3 / steps, wall * 1e3 / steps


def measure(name, build, optimize, seconds, torch):
    torch.manual_seed(1)
    model, inputs, classes, loss_of = build()
    optimizer = optimize(model.parameters())
    features = torch.tensor(
        [math.sin(position * 12.9898) * 1.4 for position in range(ROWS * inputs)]
    ).reshape(ROWS, inputs)
    targets = torch.tensor([row * 7 % classes for row in range(ROWS)])
    if classes == 2:
        targets = targets.float()

    def step():
        optimizer.zero_grad()
        loss_of(model(features), targets).backward()
        optimizer.step()

    turn(step, seconds / TURNS)
    turns = sorted(turn(step, seconds / TURNS) for _ in range(TURNS))
    (cpu, wall), (fastest, _) = turns[TURNS // 2], turns[0]
    print(f"{name:<34}{cpu:>14.4f}{fastest:>14.4f}{wall:>14.4f}")


def main():
    try:
        import torch
        from torch import nn
    except ImportError as error:
        print(f"PyTorch is not here ({error}): nothing measured")
        return
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    print(f"PyTorch {torch.__version__}, one thread")
    print(f"{'model, optimizer':<34}{'CPU ms/step':>14}{'fastest':>14}{'wall ms/step':>14}")
    for name, build, optimize in cases(nn, torch):
        measure(name, build, optimize, seconds, torch)


if __name__ == "__main__":
    main()
