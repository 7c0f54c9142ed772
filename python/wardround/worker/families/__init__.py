"""How each estimator of scikit-learn is built, started, stepped and taken apart."""

from .family import Family
from .linear import (
    PassiveAggressiveClassifierFamily,
    PassiveAggressiveRegressorFamily,
    PerceptronFamily,
    SGDClassifierFamily,
    SGDRegressorFamily,
)
from .neural import MLPClassifierFamily, MLPRegressorFamily
from .statistics import GaussianNBFamily, MiniBatchKMeansFamily

BY_KIND: dict[str, type[Family]] = {
    "sgd_classifier": SGDClassifierFamily,
    "sgd_regressor": SGDRegressorFamily,
    "perceptron": PerceptronFamily,
    "passive_aggressive_classifier": PassiveAggressiveClassifierFamily,
    "passive_aggressive_regressor": PassiveAggressiveRegressorFamily,
    "mlp_classifier": MLPClassifierFamily,
    "mlp_regressor": MLPRegressorFamily,
    "gaussian_nb": GaussianNBFamily,
    "mini_batch_k_means": MiniBatchKMeansFamily,
}
"""The families by the ``kind`` of a plan class."""

__all__ = ["BY_KIND", "Family"]
