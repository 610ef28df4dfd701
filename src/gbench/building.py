"""The network that a spec describes."""

from gbench.cards import Target
from gbench.errors import SpecError
from gbench.members import together
from gbench.model import Head, Model
from gbench.registry import class_of
from gbench.spec import RunSpec


def network_class(spec: RunSpec) -> type[Model]:
    """The class of the network of a spec.

    Raises:
        SpecError: the model fits itself, or changed since the spec was made.
    """
    kind = class_of(spec)
    if not issubclass(kind, Model) or spec.training is None:
        raise SpecError(f"model {spec.model!r} is no network that is trained by the loop; choose one of those that are")
    return kind


def build_network(spec: RunSpec, about: Target) -> Model:
    """The network of a spec with new weights, or its members, with an output for each target it learns.

    ``about`` is what the card says of one of the targets, which are all of a kind.

    Raises:
        SpecError: as :func:`network_class`.
    """
    kind = network_class(spec)
    config, head = kind.Config.model_validate(spec.config), Head(about.level, len(spec.learned), about.directed)
    return together(lambda: kind(config, head), spec.training.members if spec.training else 1)
