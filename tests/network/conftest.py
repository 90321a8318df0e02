"""A small network with random weights, and noisy backbones to show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from protdiff.network import NetworkConfig, ScoreNetwork

SMALL = NetworkConfig(
    layers=4,
    scalars=24,
    vectors=8,
    hidden=32,
    heads=4,
    head_width=8,
    points=2,
    pair_width=12,
    noise_width=16,
)


WHOLE = replace(SMALL, hydrogen_bonds=True, neighbours=2, lmax=2)


@pytest.fixture(scope="session", params=[SMALL, WHOLE], ids=["usual", "whole"])
def network(request: pytest.FixtureRequest) -> ScoreNetwork:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)  # e3nn's constants are rounded where they are made
    try:
        network = ScoreNetwork(request.param).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for parameter in network.parameters():
            # Zeros (flags, biases) would hide what they multiply.
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.requires_grad_(False)


@dataclass(frozen=True)
class Inputs:
    noisy: Tensor
    noise_ratio: Tensor
    residue_index: Tensor
    residue_mask: Tensor
    handedness: Tensor
    previous: Tensor
    motif_group: Tensor
    motif: Tensor
    secondary: Tensor
    composition: Tensor
    residue_types: Tensor

    def turned(self, rotation: Tensor) -> Inputs:
        """Rotate or reflect everything; the handedness turns with the determinant."""
        turn = {name: getattr(self, name) @ rotation.mT for name in ("noisy", "previous", "motif")}
        hand = self.handedness * torch.linalg.det(rotation).sign()
        return Inputs(**(vars(self) | turn | {"handedness": hand}))

    def with_(self, **changes: Tensor | None) -> Inputs:
        return Inputs(**(vars(self) | changes))


def centre(x: Tensor, mask: Tensor) -> Tensor:
    weight = mask[..., None, None].to(x)
    x = x * weight
    return x - weight * x.sum((1, 2), keepdim=True) / (3 * weight.sum(1, keepdim=True))


@pytest.fixture
def inputs() -> Inputs:
    generator = torch.Generator().manual_seed(1)

    def draw() -> Tensor:
        return torch.randn(3, 24, 3, 3, generator=generator, dtype=torch.float64)

    lengths = torch.tensor([24, 17, 20])
    mask = torch.arange(24) < lengths[:, None]
    index = torch.arange(24).repeat(3, 1)
    index[2, 9:] += 7  # a chain break
    group = torch.zeros(3, 24, dtype=torch.int64)
    group[0, 3:9] = 1
    group[0, 12:15] = 2
    group[1, 5:8] = 1
    return Inputs(
        noisy=centre(draw(), mask),
        noise_ratio=torch.tensor([0.02, 0.6, 9.0], dtype=torch.float64),
        residue_index=index,
        residue_mask=mask,
        handedness=torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64),
        previous=centre(draw(), mask),
        motif_group=group,
        motif=draw(),
        secondary=torch.randint(4, (3, 24), generator=generator),
        composition=torch.tensor([[0.3, 0.2], [0.0, 0.5], [torch.nan, torch.nan]]).double(),
        # Of some residues nothing is told.
        residue_types=torch.rand(3, 24, 20, generator=generator).double().softmax(dim=-1)
        * (torch.rand(3, 24, 1, generator=generator) < 0.6),
    )
