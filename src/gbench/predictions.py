"""Which item a prediction is about, as the predictions file writes it."""

import numpy as np
import pandas as pd

from gbench.crystals import Crystals, IntArray
from gbench.dataset import Dataset

IMAGE = ["image_a", "image_b", "image_c"]
KEYS = {"graph": ["id"], "node": ["id", "site"], "edge": ["id", "site", "other", *IMAGE]}
"""Columns that name an item of each level. Sites count from 0 within their crystal; the pair of an edge runs from
``site`` to ``other`` in the cell that ``image`` names."""


def item_frame(dataset: Dataset, target: str, items: IntArray) -> pd.DataFrame:
    """The key columns of the items at these positions of the label array; ``site`` is -1 for graph targets."""
    level, crystals = dataset.card.targets[target].level, dataset.crystals
    rows = dataset.row_of_item(target)[items]
    ids = np.array(crystals.ids, dtype=object)[rows]
    if level == "graph":
        return pd.DataFrame({"id": ids, "site": np.full(len(items), -1)})
    if level == "node":
        return pd.DataFrame({"id": ids, "site": items - crystals.ptr[rows]})
    return pd.DataFrame({"id": ids, **_pair_columns(crystals, items)})


def _pair_columns(crystals: Crystals, items: IntArray) -> dict[str, IntArray]:
    first = crystals.ptr[crystals.crystal_of_pair[items]]
    site, other = (crystals.pairs[items] - first[:, None]).T
    image = dict(zip(IMAGE, crystals.pair_image[items].T.astype(np.int64), strict=True))
    return {"site": site, "other": other, **image}


def item_positions(dataset: Dataset, target: str, frame: pd.DataFrame) -> IntArray:
    """Position in the label array of each row of ``frame``, -1 where the dataset has no such item.

    Raises:
        KeyError: a key column is missing.
    """
    keys = KEYS[dataset.card.targets[target].level]
    count = len(dataset.labels(target))
    known = item_frame(dataset, target, np.arange(count))[keys]
    known["position"] = np.arange(count)
    found = frame[keys].merge(known, how="left", on=keys)["position"]
    return np.asarray(found.fillna(-1).to_numpy(dtype=np.int64))
