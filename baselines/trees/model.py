"""Ensembles of decision trees on composition, structure and site statistics."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from gbench.cards import Frozen
from gbench.crystals import IntArray
from gbench.features import composition_statistics, pair_features, site_statistics, structure_statistics
from gbench.model import Estimator, FloatArray, Inputs

BOOSTING = {"min_samples_leaf": 20, "learning_rate": 0.05}


class TreesConfig(Frozen):
    """Settings of :class:`Trees`."""

    kind: Literal["extra-trees", "hist-gradient-boosting"] = "extra-trees"
    """Trees grown apart and averaged, or each on what those before it left."""
    trees: int = 300
    max_features: float = 0.5
    min_samples_leaf: int = 1
    """1, or 20 under ``hist-gradient-boosting``, unless chosen."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of ``hist-gradient-boosting``: share of each tree that is taken; 0.05 unless chosen."""

    @model_validator(mode="before")
    @classmethod
    def _boosting_has_defaults_of_its_own(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping) and settings.get("kind") == "hist-gradient-boosting":
            return {**BOOSTING, **{key: value for key, value in settings.items() if value is not None}}
        if isinstance(settings, Mapping) and settings.get("learning_rate") is not None:
            raise ValueError("learning_rate belongs to kind 'hist-gradient-boosting'; extra-trees have none")
        return settings

    @model_serializer(mode="wrap")
    def _without_what_is_of_boosting(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # extra-trees were there first: their specs are written, and hashed, as before there was a choice
        written: dict[str, Any] = serialize(self)
        if self.kind == "extra-trees":
            written = {key: value for key, value in written.items() if key not in ("kind", "learning_rate")}
        return written


class Trees(Estimator):
    """Trees over Magpie-style composition statistics and structure statistics.

    For sites, over what is around them besides; for pairs, over that of both and how far apart they are.

    Source: extra-trees, https://doi.org/10.1007/s10994-006-6226-1; histogram gradient boosting after LightGBM,
    https://papers.nips.cc/paper/6907; both scikit-learn's.
    """

    Config = TreesConfig
    uses_graph = True
    config: TreesConfig

    def fit(self, inputs: Inputs, rows: IntArray, labels: FloatArray) -> None:
        """Grow the trees."""
        known = self.learned_from(labels)
        self.lowest, self.highest = labels[known].min(), labels[known].max()
        self.trees = self._ensemble()
        self.trees.fit(self._features(inputs, rows, known), labels[known])

    def predict(self, inputs: Inputs, rows: IntArray) -> FloatArray:
        """(rows,), (their atoms,) or (their pairs,) predictions."""
        if self.config.kind == "extra-trees":
            # threads would add the trees up in any order, and the last bit with it
            self.trees.n_jobs = 1
        predicted: FloatArray = self.trees.predict(self._features(inputs, rows))
        if self.config.kind == "hist-gradient-boosting":
            # it may overshoot the labels it was shown, and 1.02 is no probability
            predicted = np.clip(predicted, self.lowest, self.highest)
        return predicted

    def _ensemble(self) -> Any:
        config = self.config
        if config.kind == "extra-trees":
            return ExtraTreesRegressor(
                config.trees,
                max_features=config.max_features,
                min_samples_leaf=config.min_samples_leaf,
                random_state=self.seed,
                n_jobs=-1,
            )
        # what stands there is a flag or "auto", of which type checkers see the second alone
        never: Any = False
        return HistGradientBoostingRegressor(
            max_iter=config.trees,
            max_features=config.max_features,
            min_samples_leaf=config.min_samples_leaf,
            learning_rate=config.learning_rate or BOOSTING["learning_rate"],
            # validation is not for estimators to look at, nor training for them to withhold
            early_stopping=never,
            random_state=self.seed,
        )

    def _features(self, inputs: Inputs, rows: IntArray, chosen: IntArray | None = None) -> FloatArray:
        """Of the rows, their atoms or their pairs; of the ``chosen`` of these alone if given."""
        graphs, crystals = inputs.require_graphs(), inputs.crystals
        of_crystals = np.concatenate([composition_statistics(crystals).values, structure_statistics(graphs).values], 1)
        items = self.items(crystals, rows)
        items = items if chosen is None else items[chosen]
        if self.level == "graph":
            return of_crystals[items]
        of_sites = site_statistics(graphs).values
        if self.level == "node":
            return np.concatenate([of_sites[items], of_crystals[crystals.crystal_of_atom[items]]], axis=1)
        of_pairs = pair_features(crystals, items, of_sites, directed=self.head.directed)
        return np.concatenate([of_pairs, of_crystals[crystals.crystal_of_pair[items]]], axis=1)
