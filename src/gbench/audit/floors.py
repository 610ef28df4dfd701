"""What models without a graph reach on a split: the error that no one should be proud of."""

import numpy as np

from gbench.audit.card import Floor
from gbench.audit.facts import GRAPH, Facts, Parts, Progress, silent
from gbench.classification import classification_scores
from gbench.crystals import FloatArray, IntArray, ranges
from gbench.metrics import point_scores
from gbench.model import Estimator, Head, Inputs
from gbench.registry import model_card, model_class

FLOORS = ("dummy", "knn", "trees")
MOST_ROWS = 4000
"""Rows that a floor is trained and tested on; with more, trees would take minutes and hardly gain."""


def floors(facts: Facts, parts: Parts, target: str, progress: Progress = silent, seed: int = 0) -> tuple[Floor, ...]:
    """Scores of the train mean, the nearest neighbour and trees, as far as they predict at the target's level.

    They run with the settings of their cards. The score is the MAE for numbers, the ROC AUC for classes. Both parts are
    cut to ``MOST_ROWS`` random rows where they have more.
    """
    rng = np.random.default_rng(seed)
    train, test = (part[np.sort(rng.permutation(len(part))[:MOST_ROWS])] for part in (parts.train, parts.test))
    level = facts.dataset.card.targets[target].level
    names = [name for name in FLOORS if level in model_card(name).levels]
    found = []
    for number, name in enumerate(names):
        found.append(_floor(name, facts, target, train, test))
        progress("floors", number + 1, len(names))
    return tuple(floor for floor in found if floor is not None)


def _floor(name: str, facts: Facts, target: str, train: IntArray, test: IntArray) -> Floor | None:
    """None where the score is not defined: test holds one class only."""
    kind, about = model_class(name), facts.dataset.card.targets[target]
    if not issubclass(kind, Estimator):
        raise TypeError(f"{name} does not fit itself")
    head = Head(about.level, directed=about.directed)
    estimator = kind(kind.Config.model_validate(model_card(name).defaults.config), head, 0)
    inputs = Inputs.of(facts.dataset.crystals, facts.dataset.graphs(GRAPH) if kind.uses_graph else None)
    estimator.fit(inputs, train, _labels(facts, target, train))
    predicted, label = estimator.predict(inputs, test), _labels(facts, target, test)
    known = ~np.isnan(label)
    classes = about.task == "classification"
    scores = (classification_scores if classes else point_scores)(label[known], predicted[known])
    metric = "roc_auc" if classes else "mae"
    if metric not in scores:
        return None
    return Floor(
        model=name,
        metric="roc_auc" if classes else "mae",
        value=scores[metric],
        unit="1" if classes else about.unit,
        train_rows=len(train),
    )


def _labels(facts: Facts, target: str, rows: IntArray) -> FloatArray:
    """Labels of the items of rows, row by row in the given order."""
    owner = facts.dataset.row_of_item(target)
    starts = np.searchsorted(owner, np.arange(len(facts.dataset.crystals) + 1))
    return facts.dataset.labels(target)[ranges(starts[rows], starts[rows + 1])]
