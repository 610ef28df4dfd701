"""Elements of the sites of a CIF, from type symbols or from labels."""

import re
from functools import lru_cache
from typing import NoReturn

import gemmi

from gbench.elements import symbols
from gbench.errors import DataError


@lru_cache(maxsize=1024)
def _element(symbol: str) -> int:
    """Atomic number, or 0."""
    table = symbols()
    return table.index(symbol) + 1 if symbol in table else 0


@lru_cache(maxsize=4096)
def _of_type(symbol: str) -> int:
    """Atomic number of ``Fe``, ``FE`` or ``Fe3+``; 0 if it is none."""
    match = re.fullmatch(r"([A-Za-z]{1,2})(?:[0-9.]*[+-]?|[+-]?[0-9.]*)", symbol)
    return _element(match[1].capitalize()) if match else 0


def number_of_type(symbol: str, label: str) -> int:
    """Atomic number of a site's ``_atom_site_type_symbol``.

    Raises:
        DataError: none of H to Lr.
    """
    return _of_type(symbol) or _of_type(gemmi.cif.as_string(symbol)) or _unknown_element(symbol, label)


def number_of_label(label: str) -> int:
    """Atomic number of a site's label, ``Fe1`` or ``O2A``: the longest symbol that is written as one.

    Raises:
        DataError: none of H to Lr, or all in capitals and readable as two elements.
    """
    match = re.match(r"([A-Z])([A-Za-z]?)", gemmi.cif.as_string(label))
    if match is None:
        return _unknown_element(label, label)
    short, long = _element(match[1]), _element(match[0].capitalize())
    if short and long and len(match[0]) == 2 and match[2].isupper():
        raise DataError(
            f"site {label!r} may be {match[1]} or {match[0].capitalize()}; name its element in _atom_site_type_symbol"
        )
    return (long if match[2].islower() or not short else short) or _unknown_element(label, label)


def _unknown_element(symbol: str, label: str) -> NoReturn:
    bare = re.match(r"[A-Za-z]*", symbol)
    if bare and bare[0] in ("D", "T"):
        raise DataError(f"site {label!r} is the hydrogen isotope {bare[0]}; write H, isotopes are not told apart")
    raise DataError(f"site {label!r} has element {symbol!r}, which is none of H to Lr")
