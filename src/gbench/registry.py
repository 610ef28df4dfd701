"""What there is: names, cards and code of datasets and models, found by folder."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gbench.cards import DatasetCard, ModelCard, read_card
from gbench.content import content, entries, user_datasets
from gbench.errors import CardError, unknown

if TYPE_CHECKING:
    from gbench.crystals import Crystals
    from gbench.model import Predictor


def dataset_names() -> list[str]:
    """Names of all datasets: those that come with gbench, and those a user added."""
    added = {path.parent.name for path in user_datasets().glob("*/card.yaml")}
    return sorted(added.union(entries("datasets")))


def dataset_folder(name: str) -> Path:
    """The folder that holds a dataset's card. gbench's own come first: a name always means the same published data."""
    own = content("datasets") / name
    return own if (own / "card.yaml").is_file() else user_datasets() / name


def model_names() -> list[str]:
    """Names of all models."""
    return entries("baselines")


@cache
def dataset_card(name: str) -> DatasetCard:
    """The card of a dataset.

    Raises:
        UnknownNameError: no such dataset.
        CardError: its card breaks the schema.
    """
    if name not in dataset_names():
        raise unknown("dataset", name, dataset_names(), "gbench datasets list")
    return read_card(DatasetCard, dataset_folder(name) / "card.yaml")


@cache
def model_card(name: str) -> ModelCard:
    """The card of a model.

    Raises:
        UnknownNameError: no such model.
        CardError: its card breaks the schema.
    """
    if name not in model_names():
        raise unknown("model", name, model_names(), "gbench models list")
    return read_card(ModelCard, content("baselines") / name / "card.yaml")


def model_class(name: str) -> "type[Predictor]":
    """The class a model's ``model.py`` defines.

    Raises:
        CardError: the module defines none, or several.
    """
    from gbench.model import Predictor

    model_card(name)
    module = importlib.import_module(f"gbench.baselines.{name}.model")
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Predictor) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = [member.__name__ for member in found]
        raise CardError(f"baselines/{name}/model.py must define exactly one Model or Estimator, it defines {names}")
    return found[0]


def loader(name: str) -> "Callable[..., Crystals]":
    """The ``load`` function of a dataset: source files or folders of members, in the card's order -> crystals.

    A dataset without a ``load.py`` is a Parquet file of ours. Code is loaded from gbench's own folders alone.
    """
    if not (content("datasets") / name / "load.py").is_file():
        return _read_parquet
    module = importlib.import_module(f"gbench.datasets.{name}.load")
    load: Callable[..., Crystals] = module.load
    return load


def _read_parquet(files: Sequence[Path]) -> "Crystals":
    from gbench.crystals import Crystals

    (path,) = files
    return Crystals.read(path)
