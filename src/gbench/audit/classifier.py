"""The two-sample test by a classifier: can test rows be told from training rows?"""

import numpy as np

from gbench.audit.card import TwoSample
from gbench.audit.facts import Facts, Parts

MOST_ROWS = 1500
"""Rows of each part that are given to the classifier."""
FOLDS = 5
TREES = 100


def tell_apart(facts: Facts, parts: Parts, seed: int = 0) -> TwoSample | None:
    """Cross-validated ROC AUC of a random forest that tells test from train by composition and structure.

    Folds keep rows of one reduced formula together: a copy of a test crystal would otherwise tell the classifier what
    its twin is. None where a part has fewer formulas than there are folds.

    Source: Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545 (classifier two-sample tests).
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(seed)
    train, test = (part[np.sort(rng.permutation(len(part))[:MOST_ROWS])] for part in (parts.train, parts.test))
    rows = np.concatenate([train, test])
    is_test = np.repeat([False, True], [len(train), len(test)])
    groups = np.unique(facts.formulas[rows], return_inverse=True)[1]
    if min(len(np.unique(groups[is_test])), len(np.unique(groups[~is_test]))) < FOLDS:
        return None
    found = np.empty(len(rows))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, asked in folds.split(rows, is_test, groups):
        forest = RandomForestClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=-1
        )
        forest.fit(facts.features[rows[fitted]], is_test[fitted])
        # threads would add the trees up in any order, and the last bit with it
        forest.n_jobs = 1
        found[asked] = np.asarray(forest.predict_proba(facts.features[rows[asked]]))[:, 1]
    return TwoSample(auc=float(roc_auc_score(is_test, found)), rows=len(rows))
