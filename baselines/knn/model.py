"""Nearest neighbour in composition space."""

from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gbench.cards import Frozen
from gbench.crystals import IntArray
from gbench.features import composition_statistics
from gbench.model import Estimator, FloatArray, Inputs


class KNNConfig(Frozen):
    """Settings of :class:`KNN`."""

    neighbors: int = 1


class KNN(Estimator):
    """Mean label of the nearest training crystals, Euclidean in standardised composition statistics."""

    Config = KNNConfig
    config: KNNConfig

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Store the training compositions and labels."""
        self.pipeline: Pipeline = make_pipeline(StandardScaler(), KNeighborsRegressor(self.config.neighbors))
        self.pipeline.fit(composition_statistics(inputs.crystals.take(rows)).values, labels)

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,) predictions."""
        predicted: FloatArray = self.pipeline.predict(composition_statistics(inputs.crystals.take(rows)).values)
        return predicted
