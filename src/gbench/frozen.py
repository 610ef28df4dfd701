"""Frozen splits: small files under ``splits/`` that outlive any library's random numbers."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Self

from gbench.cards import Frozen, Sha256, validate
from gbench.content import content
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.spec import SplitSpec
from gbench.splitting import Split, fold_count, make_split
from gbench.storage import atomic_path

NAMED = 20
"""Longer lists of what is held out are left out of a file: formulas, prototypes."""


class FrozenFold(Frozen):
    """One fold: which part each row of the dataset is in, and the hash of that."""

    sha256: Sha256
    """Of a letter per row: r train, v validation, t test."""
    parts: str
    """The letters, compressed by zlib and written in base64."""
    held_out: tuple[str, ...] = ()
    """Names of what test is made of, where the scheme has names and they are few."""

    @classmethod
    def of(cls, split: Split) -> Self:
        """A split as it is written."""
        packed = base64.b64encode(zlib.compress(split.code.encode(), level=9)).decode()
        return cls(sha256=split.sha256, parts=packed, held_out=split.held_out if len(split.held_out) <= NAMED else ())

    def split(self) -> Split:
        """The split that was written.

        Raises:
            SplitError: the letters are not those that were hashed.
        """
        try:
            code = zlib.decompress(base64.b64decode(self.parts, validate=True)).decode("ascii")
        except (ValueError, zlib.error) as error:
            raise SplitError("its parts cannot be unpacked") from error
        split = Split.from_code(code, self.held_out)
        if split.sha256 != self.sha256:
            raise SplitError("its hash differs")
        return split


class FrozenSplit(Frozen):
    """All folds of one scheme with one set of parameters on one dataset version."""

    dataset: str
    version: str
    dataset_sha256: Sha256
    spec: dict[str, Any]
    """Scheme and parameters, without the fold."""
    folds: tuple[FrozenFold, ...]


def get_split(dataset: Dataset, spec: SplitSpec) -> Split:
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
            return frozen.folds[spec.fold].split()
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
        try:
            rows = len(fold.split().code)
        except SplitError as error:
            raise SplitError(f"{path}: fold {number} is damaged ({error}); restore it from version control") from error
        if rows != len(dataset.crystals):
            raise SplitError(
                f"{path}: fold {number} has {rows} rows, the dataset {len(dataset.crystals)}; freeze it anew"
            )
    return frozen


def freeze(dataset: Dataset, spec: SplitSpec, folder: Path | None = None) -> Path:
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
        folds.append(FrozenFold.of(split))
    frozen = FrozenSplit(
        dataset=dataset.card.name,
        version=dataset.card.version,
        dataset_sha256=dataset.sha256,
        spec=_parameters(spec),
        folds=tuple(folds),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(frozen.model_dump(exclude_defaults=True), indent=1) + "\n", encoding="utf-8")
    return path


def frozen_path(dataset: str, scheme: str, folder: Path | None = None) -> Path:
    """Where the frozen file of a scheme lies: ``splits/<dataset>/<scheme>.json``."""
    return (folder or content("splits")) / dataset / f"{scheme}.json"


def _parameters(spec: SplitSpec) -> dict[str, Any]:
    return dict(sorted(spec.model_dump(mode="json", exclude={"fold"}).items()))
