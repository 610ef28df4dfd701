"""Frozen splits: small files under ``splits/`` that outlive any library's random numbers."""

import json
from pathlib import Path
from typing import Any

from gbench.cards import Frozen, Sha256, validate
from gbench.content import content
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.spec import AnySplit
from gbench.splitting import Split, fold_count, make_split
from gbench.storage import atomic_path


class FrozenFold(Frozen):
    """One fold: a letter per row of the dataset (r train, v validation, t test) and its hash."""

    sha256: Sha256
    parts: str


class FrozenSplit(Frozen):
    """All folds of one scheme with one set of parameters on one dataset version."""

    dataset: str
    version: str
    dataset_sha256: Sha256
    spec: dict[str, Any]
    """Scheme and parameters, without the fold."""
    folds: tuple[FrozenFold, ...]


def get_split(dataset: Dataset, spec: AnySplit) -> Split:
    """The split of a dataset: the frozen one if there is a file for exactly these parameters, else computed.

    Raises:
        SplitError: a frozen file that is damaged or belongs to another version of the dataset.
    """
    path = frozen_path(dataset.card.name, spec.scheme)
    if path.is_file():
        frozen = read_frozen(path, dataset)
        if frozen.spec == _parameters(spec):
            if spec.fold >= len(frozen.folds):
                raise SplitError(f"fold {spec.fold} does not exist; folds run from 0 to {len(frozen.folds) - 1}")
            return Split.from_code(frozen.folds[spec.fold].parts)
    return make_split(dataset, spec)


def read_frozen(path: Path, dataset: Dataset) -> FrozenSplit:
    """The file, verified against itself and the dataset.

    Raises:
        SplitError: it is damaged, or was made for other content.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SplitError(f"{path}: not valid JSON ({error}); restore it from version control") from error
    frozen = validate(FrozenSplit, raw, str(path), SplitError)
    if frozen.dataset_sha256 != dataset.sha256:
        raise SplitError(
            f"{path}: made for {frozen.dataset}@{frozen.version} ({frozen.dataset_sha256[:12]}...), this is "
            f"{dataset.card.name}@{dataset.card.version} ({dataset.sha256[:12]}...); freeze the split anew"
        )
    for number, fold in enumerate(frozen.folds):
        split = Split.from_code(fold.parts)
        if len(fold.parts) != len(dataset.crystals) or split.sha256 != fold.sha256:
            raise SplitError(f"{path}: fold {number} is damaged (hash differs); restore it from version control")
    return frozen


def freeze(dataset: Dataset, spec: AnySplit, folder: Path | None = None) -> Path:
    """Compute all folds of a scheme and write them to their file; returns its path.

    Raises:
        SplitError: the scheme is frozen already with other parameters, or has no folds on this dataset.
    """
    path = frozen_path(dataset.card.name, spec.scheme, folder)
    if path.is_file() and read_frozen(path, dataset).spec != _parameters(spec):
        raise SplitError(f"{path}: already frozen with other parameters, and results rest on it; choose another scheme")
    folds = []
    for fold in range(fold_count(dataset, spec)):
        split = make_split(dataset, spec.model_copy(update={"fold": fold}))
        folds.append(FrozenFold(sha256=split.sha256, parts=split.code))
    frozen = FrozenSplit(
        dataset=dataset.card.name,
        version=dataset.card.version,
        dataset_sha256=dataset.sha256,
        spec=_parameters(spec),
        folds=tuple(folds),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(frozen.model_dump(), indent=1) + "\n", encoding="utf-8")
    return path


def frozen_path(dataset: str, scheme: str, folder: Path | None = None) -> Path:
    """Where the frozen file of a scheme lies: ``splits/<dataset>/<scheme>.json``."""
    return (folder or content("splits")) / dataset / f"{scheme}.json"


def _parameters(spec: AnySplit) -> dict[str, Any]:
    return dict(sorted(spec.model_dump(mode="json", exclude={"fold"}).items()))
