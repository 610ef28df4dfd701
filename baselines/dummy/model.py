"""The train mean."""

import numpy as np

from gbench.crystals import IntArray
from gbench.model import Estimator, FloatArray, Inputs


class Dummy(Estimator):
    """Predicts the mean training label."""

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Remember the mean of ``labels``."""
        self.mean = float(np.nanmean(labels))

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(items,) the same number for each."""
        crystals = inputs.crystals
        sizes = {"graph": np.ones(len(crystals)), "node": crystals.n_atoms, "edge": np.diff(crystals.pair_ptr)}
        return np.full(int(sizes[self.level][rows].sum()), self.mean)
