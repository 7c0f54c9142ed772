"""Models that are sums over rows: naive Bayes and k-means."""

from __future__ import annotations

from typing import Any

import numpy
from sklearn import cluster, naive_bayes

from ...plans.errors import ArgumentError
from .family import Arrays, Family


class GaussianNBFamily(Family):
    """``GaussianNB`` by sums over rows.

    The estimator's ``partial_fit`` smooths each batch by that batch's own variance, so its result
    depends on the batches; the sums do not. They travel divided by the rows: the mean over nodes,
    weighted with their rows, then is that of all rows together.
    """

    estimator_class = naive_bayes.GaussianNB
    classifies = True
    metric = "ACCURACY"

    def start(self) -> None:
        shape = (self.outputs, self.features)
        self.estimator.classes_ = self.classes()
        self.estimator.n_features_in_ = self.features
        part = 1.0 / self.outputs
        # Every class alike, with mean 0 and variance 1: defined, and worth no more than chance.
        self.assign(
            {
                "class_count_": numpy.full(self.outputs, part),
                "sums_": numpy.zeros(shape),
                "squares_": numpy.full(shape, part),
            }
        )

    def parameters(self) -> Arrays:
        return {"class_count_": self._counts, "sums_": self._sums, "squares_": self._squares}

    def assign(self, arrays: Arrays) -> None:
        self._counts = numpy.array(arrays["class_count_"], numpy.float64)
        self._sums = numpy.array(arrays["sums_"], numpy.float64)
        self._squares = numpy.array(arrays["squares_"], numpy.float64)
        self._describe()

    def begin(self) -> None:
        self._counts = numpy.zeros_like(self._counts)
        self._sums = numpy.zeros_like(self._sums)
        self._squares = numpy.zeros_like(self._squares)

    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        return None

    def step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        for label in range(self.outputs):
            rows = data[target == label]
            self._counts[label] += len(rows)
            self._sums[label] += rows.sum(axis=0)
            self._squares[label] += (rows**2).sum(axis=0)
        return None

    def finish(self) -> None:
        rows = self._counts.sum()
        if rows:
            self._counts /= rows
            self._sums /= rows
            self._squares /= rows
            self._describe()

    def _describe(self) -> None:
        """Turns the sums into what the estimator predicts with."""
        counts = numpy.where(self._counts > 0, self._counts, 1.0)[:, None]
        means = self._sums / counts
        variances = numpy.maximum(self._squares / counts - means**2, 0.0)
        total = max(self._counts.sum(), numpy.finfo(float).tiny)
        overall = self._squares.sum(axis=0) / total - (self._sums.sum(axis=0) / total) ** 2
        estimator = self.estimator
        estimator.epsilon_ = estimator.var_smoothing * max(float(overall.max()), 0.0)
        smallest = numpy.finfo(float).tiny
        estimator.theta_ = means
        estimator.var_ = numpy.maximum(variances + estimator.epsilon_, smallest)
        estimator.class_count_ = self._counts
        priors = self._counts / total if estimator.priors is None else estimator.priors
        estimator.class_prior_ = numpy.maximum(numpy.asarray(priors, float), smallest)


class MiniBatchKMeansFamily(Family):
    """``MiniBatchKMeans``; the counts travel too, so that a round goes on where the last one
    ended."""

    estimator_class = cluster.MiniBatchKMeans
    needs_target = False
    fixed = {"verbose": 0, "compute_labels": False, "n_init": 1}

    def start(self) -> None:
        given = self.estimator.init
        clusters = self.estimator.n_clusters
        if isinstance(given, str) or callable(given):
            random = numpy.random.RandomState(self.seed)
            centres = random.normal(size=(clusters, self.features))
        else:
            centres = numpy.array(given, numpy.float64)
            if centres.shape != (clusters, self.features):
                raise ArgumentError("model_args.init", "n_clusters lists of n_features numbers")
        self.estimator.set_params(init=centres, init_size=clusters)
        self.estimator.partial_fit(centres)
        self.assign({"cluster_centers_": centres, "counts_": numpy.zeros(clusters)})

    def parameters(self) -> Arrays:
        return {
            "cluster_centers_": self.estimator.cluster_centers_,
            "counts_": self.estimator._counts,
        }

    def assign(self, arrays: Arrays) -> None:
        self.estimator.cluster_centers_ = numpy.array(arrays["cluster_centers_"], numpy.float64)
        self.estimator._counts = numpy.array(arrays["counts_"], numpy.float64)

    def begin(self) -> None:
        self.estimator._random_state = numpy.random.RandomState(self.seed)
        self.estimator._n_since_last_reassign = 0
        self.estimator.n_steps_ = 0

    def settings(self) -> dict[str, Any]:
        return {"n_clusters": self.estimator.n_clusters}

    def loss(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        centres = self.estimator.cluster_centers_
        distances = [((data - centre) ** 2).sum(axis=1) for centre in centres]
        return float(numpy.min(distances, axis=0).mean())

    def step(self, data: numpy.ndarray, target: numpy.ndarray) -> float | None:
        self.estimator.partial_fit(data)
        return None
