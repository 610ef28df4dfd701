"""Extremely randomised trees on composition and structure statistics."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from gbench.cards import Frozen
from gbench.crystals import IntArray
from gbench.features import composition_statistics, structure_statistics
from gbench.model import Estimator, FloatArray, Inputs


class TreesConfig(Frozen):
    """Settings of :class:`Trees`."""

    trees: int = 300
    max_features: float = 0.5
    min_samples_leaf: int = 1


class Trees(Estimator):
    """ExtraTrees over Magpie-style composition statistics and structure statistics."""

    Config = TreesConfig
    uses_graph = True
    config: TreesConfig

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Grow the forest."""
        self.forest = ExtraTreesRegressor(
            self.config.trees,
            max_features=self.config.max_features,
            min_samples_leaf=self.config.min_samples_leaf,
            random_state=self.seed,
            n_jobs=-1,
        )
        self.forest.fit(self._features(inputs)[rows], labels)

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,) predictions."""
        # threads would add the trees up in any order, and the last bit with it
        self.forest.n_jobs = 1
        predicted: FloatArray = self.forest.predict(self._features(inputs)[rows])
        return predicted

    def _features(self, inputs: Inputs) -> FloatArray:
        composition = composition_statistics(inputs.crystals).values
        return np.concatenate([composition, structure_statistics(inputs.require_graphs()).values], axis=1)
