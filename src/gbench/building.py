"""The network that a spec describes."""

import torch

from gbench.cards import Target
from gbench.errors import SpecError
from gbench.members import together
from gbench.model import Head, Model
from gbench.registry import class_of
from gbench.spec import RunSpec, Training


def network_class(spec: RunSpec) -> type[Model]:
    """The class of the network of a spec.

    Raises:
        SpecError: the model fits itself, or changed since the spec was made.
    """
    kind = class_of(spec)
    if not issubclass(kind, Model) or spec.training is None:
        raise SpecError(f"model {spec.model!r} is no network that is trained by the loop; choose one of those that are")
    return kind


def training_of(spec: RunSpec) -> Training:
    """How the network of a spec is trained.

    Raises:
        SpecError: as :func:`network_class`.
    """
    network_class(spec)
    assert spec.training is not None
    return spec.training


def dtype_of(training: Training) -> torch.dtype:
    """Of weights and of what a network is given; ``bfloat16`` is that of matrix products alone."""
    return torch.float64 if training.precision == "float64" else torch.float32


def build_network(spec: RunSpec, about: Target) -> Model:
    """The network of a spec with new weights, or its members, with an output for each target it learns.

    ``about`` is what the card says of one of the targets, which are all of a kind.

    Raises:
        SpecError: as :func:`network_class`.
    """
    kind, training = network_class(spec), training_of(spec)
    config, head = kind.Config.model_validate(spec.config), Head(about.level, len(spec.learned), about.directed)
    return together(lambda: kind(config, head), training.members).to(dtype_of(training))
