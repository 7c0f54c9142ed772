"""Trains for a while and prints the processor time and the wall time of each part, as JSON.

Run by the benchmark ``sandbox_cost``, inside and outside the sandbox by turns.
"""

import json
import sys
import time


def torch_parts(parts, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(7)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 3), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(32 * 11 * 11, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.randn(32, 1, 28, 28), torch.randint(0, 10, (32,))

    def part():
        for _ in range(20):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return measured(part, parts)


def sklearn_parts(parts, threads):
    import numpy
    from sklearn.linear_model import SGDClassifier

    generator = numpy.random.default_rng(7)
    rows = generator.standard_normal((20_000, 60))
    labels = (rows[:, 0] + generator.standard_normal(20_000) > 0).astype(int)
    model = SGDClassifier(loss="log_loss", random_state=7)

    def part():
        for start in range(0, len(rows), 500):
            chunk = slice(start, start + 500)
            model.partial_fit(rows[chunk], labels[chunk], classes=[0, 1])
        return float(model.coef_.sum())

    return measured(part, parts)


def measured(part, parts):
    part()
    wall, processor, value = [], [], 0.0
    for _ in range(parts):
        wall_before, processor_before = time.perf_counter(), time.process_time()
        value = part()
        wall.append(time.perf_counter() - wall_before)
        processor.append(time.process_time() - processor_before)
    return {"wall": wall, "processor": processor, "value": value}


if __name__ == "__main__":
    kinds = {"torch": torch_parts, "sklearn": sklearn_parts}
    print(json.dumps(kinds[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))))
