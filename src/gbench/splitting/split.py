"""What a split is: the rows of a dataset in three parts."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from gbench.crystals import IntArray

LETTERS = {"train": "r", "val": "v", "test": "t"}


@dataclass(frozen=True)
class Split:
    """Rows of a dataset in three disjoint parts that cover it, each in ascending order."""

    train: IntArray
    val: IntArray
    test: IntArray
    frozen: bool = False
    """Whether it was read from a file under ``splits/``."""
    held_out: tuple[str, ...] = ()
    """Names of what test is made of, where the scheme has names: elements, space groups, prototypes."""

    @property
    def code(self) -> str:
        """One letter per row: r train, v validation, t test."""
        letters = np.empty(len(self.train) + len(self.val) + len(self.test), dtype="U1")
        for part, letter in LETTERS.items():
            letters[getattr(self, part)] = letter
        return "".join(letters)

    @property
    def sha256(self) -> str:
        """Hash of the assignment of rows to parts."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    @classmethod
    def from_code(cls, code: str, held_out: tuple[str, ...] = ()) -> Self:
        """The frozen split that a :attr:`code` stands for."""
        letters = np.array(list(code))
        train, val, test = (np.flatnonzero(letters == letter) for letter in LETTERS.values())
        return cls(train, val, test, frozen=True, held_out=held_out)
