"""Small runs of several targets of qm9_mini."""

from gbench.choices import Choices, resolve
from gbench.model import Model
from gbench.registry import model_class
from gbench.spec import RunSpec

ORBITALS = ("gap", "homo", "lumo")
TINY = {"training.epochs": 2, "model.hidden": 8, "model.layers": 1, "graph.cutoff": 2.5, "training.batch_size": 256}


def choices(*targets: str, **overrides: object) -> Choices:
    target, *beside = targets
    settings = {**TINY, **overrides}
    return Choices(model="cgcnn", dataset="qm9_mini", target=target, beside=tuple(beside), overrides=settings)


def spec(*targets: str, **overrides: object) -> RunSpec:
    return resolve(choices(*targets, **overrides))


def network_class(model: str) -> type[Model]:
    """The class of a model that is a network."""
    kind = model_class(model)
    assert issubclass(kind, Model)
    return kind


CGCNN = network_class("cgcnn")
