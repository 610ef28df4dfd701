"""Models from outside: a folder that somebody names, or an installed package of the group ``gbench.baselines``."""

import importlib
import importlib.util
import os
import sys
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from gbench.archives import sha256_of_files
from gbench.content import content, entries
from gbench.errors import CardError
from gbench.spec import Origin

GROUP = "gbench.baselines"
"""Entry point group: the name is the model's, the value a package with ``card.yaml`` and ``model.py``."""


class Place(NamedTuple):
    """Where a model lies."""

    name: str
    folder: Path
    """Holds ``card.yaml`` and ``model.py``."""
    package: str
    """What ``model.py`` is imported under."""
    origin: Origin | None
    """None for gbench's own."""


def is_path(model: str) -> bool:
    """Whether a model is named by its folder: with a separator, as in ``./my_model``."""
    return "/" in model or os.sep in model or model in (".", "..")


def own_place(name: str) -> Place:
    """A model of gbench's own."""
    return Place(name, content("baselines") / name, f"gbench.baselines.{name}", None)


def place_at(model: str) -> Place:
    """The model in a folder.

    Raises:
        CardError: no such folder, no card in it, or a name that gbench's own models have or Python cannot import.
    """
    # of "." and ".." the name is that of the folder they stand for
    folder = Path(model) if Path(model).name not in ("", "..") else Path(os.path.abspath(model))  # noqa: PTH100
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise CardError(f"{model}: {what}; name the folder that holds a model's card.yaml and model.py")
    if folder.resolve() == (content("baselines") / folder.name).resolve():
        return own_place(folder.name)
    if not (folder / "card.yaml").is_file():
        raise CardError(f"{model}: no card.yaml in it; `gbench models new NAME` writes a model to begin with")
    _check_name(folder.name, str(folder))
    origin = Origin(sha256=code_sha256(folder), path=model)
    return Place(folder.name, folder, f"gbench_model_{folder.name}_{origin.sha256[:16]}", origin)


def installed() -> dict[str, EntryPoint]:
    """Entry points of the models that installed packages offer, by name; names of gbench's own are left out."""
    return {name: point for name, point in _offered().items() if name not in entries("baselines")}


def shadowed() -> list[str]:
    """A sentence on each installed model that cannot be reached, because gbench has a model of that name."""
    taken = set(_offered()).intersection(entries("baselines"))
    return [
        f"{_package(_offered()[name])} offers a model {name!r}, which gbench has itself; it must take another name"
        for name in sorted(taken)
    ]


@cache
def installed_place(name: str) -> Place:
    """The model that an installed package offers.

    Raises:
        CardError: what the entry point names is no package with a card of that name.
    """
    point = installed()[name]
    where = f"{_package(point)}, entry point {name!r} of {GROUP}"
    try:
        found = importlib.util.find_spec(point.value)
    except ImportError as error:
        raise CardError(f"{where}: {point.value} cannot be imported: {error}") from error
    if found is None or not found.submodule_search_locations:
        raise CardError(f"{where}: {point.value} is no package; it must hold card.yaml and model.py")
    folder = Path(next(iter(found.submodule_search_locations)))
    if folder.name != name:
        raise CardError(f"{where}: the package lies in {folder.name}; a model, its folder and its card have one name")
    return Place(name, folder, point.value, Origin(sha256=code_sha256(folder), package=_package(point)))


def code_sha256(folder: Path) -> str:
    """Hash of a model's card and code: every ``.py`` below its folder that is no test."""
    code = [path for path in folder.rglob("*.py") if not path.name.startswith("test_")]
    return sha256_of_files(folder, [folder / "card.yaml", *code])


def module_of(place: Place) -> ModuleType:
    """The module ``model.py``, run once in a process for each content.

    Raises:
        CardError: there is none, it is not Python, or it imports what is not there.
    """
    path = place.folder / "model.py"
    if not path.is_file():
        raise CardError(f"{path}: no such file; it must define exactly one Model or Estimator")
    try:
        if place.origin is None or place.origin.path is None:
            return importlib.import_module(f"{place.package}.model")
        return _imported(place.package, path)
    except SyntaxError as error:
        raise CardError(f"{error.filename}:{error.lineno}: {error.msg}; mend the code") from error
    except ImportError as error:
        raise CardError(f"{path}: cannot be imported: {error}; install what is missing or mend the import") from error


class _FromSource(SourceFileLoader):
    """Compiles what is there: a cached compilation is told from its source by the second, and its hash would lie."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return self.source_to_code(self.get_data(self.path), self.path)


def _imported(package: str, path: Path) -> ModuleType:
    name = f"{package}.model"
    if name in sys.modules:
        return sys.modules[name]
    parent = ModuleType(package)
    # so that model.py can import its neighbours: from .layers import Convolution
    parent.__path__ = [str(path.parent)]
    spec = ModuleSpec(name, _FromSource(name, str(path)), origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[package], sys.modules[name] = parent, module
    try:
        _FromSource(name, str(path)).exec_module(module)
    except BaseException:
        del sys.modules[package], sys.modules[name]
        raise
    return module


def _check_name(name: str, where: str) -> None:
    if name in entries("baselines"):
        raise CardError(f"{where}: gbench has a model {name!r} itself; give the folder and its card another name")
    if not name.isidentifier():
        raise CardError(f"{where}: {name!r} cannot be imported; use letters, digits and _ for the folder and its card")


@cache
def _offered() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found:
            both = " and ".join(sorted({_package(found[point.name]), _package(point)}))
            raise CardError(f"{both} both offer a model {point.name!r}; uninstall one of them")
        found[point.name] = point
    return found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name}=={point.dist.version}" if point.dist else point.value
