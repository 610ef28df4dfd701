"""Schemes that hold out classes of symmetry, found by moyopy at a tolerance of 0.01 Å (:mod:`gbench.symmetry`)."""

from gbench.dataset import Dataset
from gbench.splitting.scheme import Groups, groups
from gbench.symmetry import symmetries


@groups("prototype")
def prototype(dataset: Dataset) -> Groups:
    """Structure prototypes: crystals that differ only by their elements and free parameters stay together."""
    return Groups.named(symmetries(dataset.crystals).prototypes)


@groups("spacegroup")
def spacegroup(dataset: Dataset) -> Groups:
    """Space groups."""
    return Groups.named(symmetries(dataset.crystals).space_groups)


@groups("point-group")
def point_group(dataset: Dataset) -> Groups:
    """Crystallographic point groups."""
    return Groups.named(symmetries(dataset.crystals).point_groups)


@groups("crystal-system")
def crystal_system(dataset: Dataset) -> Groups:
    """Crystal systems."""
    return Groups.named(symmetries(dataset.crystals).crystal_systems)
