"""A convolutional network over the unit cell, drawn on a grid of voxels."""

from itertools import pairwise
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.errors import SpecError
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.lattice import boxes, shape_of
from gbench.nn.mlp import MLP
from gbench.nn.network import Size

CORNERS = [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
LENGTH_ANGSTROM = 10.0
"""Cell lengths are divided by it, so that they are of the size of cosines."""


class VoxelNetworkConfig(Frozen):
    """Settings of :class:`VoxelNetwork`."""

    grid: Size = 12
    """Voxels along each lattice vector."""
    layers: Size = 3
    """Convolutions; the grid is halved between them."""
    channels: Size = 16
    """After the first convolution; twice as many after each further one."""
    head: Size = 128
    """Width of the layer between the pooled channels and the output."""
    box: Annotated[float, Field(gt=0)] = 12.0
    """Å; side of the box that stands in for the cell of a molecule."""

    @model_validator(mode="after")
    def _grid_can_be_halved(self) -> Self:
        if self.grid % 2 ** (self.layers - 1):
            raise ValueError(f"grid {self.grid} cannot be halved {self.layers - 1} times; choose a multiple")
        return self


class VoxelNetwork(Model):
    """Convolutions over an image of the cell: local and translation bias, but no idea of what else is the same.

    Atoms are put on a grid in fractional coordinates, each shared among the eight voxels around it. The shape of the
    cell, which such an image does not show, is added to every voxel and to what is pooled. A shift by voxels that
    survive the halvings changes nothing, any other shift does; another choice of cell gives another image.
    """

    Config = VoxelNetworkConfig
    uses_graph = False
    corners: Tensor

    def __init__(self, config: VoxelNetworkConfig, head: Head) -> None:
        super().__init__(config, head)
        if head.level != "graph":
            raise SpecError(f"cnn pools an image of the whole cell and has no {head.level} head; choose another model")
        self.config = config
        self.register_buffer("corners", torch.tensor(CORNERS), persistent=False)
        widths = [config.channels * 2**layer for layer in range(config.layers)]
        # elements that start alike are slow to come apart where a maximum is taken over voxels
        self.atoms = AtomEncoder(config.channels, apart=True)
        self.cell = nn.Linear(6, config.channels)
        self.layers = nn.ModuleList(
            nn.Conv3d(before, after, 3, padding=1, padding_mode="circular")
            for before, after in pairwise([config.channels, *widths])
        )
        # most voxels are empty: means over them would wash the atoms out
        self.halve = nn.MaxPool3d(2)
        self.mlp = MLP([widths[-1] + 6, config.head, head.outputs], nn.SiLU, final=False)

    @property
    def hops(self) -> int:
        """Convolutions; each reaches the next voxels, of whatever size they are."""
        layers: int = self.config.layers
        return layers

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """What the voxel of each atom holds, (atoms, channels): of the image, then after each convolution."""
        images, place = self._images(batch)[0], self._place(batch)
        states = []
        for image in images:
            size = image.shape[-1]
            voxel = (place * size).long().clamp(max=size - 1)
            states.append(image[batch.graph_of_atom, :, voxel[:, 0], voxel[:, 1], voxel[:, 2]])
        return states

    def forward(self, batch: Batch) -> Tensor:
        """(graphs, outputs)"""
        images, shape = self._images(batch)
        out: Tensor = self.mlp(torch.cat([images[-1].mean(dim=(2, 3, 4)), shape], dim=1))
        return out

    def _place(self, batch: Batch) -> Tensor:
        return boxes(batch, self.config.box).fractional

    def _images(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """The image and what each convolution makes of it, and the shapes of the cells, (graphs, 6)."""
        box = boxes(batch, self.config.box)
        shape = shape_of(box.cell, LENGTH_ANGSTROM)
        image = self._drawn(batch, box.fractional) + self.cell(shape)[:, :, None, None, None]
        images = [image]
        for number, layer in enumerate(self.layers):
            images.append(nn.functional.silu(layer(self.halve(images[-1]) if number else image)))
        return images, shape

    def _drawn(self, batch: Batch, fractional: Tensor) -> Tensor:
        """(graphs, channels, grid, grid, grid) encoded atoms, each shared linearly among its eight voxels."""
        grid = self.config.grid
        corner = (fractional * grid).floor()
        inside = fractional * grid - corner
        voxels = (corner.long()[:, None] + self.corners) % grid
        share = torch.where(self.corners.bool(), inside[:, None], 1 - inside[:, None]).prod(dim=2)
        flat = (voxels[..., 0] * grid + voxels[..., 1]) * grid + voxels[..., 2]
        flat = flat + batch.graph_of_atom[:, None] * grid**3
        drawn = (self.atoms(batch.numbers)[:, None] * share[:, :, None]).flatten(0, 1)
        image = drawn.new_zeros((batch.n_graphs * grid**3, self.config.channels)).index_add(0, flat.flatten(), drawn)
        out: Tensor = image.view(batch.n_graphs, grid, grid, grid, -1).permute(0, 4, 1, 2, 3)
        return out
