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
        return np.full(len(self.items(inputs.crystals, rows)), self.mean)
