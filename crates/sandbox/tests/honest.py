"""Honest work whose numbers must be the same inside and outside of a sandbox.

It is called as `honest.py WORK THREADS`.
"""

import hashlib
import sys


def digest(*arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def numpy_products():
    import numpy

    random = numpy.random.default_rng(1)
    one = random.standard_normal((600, 600))
    for _ in range(4):
        one = one @ one.T / 600
    return digest(one, numpy.linalg.svd(one[:100, :100], compute_uv=False))


def sklearn_fits():
    import numpy
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.neural_network import MLPClassifier

    random = numpy.random.default_rng(2)
    rows = random.standard_normal((800, 12))
    classes = (rows @ random.standard_normal(12) > 0).astype(int)
    sgd = SGDClassifier(random_state=1)
    for start in range(0, 800, 100):
        sgd.partial_fit(rows[start : start + 100], classes[start : start + 100], classes=[0, 1])
    logistic = LogisticRegression().fit(rows, classes)
    layers = MLPClassifier((8,), max_iter=30, random_state=1).fit(rows, classes)
    boosted = HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(rows, classes)
    forest = RandomForestClassifier(20, n_jobs=2, random_state=1).fit(rows, classes)
    return digest(
        sgd.coef_,
        logistic.coef_,
        layers.coefs_[0],
        boosted.predict_proba(rows),
        forest.predict_proba(rows),
    )


def torch_network():
    import torch

    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.BatchNorm2d(8), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(8 * 13 * 13, 10),
    )
    images, classes = torch.rand(128, 1, 28, 28), torch.randint(0, 10, (128,))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, classes), batch_size=32, shuffle=True
    )
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(3):
        for batch, truth in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(batch), truth).backward()
            optimizer.step()
    capability = torch.backends.cpu.get_cpu_capability()
    return capability + " " + digest(*(value.numpy() for value in network.state_dict().values()))


WORK = {"numpy": numpy_products, "sklearn": sklearn_fits, "torch": torch_network}


def serve(connection, scratch, threads):
    """Do the work that a line on the socket names, and answer with its numbers' digest."""
    name = connection.recv(100).decode().strip()
    connection.sendall(WORK[name]().encode())


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        import torch

        torch.set_num_threads(int(sys.argv[2]))
    sys.stdout.write(WORK[sys.argv[1]]())
