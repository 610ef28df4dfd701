"""What the words of a command line, or of a line of a suite, mean."""

from typing import Any, NamedTuple

from gbench.cards import Settings
from gbench.choices import Choices, resolve
from gbench.errors import SpecError, unknown
from gbench.registry import dataset_card, model_card, model_names


class Targets(NamedTuple):
    """The target of a run, and those that its network learns besides."""

    target: str
    beside: tuple[str, ...] = ()


def targets_of(dataset: str, text: str) -> Targets:
    """The targets of ``gap,homo`` taken apart; a target may have a comma in its own name.

    Raises:
        UnknownNameError: no such dataset.
    """
    if text in dataset_card(dataset).targets:
        return Targets(text)
    target, *beside = (name.strip() for name in text.split(","))
    return Targets(target, tuple(beside))


def framework_setting(model: str, framework: str) -> Settings:
    """A framework, ``pyg`` or ``dgl``, as a setting of the model; none where the model has no choice.

    Raises:
        UnknownNameError: no such model or framework.
        SpecError: a model that does not run on it.
    """
    if framework not in ("pyg", "dgl"):
        raise unknown("framework", framework, ("pyg", "dgl"))
    card = model_card(model)
    if (framework == "pyg" and card.framework == "pyg") or (framework == "dgl" and card.dgl):
        return {"model.framework": framework} if card.dgl else {}
    cards = [model_card(name) for name in model_names()]
    able = [card.name for card in cards if (card.dgl if framework == "dgl" else card.framework == "pyg")]
    raise SpecError(f"model {model!r} does not run on {framework}; with {framework}: {', '.join(able)}")


def folds_of(choices: Choices, fold: Any, where: str = "--fold") -> list[int]:
    """The numbers of ``3``, ``[0, 1]`` or ``all``; ``where`` names what was written.

    Raises:
        SpecError: no number from 0.
        GbenchError: for ``all``, a dataset that cannot be had or cannot be split so.
    """
    if fold == "all":
        from gbench.dataset import load
        from gbench.splitting import fold_count

        return list(range(fold_count(load(choices.dataset), resolve(choices).split)))
    numbers = fold if isinstance(fold, list) else [fold]
    if not all(str(number).isdecimal() for number in numbers):
        raise SpecError(f"{where} {fold}: give a number from 0, or `all`")
    return [int(number) for number in numbers]
