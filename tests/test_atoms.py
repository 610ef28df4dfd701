"""What networks know of an atom before they look around."""

import pytest
import torch

from gbench.elements import property_names
from gbench.errors import SpecError, UnknownNameError
from gbench.nn.atoms import AtomEncoder, element_table

NUMBERS = torch.tensor([1, 8, 26, 92, 8])


def test_equal_elements_start_alike() -> None:
    states = AtomEncoder(16)(NUMBERS)
    assert states.shape == (5, 16)
    assert torch.equal(states[1], states[4])
    assert len(torch.unique(states, dim=0)) == 4


def test_an_element_that_is_never_seen_is_known_by_its_properties_alone() -> None:
    encoder = AtomEncoder(16)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        encoder(NUMBERS).square().sum().backward()
        optimizer.step()
    assert encoder.from_properties is not None and encoder.embedding is not None
    unseen = torch.tensor([3])
    properties = element_table()[unseen] @ encoder.from_properties.weight.T
    assert torch.allclose(encoder(unseen), properties)
    assert encoder.embedding.weight[8].abs().max() > 0


def test_without_properties_elements_are_told_apart_from_the_start() -> None:
    states = AtomEncoder(16, with_properties=False)(torch.arange(1, 104))
    assert len(torch.unique(states, dim=0)) == 103


def test_properties_can_be_chosen() -> None:
    encoder = AtomEncoder(16, identity=False, names=property_names()[:2])
    assert encoder.embedding is None and encoder.from_properties is not None
    assert encoder.from_properties.weight.shape == (16, 2)
    with pytest.raises(UnknownNameError, match="element property"):
        AtomEncoder(16, names=["charm"])


def test_atoms_that_all_look_alike_are_refused() -> None:
    with pytest.raises(SpecError, match="alike"):
        AtomEncoder(16, identity=False, with_properties=False)
