"""What there is: names, cards and code of datasets and models, found by folder."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gbench.cards import DatasetCard, ModelCard, read_card
from gbench.content import content, entries, user_datasets
from gbench.errors import CardError, SpecError, UnknownNameError, unknown
from gbench.plugins import Place, installed, installed_place, is_path, module_of, own_place, place_at
from gbench.spec import Origin, RunSpec

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
    """Names of all models: gbench's own, and those of installed packages."""
    return sorted({*own_model_names(), *installed()})


def own_model_names() -> list[str]:
    """Names of the models that come with gbench."""
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


def model_card(model: str) -> ModelCard:
    """The card of a model, given by its name or, with a separator as in ``./my_model``, by its folder.

    Raises:
        UnknownNameError: no such model.
        CardError: no such folder, or its card breaks the schema.
    """
    return read_card(ModelCard, place_at(model).folder / "card.yaml") if is_path(model) else named_model_card(model)


@cache
def named_model_card(name: str) -> ModelCard:
    """The card of a model, given by its name."""
    return read_card(ModelCard, _place(name).folder / "card.yaml")


def model_origin(model: str) -> Origin | None:
    """Where a model from outside comes from, and what is in it; None for gbench's own.

    Raises:
        UnknownNameError: no such model.
        CardError: no such folder, or no card in it.
    """
    return _place(model).origin


def model_class(model: str) -> "type[Predictor]":
    """The class a model's ``model.py`` defines. The code of a folder runs only here, because somebody named it.

    Raises:
        UnknownNameError: no such model.
        CardError: the card or the code cannot be read, or the module defines no class of a model, or several.
    """
    from gbench.model import Predictor

    model_card(model)
    place = _place(model)
    module = module_of(place)
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Predictor) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = " and ".join(member.__name__ for member in found) or "none"
        where = place.folder / "model.py" if place.origin else f"baselines/{place.name}/model.py"
        raise CardError(f"{where} must define exactly one Model or Estimator, it defines {names}")
    return found[0]


def class_of(spec: RunSpec) -> "type[Predictor]":
    """The class of the model a spec names, if its code is what it was when the spec was made.

    Raises:
        SpecError: a model from outside that changed, or that is not installed.
    """
    was = spec.origin
    if was is not None and was.package is not None and spec.model not in installed():
        raise SpecError(f"model {spec.model!r} comes from {was.package}, which is not installed here; install it")
    now = model_origin(spec.reference)
    if (now and now.sha256) != (was and was.sha256):
        raise SpecError(
            f"model {spec.reference!r} is not what it was when this spec was made: its card and code have another "
            "hash; leave out --spec for a new run"
        )
    return model_class(spec.reference)


def _place(model: str) -> Place:
    if is_path(model):
        return place_at(model)
    if model in own_model_names():
        return own_place(model)
    if model in installed():
        return installed_place(model)
    if (Path(model) / "card.yaml").is_file():
        raise UnknownNameError(f"no model {model!r}, but there is a folder of that name; write it as ./{model}")
    raise unknown("model", model, model_names(), "gbench models list")


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
