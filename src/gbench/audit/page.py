"""The card as a page: one file, readable without a network."""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from gbench.audit.card import SplitCard
from gbench.audit.drawing import Drawing, bars, scatter
from gbench.audit.verdict import LEAK_SHARE, OOD_AUC, OOD_RATIO, STRONG_KS, STRONG_RATIO, percent
from gbench.choices import split_spec
from gbench.content import content
from gbench.site.pages import environment, scheme_words
from gbench.storage import atomic_path

LIMITS = {
    "leak": LEAK_SHARE,
    "ratio": OOD_RATIO,
    "auc": OOD_AUC,
    "strong": STRONG_RATIO,
    "ks": STRONG_KS,
}


def write_card(card: SplitCard, out: Path) -> Path:
    """Write a card as ``<dataset>-<scheme>-<fold>.json`` and ``.html`` into a folder; returns the path of the page."""
    page = out / f"{card.dataset}-{card.split['scheme']}-{card.split['fold']}.html"
    with atomic_path(page.with_suffix(".json")) as temporary:
        temporary.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    with atomic_path(page) as temporary:
        temporary.write_text(render(card), encoding="utf-8")
    return page


def render(card: SplitCard) -> str:
    """The page as text."""
    folder = content("leaderboard") / "templates"
    templates = environment(folder)
    style = Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in ("style.css", "split.css")))  # noqa: S704 - our own files
    return templates.get_template("split.html.j2").render(
        card=card,
        style=style,
        policy=_policy(style),
        words=scheme_words(card.split["scheme"]),
        parameters=_parameters(card),
        limits=LIMITS,
        share=percent,
        scatter=scatter(card.points) if card.points else None,
        histograms=_histograms(card),
        command=_command(card),
    )


def _policy(style: str) -> str:
    # inlined and allowed by hash: browsers disagree on what 'self' is for file://
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _parameters(card: SplitCard) -> dict[str, object]:
    return {key: value for key, value in card.split.items() if key != "scheme"}


def _histograms(card: SplitCard) -> list[tuple[str, str, str, Drawing]]:
    """Caption, title of the axis, what the outline is, and the drawing."""
    entries = [
        ("Compositions: distance to the nearest in train", "distance", "dealt at random", card.composition.histogram),
        (
            "Structures: distance to the nearest in train",
            "distance",
            "dealt at random",
            card.structure.histogram if card.structure else None,
        ),
        (f"Labels: {card.target}", card.unit, "train", card.target_shift.histogram),
    ]
    return [(caption, axis, other, bars(drawn)) for caption, axis, other, drawn in entries if drawn]


def _command(card: SplitCard) -> str:
    """The command that measures the card again."""
    scheme = card.split["scheme"]
    usual = split_spec(scheme, {}, target=card.target).model_dump(mode="json")
    own = {key: value for key, value in card.split.items() if key not in ("scheme", "fold") and value != usual.get(key)}
    settings = "".join(f" --set split.{key}={value}" for key, value in own.items())
    where = f"--dataset {card.dataset} --target {card.target} --fold {card.split['fold']}"
    return f"gbench splits audit {scheme} {where}{settings}"
