"""Logistic regression in PyTorch on the breast cancer table.

It is the model of examples/breast-cancer/logistic.toml: one dense unit over the thirty standardized
measurements, first all zeros, trained by plain gradient descent.
"""

import numpy
import torch
from torch import nn

from wardround.plans import DataManager, TabularDataset, TorchTrainingPlan

# Mean and deviation of each measurement, from examples/breast-cancer/scale.toml.
SCALE = {
    "area_mean": (661.14, 361.43992),
    "area_se": (41.469321, 48.713115),
    "area_worst": (888.72549, 585.01019),
    "compactness_mean": (0.10518147, 0.051637527),
    "compactness_se": (0.025740727, 0.017861245),
    "compactness_worst": (0.25453499, 0.14933203),
    "concave_points_mean": (0.049648982, 0.038742063),
    "concave_points_se": (0.012036982, 0.0062836996),
    "concave_points_worst": (0.11607699, 0.064710018),
    "concavity_mean": (0.090057648, 0.078639295),
    "concavity_se": (0.032769264, 0.031788061),
    "concavity_worst": (0.27408678, 0.20189165),
    "fractal_dimension_mean": (0.062806681, 0.0069490446),
    "fractal_dimension_se": (0.0037959176, 0.0026372734),
    "fractal_dimension_worst": (0.083818242, 0.01744399),
    "perimeter_mean": (92.381648, 24.630796),
    "perimeter_se": (2.9249804, 2.1213708),
    "perimeter_worst": (107.72235, 33.952731),
    "radius_mean": (14.183622, 3.5715128),
    "radius_se": (0.41170022, 0.29050738),
    "radius_worst": (16.327545, 4.8932324),
    "smoothness_mean": (0.096569956, 0.013934855),
    "smoothness_se": (0.0070627341, 0.0030023584),
    "smoothness_worst": (0.13239873, 0.02227757),
    "symmetry_mean": (0.18123187, 0.027231107),
    "symmetry_se": (0.020709776, 0.0085122451),
    "symmetry_worst": (0.28992396, 0.062006358),
    "texture_mean": (19.269055, 4.2543655),
    "texture_se": (1.2089481, 0.56036146),
    "texture_worst": (25.543516, 6.001353),
}


class LogisticRegression(TorchTrainingPlan):
    metrics = ("ACCURACY", "ROC_AUC", "LOG_LOSS")

    def init_model(self):
        model = nn.Linear(len(SCALE), 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        return model

    def init_optimizer(self, optimizer_args):
        return torch.optim.SGD(self.model().parameters(), **optimizer_args)

    def training_data(self):
        table = TabularDataset(list(SCALE), "diagnosis", classes=["B", "M"])
        measurements, diagnosis = table.arrays()
        means, deviations = numpy.array(list(SCALE.values())).T
        return DataManager((measurements - means) / deviations, diagnosis)

    def training_step(self, data, target):
        scores = self.model()(data)[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(scores, target)

    def predict(self, data):
        return torch.sigmoid(self.model()(data)[:, 0])
