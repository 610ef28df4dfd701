"""``gbench splits audit`` and ``compare``: the split card, and the cards of all schemes side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gbench.cli import complete
from gbench.cli.console import console, errors, print_json
from gbench.cli.watch import watched

if TYPE_CHECKING:
    from gbench.audit import Facts, SplitCard
    from gbench.audit.card import Depth
    from gbench.spec import SplitSpec

Dataset = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets)
]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Default: the dataset's own.")]
Deep = Annotated[
    Literal["quick", "full"],
    typer.Option("--depth", help="quick: sizes, overlap and shift in composition, in seconds. full: everything."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
OUT = Path("audits")


def audit(
    scheme: Annotated[str, typer.Argument(help="A name of `gbench splits list`.", autocompletion=complete.schemes)],
    dataset: Dataset = "pbe_prototypes",
    target: Target = None,
    fold: Annotated[str | None, typer.Option("--fold", "-f", help="A number from 0, or `all`; default 0.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="split.key=value.")] = None,
    depth: Deep = "full",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the card as JSON and as a page; default: audits/.")
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Store the cards of all folds beside the frozen split.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how hard a split is: overlap, near-duplicates, shift, floors; and say what it amounts to."""
    from gbench.audit import Facts
    from gbench.audit.page import write_card
    from gbench.audit.store import write_cards
    from gbench.choices import parse_overrides, split_spec
    from gbench.cli.card_text import show_card
    from gbench.dataset import load
    from gbench.errors import SplitError

    if freeze and fold not in (None, "all"):
        raise SplitError(f"--freeze stores the cards of all folds; leave out --fold {fold}")
    facts = Facts(load(dataset))
    name = _target(facts, target)
    spec = split_spec(scheme, parse_overrides(settings or []), target=name)
    if freeze:
        _refuse_unfrozen(facts, spec)
    cards = [_card(facts, one, name, depth) for one in _folds(facts, spec, "all" if freeze else fold or "0")]
    if as_json:
        shown = [card.model_dump(mode="json") for card in cards]
        print_json(shown[0] if len(shown) == 1 else shown)
    for number, card in enumerate(cards):
        if not as_json:
            console.print("\n" if number else "", end="")
            show_card(card)
        if out or not as_json:
            page = write_card(card, out or OUT)
            errors.print(f"page  {page.resolve().as_uri()}", soft_wrap=True)
    if freeze:
        errors.print(f"wrote {write_cards(cards)}", soft_wrap=True)


def compare(
    dataset: Dataset = "pbe_prototypes",
    target: Target = None,
    schemes: Annotated[
        list[str] | None,
        typer.Option("--split", "-s", help="Only these; give it again for more.", autocompletion=complete.schemes),
    ] = None,
    fold: Annotated[str, typer.Option("--fold", "-f", help="A number from 0, or `all` for means.")] = "0",
    depth: Deep = "full",
    as_json: AsJson = False,
) -> None:
    """The cards of all schemes on a dataset side by side, the easiest first."""
    from gbench.audit import Facts
    from gbench.choices import split_spec
    from gbench.cli.card_text import show_comparison
    from gbench.dataset import load
    from gbench.errors import GbenchError
    from gbench.splitting import schemes as all_schemes

    facts = Facts(load(dataset))
    name = _target(facts, target)
    rows: dict[str, list[SplitCard]] = {}
    left_out: dict[str, str] = {}
    for scheme in schemes or all_schemes():
        try:
            spec = split_spec(scheme, {}, target=name)
            rows[scheme] = [_card(facts, one, name, depth) for one in _folds(facts, spec, fold)]
        except GbenchError as error:
            if schemes:
                raise
            left_out[scheme] = str(error)
    if as_json:
        print_json({scheme: [card.model_dump(mode="json") for card in cards] for scheme, cards in rows.items()})
        return
    show_comparison(rows, left_out)


def _target(facts: "Facts", target: str | None) -> str:
    from gbench.errors import unknown

    card = facts.dataset.card
    if target is not None and target not in card.targets:
        raise unknown("target", target, card.targets)
    return target or card.default_target


def _folds(facts: "Facts", spec: "SplitSpec", fold: str) -> "list[SplitSpec]":
    from gbench.errors import SpecError
    from gbench.splitting import fold_count

    if fold != "all" and not fold.isdigit():
        raise SpecError(f"--fold {fold}: give a number from 0, or `all`")
    numbers = range(fold_count(facts.dataset, spec)) if fold == "all" else [int(fold)]
    return [spec.model_copy(update={"fold": number}) for number in numbers]


def _card(facts: "Facts", spec: "SplitSpec", target: str, depth: "Depth") -> "SplitCard":
    from gbench.audit import get_card
    from gbench.frozen import get_split

    split = get_split(facts.dataset, spec)
    with watched(f"{spec.scheme}, fold {spec.fold}") as progress:
        return get_card(facts, split, spec, target, depth, progress)


def _refuse_unfrozen(facts: "Facts", spec: "SplitSpec") -> None:
    from gbench.errors import SplitError
    from gbench.frozen import get_split

    if not get_split(facts.dataset, spec).frozen:
        name = facts.dataset.card.name
        raise SplitError(
            f"{spec.scheme} is not frozen on {name} with these parameters; first: "
            f"gbench splits make {spec.scheme} --dataset {name} --freeze"
        )
