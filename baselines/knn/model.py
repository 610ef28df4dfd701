"""Nearest neighbour in composition space."""

from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gbench.cards import Frozen
from gbench.crystals import Crystals, IntArray, ranges
from gbench.features import composition_of_sites, composition_statistics
from gbench.model import Estimator, FloatArray, Inputs


class KNNConfig(Frozen):
    """Settings of :class:`KNN`."""

    neighbors: int = 1


class KNN(Estimator):
    """Mean label of the nearest training crystals, Euclidean in standardised composition statistics.

    The nearest of a site is a site of the most similar element in a crystal of the most similar composition: the
    properties of its own element stand beside the statistics.
    """

    Config = KNNConfig
    config: KNNConfig

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Store the training compositions and labels."""
        known = self.learned_from(labels)
        self.pipeline: Pipeline = make_pipeline(StandardScaler(), KNeighborsRegressor(self.config.neighbors))
        self.pipeline.fit(self._features(inputs.crystals, rows)[known], labels[known])

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,) or (their atoms,) predictions."""
        predicted: FloatArray = self.pipeline.predict(self._features(inputs.crystals, rows))
        return predicted

    def _features(self, crystals: Crystals, rows: IntArray) -> FloatArray:
        if self.level == "graph":
            return composition_statistics(crystals.take(rows)).values
        return composition_of_sites(crystals, ranges(crystals.ptr[rows], crystals.ptr[rows + 1]))
