"""Citations as BibTeX."""

import re

from gbench.cards import Citation, DatasetCard

SPECIAL = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"} | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}"}
)


def bibtex(card: DatasetCard) -> str:
    """One ``@misc`` entry for a dataset version, with the full citation as its note."""
    # a citation of several works has no one first author
    authors = None if ";" in card.citation.text else re.match(r"(.+?) et al\.?,", card.citation.text)
    year = year_of(card.citation)
    fields = {
        "title": "{" + _escaped(card.title) + "}",
        "author": _escaped(authors[1]) + " and others" if authors else "",
        "year": str(year or ""),
        "version": _escaped(card.version),
        "note": _escaped(card.citation.text),
        "doi": card.citation.doi or "",
    }
    key = re.sub(r"[^A-Za-z0-9]+", "_", f"{card.name}_{card.version}")
    lines = [f"  {name:<7} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def year_of(citation: Citation) -> int | None:
    """The year of a citation: the last one that its text names."""
    years = re.findall(r"\b(?:19|20)\d\d\b", re.sub(r"10\.\d{4,}/\S+", "", citation.text))
    return int(years[-1]) if years else None


def _escaped(text: str) -> str:
    return " ".join(text.split()).translate(SPECIAL)
