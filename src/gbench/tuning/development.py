"""The data of a search: what a run learns from and is validated on, without its test rows."""

import numpy as np

from gbench.crystals import IntArray
from gbench.dataset import Dataset, load
from gbench.errors import DataError
from gbench.frozen import get_split
from gbench.prepare import Prepared
from gbench.spec import RunSpec
from gbench.splitting import Split


def development(spec: RunSpec) -> Prepared:
    """What a run of ``spec`` learns from and is validated on, and nothing else.

    Crystals and labels of the test part are not in the dataset that is returned, so no search can look at them; its
    split has an empty test part, and is not measured, for that would compare with test crystals.

    Raises:
        DataError: the train or the validation part has no label.
    """
    dataset = load(spec.dataset)
    split = get_split(dataset, spec.split)
    rows = np.union1d(split.train, split.val)
    # a hash of the whole would not be that of a part
    card = dataset.card.model_copy(update={"content_sha256": None})
    kept = Dataset(card, dataset.crystals.take(rows))
    labelled = kept.labelled_rows(spec.target)
    train, val = (_kept(rows, labelled, part) for part in (split.train, split.val))
    for part, name in ((train, "train"), (val, "validation")):
        if not len(part):
            raise DataError(
                f"no row of the {name} part has a label for {spec.target!r}; choose another target or split"
            )
    graphs = None if spec.graph is None else kept.graphs(spec.graph)
    return Prepared(kept, spec.target, Split(train, val, np.empty(0, np.int64)), None, graphs)


def _kept(rows: IntArray, labelled: IntArray, part: IntArray) -> IntArray:
    """Where the rows of a part are among ``rows``, if they are ``labelled``, which are counted there."""
    return np.intersect1d(np.searchsorted(rows, part), labelled)
