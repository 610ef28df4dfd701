"""Laws of estimators, the models that fit themselves."""

import numpy as np

from gbench.cards import Symmetry
from gbench.crystals import Crystals
from gbench.graphs import build_graphs
from gbench.laws.changes import WAYS
from gbench.laws.finding import TOLERANCE, Finding
from gbench.laws.subjects import claims, estimator, prototypes, shaken_prototypes
from gbench.model import Inputs
from gbench.registry import model_card
from gbench.spec import GraphSpec

ROWS = np.arange(0, 828, 8)


def keeps_what_it_claims(model: str, symmetry: Symmetry) -> Finding:
    """A symmetry that the card claims leaves predictions alone. One that it does not claim may do so by chance."""
    if "graph" not in model_card(model).levels:
        return Finding(law=symmetry, holds=None, note="checked of graph targets only")
    train, shown = prototypes().crystals.take(ROWS), shaken_prototypes()
    fitted = estimator(model)
    fitted.fit(inputs_of(train), np.arange(len(ROWS)), train.labels("e_form"))
    everything = np.arange(len(shown))
    before = fitted.predict(inputs_of(shown), everything)
    after = [fitted.predict(inputs_of(rewritten(shown)), everything) for rewritten in WAYS[symmetry]]
    change = max(float(np.abs(each - before).max()) for each in after)
    kept = change < TOLERANCE
    if claims(model, symmetry):
        return Finding(law=symmetry, holds=kept, largest=change, limit=TOLERANCE, note="claimed")
    note = "not claimed, but kept here" if kept else "not claimed, and not kept"
    return Finding(law=symmetry, holds=None if kept else True, largest=change, limit=TOLERANCE, note=note)


def same_seed_same_predictions(model: str) -> Finding:
    """Predictions depend on the seed alone."""
    inputs, labels = inputs_of(prototypes().crystals.take(ROWS)), prototypes().crystals.labels("e_form")[ROWS]
    predictions = []
    for _ in range(2):
        fitted = estimator(model)
        fitted.fit(inputs, np.arange(50), labels[:50])
        predictions.append(fitted.predict(inputs, np.arange(50, len(ROWS))))
    same = np.array_equal(predictions[0], predictions[1])
    return Finding(law="the same seed gives the same predictions", holds=same)


def inputs_of(crystals: Crystals) -> Inputs:
    """What an estimator may look at."""
    return Inputs(crystals, build_graphs(crystals, GraphSpec(on_short="grow")))
