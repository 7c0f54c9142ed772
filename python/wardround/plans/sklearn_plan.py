"""The plan families for scikit-learn."""

from __future__ import annotations

from typing import Any

from .base import TrainingPlan


class SklearnTrainingPlan(TrainingPlan):
    """A plan whose model is an estimator of scikit-learn, trained by ``partial_fit``.

    Derive from one of the families below; only ``training_data`` must be defined. ``model_args``
    hold ``n_features``, for classifiers ``n_classes``, and the estimator's own parameters. The
    targets of a classifier are whole numbers from 0.
    """

    family = "sklearn"

    kind = ""
    """Which estimator; set by the families."""

    per_sample = False
    """Whether a batch is the mean of steps with one row each, as in Fed-BioMed.

    By default a batch is one call of ``partial_fit``. Only the linear families know this switch.
    """

    def predict(self, data: Any) -> Any:
        """What metrics compare with the target: probabilities where there are any, else labels."""
        model = self.model()
        if not hasattr(model, "predict_proba"):
            return model.predict(data)
        probabilities = model.predict_proba(data)
        return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


class FedSGDClassifier(SklearnTrainingPlan):
    """``SGDClassifier``; its parameters are ``coef_`` and ``intercept_``."""

    kind = "sgd_classifier"


class FedSGDRegressor(SklearnTrainingPlan):
    """``SGDRegressor``; its parameters are ``coef_`` and ``intercept_``."""

    kind = "sgd_regressor"


class FedPerceptron(SklearnTrainingPlan):
    """``SGDClassifier`` with the perceptron's loss, as in Fed-BioMed.

    ``eta0 = 1``, ``learning_rate = "constant"`` and ``penalty = None`` make it scikit-learn's
    ``Perceptron``.
    """

    kind = "perceptron"


class FedPassiveAggressiveClassifier(SklearnTrainingPlan):
    """The passive-aggressive classifier; ``model_args`` are those of the estimator of that name."""

    kind = "passive_aggressive_classifier"


class FedPassiveAggressiveRegressor(SklearnTrainingPlan):
    """The passive-aggressive regressor; ``model_args`` are those of the estimator of that name."""

    kind = "passive_aggressive_regressor"


class FedMLPClassifier(SklearnTrainingPlan):
    """``MLPClassifier``; its parameters are ``coefs_.0``, ``intercepts_.0``, ``coefs_.1`` and so
    on."""

    kind = "mlp_classifier"


class FedMLPRegressor(SklearnTrainingPlan):
    """``MLPRegressor``, with ``n_outputs`` (1) in ``model_args``; parameters as the
    classifier's."""

    kind = "mlp_regressor"


class FedGaussianNB(SklearnTrainingPlan):
    """``GaussianNB``, by sums: one round gives what all rows together would give.

    Its parameters are ``class_count_``, ``sums_`` and ``squares_``, each divided by the node's
    training rows, so that a mean weighted with the rows is exact. Every round starts from nothing.
    """

    kind = "gaussian_nb"


class FedMiniBatchKMeans(SklearnTrainingPlan):
    """``MiniBatchKMeans``; its parameters are ``cluster_centers_`` and ``counts_``.

    A ``DataManager`` without a target will do. ``init`` in ``model_args`` may hold the first
    centres; otherwise they are drawn from a standard normal distribution, which suits standardized
    data.
    """

    kind = "mini_batch_k_means"


MiniBatchKMeans = FedMiniBatchKMeans
"""The same class under the name of its estimator."""
