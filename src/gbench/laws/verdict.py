"""Which laws a model is held to, and what was found."""

from collections.abc import Callable
from functools import partial
from typing import get_args

from gbench.cards import Frozen, ModelCard, Symmetry
from gbench.errors import CardError
from gbench.laws import estimators, networks
from gbench.laws.finding import Finding
from gbench.model import Model
from gbench.model_facts import ModelFacts, facts_of
from gbench.registry import model_card, model_class, model_origin
from gbench.spec import Origin

Law = Callable[[str], Finding]


class Report(Frozen):
    """What was found of a model."""

    model: str
    origin: Origin | None
    """Of a model from outside: the hash of the card and code that were looked at."""
    findings: tuple[Finding, ...]
    facts: ModelFacts | None = None
    """Size and reach; None where its code cannot be built at all."""

    @property
    def holds(self) -> bool:
        """Whether no law is broken."""
        return all(finding.holds is not False for finding in self.findings)


def laws_of(model: str) -> list[str]:
    """Names of the laws that a model is held to.

    Raises:
        GbenchError: no such model, or its card or code cannot be read.
    """
    return list(_laws(model))


def examine(model: str, law: str) -> Finding:
    """What is found when one of :func:`laws_of` is held over a model. Errors that its code raises are raised.

    Raises:
        CardError: the model is not held to that law.
    """
    laws = _laws(model)
    if law not in laws:
        raise CardError(f"model {model!r} is not held to a law {law!r}; its laws: {', '.join(laws)}")
    return laws[law](model).model_copy(update={"law": law})


def check(model: str, progress: Callable[[str], object] = lambda _: None) -> Report:
    """Hold every law over a model; ``progress`` hears of each before it is held. An error breaks the law it comes from.

    Raises:
        GbenchError: no such model, or its card or code cannot be read.
    """
    findings = []
    for law in laws_of(model):
        progress(law)
        try:
            findings.append(examine(model, law))
        except Exception as error:
            # whatever the code of a model raises, the other laws are still worth knowing
            what = str(error).splitlines()[:1] or ["no message"]
            findings.append(Finding(law=law, holds=False, note=f"{type(error).__name__}: {what[0]}"))
    return Report(
        model=model_card(model).name, origin=model_origin(model), findings=tuple(findings), facts=_facts(model)
    )


def _facts(model: str) -> ModelFacts | None:
    try:
        return facts_of(model)
    except Exception:
        # the laws have said what is wrong with the code
        return None


def _laws(model: str) -> dict[str, Law]:
    card = model_card(model)
    kind = model_class(model)
    return dict(_of_network(card, kind) if issubclass(kind, Model) else _of_estimator())


def _of_estimator() -> dict[str, Law]:
    laws: dict[str, Law] = {
        symmetry: partial(estimators.keeps_what_it_claims, symmetry=symmetry) for symmetry in get_args(Symmetry)
    }
    return laws | {"the same seed gives the same predictions": estimators.same_seed_same_predictions}


def _of_network(card: ModelCard, kind: type[Model]) -> dict[str, Law]:
    laws: dict[str, Law] = {
        symmetry: partial(networks.keeps_what_it_claims, symmetry=symmetry) for symmetry in get_args(Symmetry)
    }
    laws["predictions differ between crystals"] = networks.predictions_differ
    for level in card.levels:
        laws[f"a batch equals its members, {level} level"] = partial(networks.batch_equals_singles, level=level)
    if "edge" in card.levels:
        laws["undirected pairs have one value"] = networks.undirected_pairs_have_one_value
    laws |= {
        "the same seed gives the same weights": networks.same_seed_same_weights,
        "finite gradients reach every parameter": networks.gradients_reach_every_parameter,
        "finite on a one-atom cell": partial(networks.finite_on_one_atom, cell=3.2, cutoff=5.0),
        "finite with 300 neighbours": partial(networks.finite_on_one_atom, cell=2.0, cutoff=8.5),
        "embeddings of the input and each hop": networks.embeddings_are_one_per_hop,
        "it overfits ten crystals": networks.overfits_ten_crystals,
    }
    for level in card.levels if kind.sees else ():
        law = f"merging what looks alike changes nothing, {level} level"
        laws[law] = partial(networks.merging_changes_nothing, level=level)
    for level in card.levels if card.dgl else ():
        laws[f"PyG and DGL agree, {level} level"] = partial(networks.frameworks_agree, level=level)
    return laws
