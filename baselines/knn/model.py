"""Nearest neighbour in composition space."""

import numpy as np
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gbench.cards import Frozen
from gbench.crystals import Crystals, IntArray
from gbench.elements import properties
from gbench.features import composition_of_sites, composition_statistics, pair_features
from gbench.model import Estimator, FloatArray, Inputs


class KNNConfig(Frozen):
    """Settings of :class:`KNN`."""

    neighbors: int = 1


class KNN(Estimator):
    """Mean label of the nearest training crystals, Euclidean in standardised composition statistics.

    The nearest of a site is a site of the most similar element in a crystal of the most similar composition: the
    properties of its own element stand beside the statistics. The nearest of a pair is one of the most similar elements
    and distance, likewise.
    """

    Config = KNNConfig
    config: KNNConfig

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Store the training compositions and labels."""
        known = self.learned_from(labels)
        self.pipeline: Pipeline = make_pipeline(StandardScaler(), KNeighborsRegressor(self.config.neighbors))
        self.pipeline.fit(self._features(inputs.crystals, rows)[known], labels[known])

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,), (their atoms,) or (their pairs,) predictions."""
        predicted: FloatArray = self.pipeline.predict(self._features(inputs.crystals, rows))
        return predicted

    def _features(self, crystals: Crystals, rows: IntArray) -> FloatArray:
        if self.level == "graph":
            return composition_statistics(crystals.take(rows)).values
        items = self.items(crystals, rows)
        if self.level == "node":
            return composition_of_sites(crystals, items)
        of_pairs = pair_features(crystals, items, properties()[crystals.numbers], directed=self.head.directed)
        of_crystals = composition_statistics(crystals).values[crystals.crystal_of_pair[items]]
        return np.concatenate([of_pairs, of_crystals], axis=1)
